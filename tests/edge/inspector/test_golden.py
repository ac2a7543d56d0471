"""PyTorch's answers through the line's own cascade, on a bundle that was trained and exported for the tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.bundle import Bundle, read_bundle
from edge.inspector.backend import BackendSettings, open_engine
from edge.inspector.golden import golden_reject, inspect_answers, inspect_reference, references_of
from edge.inspector.pace import PacedEngine
from edge.records import Outcome
from edge.reference import Reference
from edge.rules import Recipe, default_recipe
from edge.tiles import labels_from_planes
from engines.contract import TILES


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    """The tiny bundle, read."""
    return read_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def engines(bundle: Bundle) -> Iterator[tuple[PacedEngine, PacedEngine]]:
    """Both networks, open."""
    settings = BackendSettings(threads=1)
    with (
        open_engine(settings, bundle.classifier, TILES, (1, 4)) as classifier,
        open_engine(settings, bundle.segmenter, TILES, (1, 4)) as segmenter,
    ):
        yield PacedEngine(classifier), PacedEngine(segmenter)


def moved(bundle: Bundle, **values: float) -> Recipe:
    """Return the default recipe with *values* in every class."""
    recipe = default_recipe(bundle.manifest.classes)
    return msgspec.structs.replace(recipe, classes=tuple(msgspec.structs.replace(c, **values) for c in recipe.classes))


def references(bundle: Bundle) -> list[Reference]:
    return list(references_of(bundle))


def test_with_open_gates_the_answers_are_the_planes_labels(bundle: Bundle) -> None:
    """Every tile is segmented: what comes out is what PyTorch labels in the whole frame."""
    recipe = moved(bundle, gate=0.0)
    for reference in references(bundle):
        found = inspect_answers(bundle.manifest, reference, recipe)
        assert np.array_equal(found.labels, labels_from_planes(reference.planes, recipe.thresholds))
        assert found.segmented == found.tiles == len(reference.scores)


def test_gates_decide_in_the_answers_too(bundle: Bundle) -> None:
    """Nothing reaches a gate above one: PASS, whatever the planes hold."""
    recipe = moved(bundle, gate=1.1)
    assert {inspect_answers(bundle.manifest, r, recipe).outcome for r in references(bundle)} == {Outcome.PASS}


def test_this_machine_judges_as_the_answers_do(bundle: Bundle, engines: tuple[PacedEngine, PacedEngine]) -> None:
    """Outcome and tiles are the same for every reference frame; both outcomes occur."""
    recipe = default_recipe(bundle.manifest.classes)
    outcomes = set()
    for reference in references(bundle):
        expected = inspect_answers(bundle.manifest, reference, recipe)
        found = inspect_reference(bundle.manifest, reference, recipe, *engines)
        assert (found.outcome, found.tiles, found.segmented) == (expected.outcome, expected.tiles, expected.segmented)
        outcomes.add(found.outcome)
    assert outcomes == {Outcome.PASS, Outcome.REJECT}


def test_the_golden_reject_is_the_clearest(bundle: Bundle) -> None:
    """It is a reject under the released values, and none has a larger region for its limit."""
    golden = golden_reject(bundle)
    assert golden is not None
    recipe = default_recipe(bundle.manifest.classes)
    found = {r.name: inspect_answers(bundle.manifest, r, recipe) for r in references(bundle)}
    assert found[golden.name].outcome is Outcome.REJECT
    largest = max(
        d.area_px / recipe.classes[d.class_id - 1].min_area_px
        for inspection in found.values()
        for d in inspection.findings.defects
        if d.counts
    )
    assert golden.clarity == largest


def test_without_a_reject_there_is_no_golden_one(bundle: Bundle) -> None:
    """A bundle whose reference frames all pass has none to offer."""
    passing = tuple(
        frame
        for frame, reference in zip(bundle.manifest.reference, references(bundle), strict=True)
        if inspect_answers(bundle.manifest, reference, default_recipe(bundle.manifest.classes)).outcome is Outcome.PASS
    )
    assert passing
    sound = dataclasses.replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, reference=passing))
    assert golden_reject(sound) is None
