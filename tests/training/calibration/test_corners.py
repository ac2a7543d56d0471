"""Whether split test bears the bounds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edge.rules import default_recipe
from engines.contract import DefectClass, Limit
from tests.support.recordings import SHAPE, one_tile, recipe
from training.calibration.bounds import bounded_classes
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
    replay = Replay(test, SHAPE)

    def judged(classes: Sequence[DefectClass]) -> PartFigures:
        return part_figures(replay.parts(default_recipe(classes)), SHAPE.class_names, 0.01, 0.95)

    classes = bounded_classes(Judge(Replay(VAL, SHAPE), target), recipe())
    return proven_bounds(classes, target, judged(classes), judged)


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


def test_lower_bounds_that_reject_sound_parts_are_taken_back() -> None:
    """Sound parts of score 0.3 pass the gate of 0.5 and not its bound of 0.2; a target about escapes does not mind."""
    test = parts(40, 1, 0.85) + parts(30, 0, 0.15) + parts(10, 0, 0.3)
    bounds = proven(test, "max-overkill")
    assert bounds.taken_back == ("low",)
    assert bounds.low is not None
    assert bounds.low.overkill.groups_hit == 10
    assert all(limit.low == limit.default for of_class in bounds.classes for limit in limits(of_class))
    assert proven(test, "max-escape-rate").taken_back == ()
