"""
The reference frames as golden parts: what PyTorch's answers make of them under any recipe, and what this machine does.

PyTorch's answers go through the very cascade of the line, in the place of the engines: gates, closure, rules and all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge.bundle import Bundle
from edge.inspector.answers import FrameAnswers, canvas_of, inspected, judge
from edge.inspector.cascade import Cascade, Inspection
from edge.inspector.pace import PacedEngine
from edge.records import Outcome
from edge.reference import Reference, load_reference
from edge.rules import Recipe, default_recipe
from edge.tiles import labels_from_planes
from engines.contract import Manifest


@dataclass(frozen=True)
class Golden:
    """
    The reference frame that is rejected most clearly under the manifest's own values.

    Attributes:
        clarity: area of its largest region that counts, in units of the smallest area that does.
    """

    name: str
    clarity: float


def references_of(bundle: Bundle) -> Iterator[Reference]:
    """Decode the reference frames, one at a time: all of them together are large."""
    return (load_reference(bundle, frame) for frame in bundle.manifest.reference)


def golden_reject(bundle: Bundle) -> Golden | None:
    """Return the bundle's golden reject, None when no reference frame is rejected under the manifest's values."""
    recipe = default_recipe(bundle.manifest.classes)
    found = (
        (reference.name, inspect_answers(bundle.manifest, reference, recipe)) for reference in references_of(bundle)
    )
    rejects = [
        Golden(name, _clarity(inspection, recipe)) for name, inspection in found if inspection.outcome is Outcome.REJECT
    ]
    return max(rejects, key=lambda golden: golden.clarity, default=None)


def _clarity(found: Inspection, recipe: Recipe) -> float:
    regions = (d for d in found.findings.defects if d.counts)
    return max((d.area_px / max(recipe.classes[d.class_id - 1].min_area_px, 1.0) for d in regions), default=0.0)


def inspect_reference(
    manifest: Manifest, reference: Reference, recipe: Recipe, classifier: PacedEngine, segmenter: PacedEngine
) -> Inspection:
    """
    Return what this machine's engines make of a reference frame under *recipe*.

    Raises:
        ParityFailed: a defect runs into more tiles than the cascade follows it.
        InferenceFailed: an engine refused, or its answers cannot be believed.
    """
    canvas = canvas_of(manifest, reference.image)
    return inspected(Cascade(classifier, segmenter, manifest, canvas.grid), canvas, recipe)


def inspect_answers(manifest: Manifest, reference: Reference, recipe: Recipe) -> Inspection:
    """Return what PyTorch's answers come to under *recipe*."""
    return judge(manifest, pytorchs_answers(reference, recipe), recipe)


def pytorchs_answers(reference: Reference, recipe: Recipe) -> FrameAnswers:
    """Return PyTorch's answers as its engines would give them with the recipe's thresholds."""
    planes = reference.planes
    return FrameAnswers(
        scores=reference.scores,
        labels=labels_from_planes(planes, recipe.thresholds),
        confidence=np.rint(255 * planes.max(axis=0)).astype(np.uint8),
    )
