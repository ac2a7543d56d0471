"""
The reference frames as golden parts: what PyTorch's answers make of them under any recipe, and what this machine does.

PyTorch's answers go through the very cascade of the line, in the place of the engines: gates, closure, rules and all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from edge.bundle import Bundle, Reference, load_reference
from edge.inspector.backend import Engine, Precision
from edge.inspector.cascade import Cascade, Inspection
from edge.inspector.pace import PacedEngine
from edge.records import Outcome
from edge.rules import Recipe, default_recipe
from edge.tiles import Canvas, Grid, labels_from_planes
from engines.contract import CONFIDENCE, HEALTH, LABELS, SCORES, THRESHOLDS, TILES, Manifest

# Nobody waits for a golden frame.
_NO_DEADLINE_US = 1 << 62


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
        InferenceFailed: an engine refused, or its answers cannot be believed.
    """
    height, width, channels = reference.image.shape
    grid = Grid(height, width, manifest.tile)
    canvas = Canvas(grid, channels, manifest.pad_value)
    canvas.write(reference.image)
    return Cascade(classifier, segmenter, manifest, grid).inspect(canvas, recipe, _NO_DEADLINE_US)


def inspect_answers(manifest: Manifest, reference: Reference, recipe: Recipe) -> Inspection:
    """Return what PyTorch's answers come to under *recipe*."""
    _, height, width = reference.planes.shape
    grid = Grid(height, width, manifest.tile)
    answers = _Answers(grid, reference)
    classifier, segmenter = PacedEngine(_AnsweredScores(answers)), PacedEngine(_AnsweredMasks(answers))
    return Cascade(classifier, segmenter, manifest, grid).inspect(_Numbered(grid), recipe, _NO_DEADLINE_US)


class _Numbered(Canvas):
    """A picture whose tiles hold nothing but their own index: that is how the stand-in engines know them."""

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid, 1, 0)

    def cut(self, indices: list[int], out: NDArray[Any]) -> None:
        out[: len(indices)] = indices


@dataclass(frozen=True)
class _Answers:
    grid: Grid
    reference: Reference

    def cores(self, plane: NDArray[np.uint8], tiles: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, core_height, core_width); 0 where the core overhangs the picture."""
        shape = self.grid.tile
        cores = np.zeros((len(tiles), shape.core_height, shape.core_width), np.uint8)
        for core, tile in zip(cores, tiles.tolist(), strict=True):
            top, left = self.grid.core(tile)
            piece = plane[top : top + shape.core_height, left : left + shape.core_width]
            core[: piece.shape[0], : piece.shape[1]] = piece
        return cores


class _Answering:
    """An Engine that knows the answers by heart; its tiles are indices."""

    backend = "PyTorch's answers"
    precision: Precision = "fp32"

    def __init__(self, answers: _Answers) -> None:
        self.batches = (answers.grid.count,)
        self.inputs: Mapping[str, NDArray[Any]] = {
            TILES: np.zeros(answers.grid.count, np.int64),
            THRESHOLDS: np.zeros(len(answers.reference.planes), np.float32),
        }
        self._answers = answers

    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        return self._outputs(self.inputs[TILES][:n])

    def _outputs(self, tiles: NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
        raise NotImplementedError

    def gather(self, source: Engine, rows: Sequence[int]) -> bool:
        return False

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _AnsweredScores(_Answering):
    def _outputs(self, tiles: NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
        return {SCORES: self._answers.reference.scores[tiles]}


class _AnsweredMasks(_Answering):
    def _outputs(self, tiles: NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
        planes = self._answers.reference.planes
        confidence = np.rint(255 * planes.max(axis=0)).astype(np.uint8)
        return {
            LABELS: self._answers.cores(labels_from_planes(planes, self.inputs[THRESHOLDS]), tiles),
            CONFIDENCE: self._answers.cores(confidence, tiles),
            HEALTH: np.ones(len(tiles), np.float32),
        }
