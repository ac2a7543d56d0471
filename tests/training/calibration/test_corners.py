"""Whether split test bears the bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_struct

from edge.rules import ClassLimits, default_recipe
from engines.contract import DefectClass, Limit, Rule
from engines.limits import GATE, THRESHOLD
from tests.support.recordings import SHAPE, one_tile, random_picture, recipe
from training.calibration.bounds import bounded_classes
from training.calibration.certain import certain_planes
from training.calibration.corners import Proven, proven_bounds
from training.calibration.recording import Recording
from training.calibration.replay import Replay
from training.calibration.search import Judge
from training.calibration.target import Aim, Target
from training.figures.parts import PartFigures, part_figures

VAL = [one_tile(f"bad{i}", 1, score=0.85, probability=0.9, area_px=60) for i in range(3)] + [
    one_tile(f"sound{i}", 0, score=0.15, probability=0.9, area_px=60) for i in range(3)
]


def parts(count: int, class_id: int, score: float) -> list[Recording]:
    return [
        one_tile(f"{class_id}-{score}-{i}", class_id, score=score, probability=0.9, area_px=60) for i in range(count)
    ]


def proven(test: list[Recording], aim: Aim) -> Proven:
    """Return the bounds that VAL supports, as *test* bears them."""
    target = Target(aim=aim, at_most=0.1, confidence=0.95)
    classes = bounded_classes(Judge(Replay(VAL, SHAPE), target), recipe())
    return proven_bounds(classes, target, figures(test, classes), lambda corner: judged(test, corner))


def figures(test: list[Recording], classes: Sequence[DefectClass]) -> PartFigures:
    """Return what the defaults of *classes* do to *test*."""
    return part_figures(Replay(test, SHAPE).parts(default_recipe(classes)), SHAPE.class_names, 0.01, 0.95)


def judged(test: list[Recording], classes: Sequence[DefectClass]) -> PartFigures:
    """Return the same by what is certain."""
    return figures(certain(test, [of_class.threshold.low for of_class in classes]), classes)


def certain(test: list[Recording], least: list[float]) -> list[Recording]:
    """Leave of each answer what no threshold down to *least* takes away."""
    lowest = np.array(least, np.float32)

    def left(recording: Recording) -> Recording:
        cores = {tile: certain_planes(core[np.newaxis], lowest)[0] for tile, core in recording.cores.items()}
        return replace(recording, cores=cores)

    return [left(recording) for recording in test]


def limits(of_class: DefectClass) -> tuple[Limit, ...]:
    rule = of_class.rule
    return of_class.gate, of_class.threshold, rule.min_area_px, rule.min_peak, rule.max_count


def test_bounds_that_test_bears_stay() -> None:
    """Nothing escapes at the corner, and its figures are told."""
    bounds = proven(parts(40, 1, 0.85) + parts(40, 0, 0.15), "max-escape-rate")
    assert (bounds.taken_back, bounds.low) == ((), None)
    assert bounds.classes[0].gate.high == 0.8
    assert bounds.high.escapes.groups_hit == 0


@pytest.mark.parametrize("aim", ["max-escape-rate", "max-overkill"])
def test_upper_bounds_that_let_parts_escape_are_taken_back(aim: Aim) -> None:
    """Parts of score 0.7 are caught by the gate of 0.5 and pass at its bound of 0.8: no value may rise."""
    bounds = proven(parts(30, 1, 0.85) + parts(10, 1, 0.7) + parts(40, 0, 0.15), aim)
    assert bounds.taken_back == ("high",)
    assert bounds.high.escapes.groups_hit == 10
    assert all(limit.high == limit.default for of_class in bounds.classes for limit in limits(of_class))
    assert bounds.classes[0].gate.low < 0.5


def hidden(count: int) -> list[Recording]:
    """Return bad parts with a region of 100 px that is pits by 0.4 and crack by 0.5."""
    regions = [one_tile(f"hidden{i}", 1, score=0.85, probability=0.4, area_px=100) for i in range(count)]
    for region in regions:
        region.cores[0][1] = np.where(region.cores[0][0] > 0, np.float16(0.5), np.float16(0.0))
    return regions


def two_classes(threshold: float) -> list[DefectClass]:
    """Return pits of threshold 0.35 and 20 px, crack of this threshold and 500 px, all of it free to sink."""
    (pits, crack) = recipe().classes
    values = replace_struct(pits, threshold=0.35), replace_struct(crack, threshold=threshold, min_area_px=500.0)
    return [
        DefectClass(
            name=of.name,
            gate=Limit(default=of.gate, low=GATE.low, high=of.gate),
            threshold=Limit(default=of.threshold, low=THRESHOLD.low, high=of.threshold),
            rule=Rule(
                min_area_px=Limit(default=of.min_area_px, low=1.0, high=of.min_area_px),
                min_peak=Limit(default=0.0, low=0.0, high=0.0),
                max_count=Limit(default=0, low=0, high=0),
            ),
        )
        for of in values
    ]


@pytest.mark.parametrize("aim", ["max-escape-rate", "max-overkill"])
def test_a_lower_threshold_that_hides_a_defect_is_taken_back(aim: Aim) -> None:
    """At 0.6 the region is pits and counts; at 0.45 it is crack, of which 100 px are too few: that lets it pass."""
    test, classes = hidden(40) + parts(40, 0, 0.0), two_classes(0.6)
    assert figures(test, classes).escapes.groups_hit == 0
    assert figures(test, two_classes(0.45)).escapes.groups_hit == 40
    target = Target(aim=aim, at_most=0.1, confidence=0.95)
    bounds = proven_bounds(classes, target, figures(test, classes), lambda corner: judged(test, corner))
    assert bounds.taken_back == ("threshold",)
    assert bounds.high.escapes.groups_hit == 40
    assert [of.threshold.low for of in bounds.classes] == [0.35, 0.6]
    assert [(of.gate.low, of.rule.min_area_px.low) for of in bounds.classes] == [(GATE.low, 1.0)] * 2


def test_a_lower_threshold_that_hides_nothing_stays_free() -> None:
    """Where each region is of one class only, every threshold may sink to the hard bound."""
    test, classes = parts(40, 1, 0.85) + parts(40, 0, 0.15), two_classes(0.6)
    target = Target(aim="max-escape-rate", at_most=0.1, confidence=0.95)
    bounds = proven_bounds(classes, target, figures(test, classes), lambda corner: judged(test, corner))
    assert bounds.taken_back == ()
    assert bounds.classes == tuple(classes)


unit = st.floats(0.0, 1.0)
PICTURES = [random_picture(seed) for seed in range(12)]


@given(least=st.tuples(*[st.floats(0.05, 0.6)] * 2), most=st.floats(0.3, 0.9), at=st.tuples(*[unit] * 4))
def test_what_is_certain_is_rejected_at_every_setting(
    least: tuple[float, float], most: float, at: tuple[float, float, float, float]
) -> None:
    """Whatever passes at a setting within the bounds passes at the one that is judged for all of them."""
    highest = [max(most, low) for low in least]
    worst = recipe(gate=0.6, min_area_px=30.0, min_peak=0.5)
    worst = replace_struct(worst, classes=tuple(map(_thresholded, worst.classes, highest)))
    within = recipe(gate=0.6 * at[0], min_area_px=1.0 + 29.0 * at[1], min_peak=0.5 * at[2])
    thresholds = [low + (high - low) * share for low, high, share in zip(least, highest, at[2:], strict=True)]
    within = replace_struct(within, classes=tuple(map(_thresholded, within.classes, thresholds)))
    passes = Replay(PICTURES, SHAPE).passes(within)
    at_worst = Replay(certain(PICTURES, list(least)), SHAPE).passes(worst)
    assert all(worst_passes for worst_passes, passed in zip(at_worst, passes, strict=True) if passed)


def _thresholded(limits: ClassLimits, threshold: float) -> ClassLimits:
    return replace_struct(limits, threshold=threshold)


def test_lower_bounds_that_reject_sound_parts_are_taken_back() -> None:
    """Sound parts of score 0.3 pass the gate of 0.5 and not its bound of 0.2; a target about escapes does not mind."""
    test = parts(40, 1, 0.85) + parts(30, 0, 0.15) + parts(10, 0, 0.3)
    bounds = proven(test, "max-overkill")
    assert bounds.taken_back == ("low",)
    assert bounds.low is not None
    assert bounds.low.overkill.groups_hit == 10
    assert all(limit.low == limit.default for of_class in bounds.classes for limit in limits(of_class))
    assert proven(test, "max-escape-rate").taken_back == ()
