"""How far a recipe may move each value."""

from __future__ import annotations

from engines.limits import GATE, MAX_COUNT, MIN_AREA_PX, THRESHOLD
from tests.support.recordings import SHAPE, one_tile, recipe
from training.calibration.bounds import bounded_classes
from training.calibration.recording import Recording
from training.calibration.replay import Replay
from training.calibration.search import Judge, moved
from training.calibration.target import Aim, Target


def judge(recordings: list[Recording], aim: Aim = "max-escape-rate") -> Judge:
    return Judge(Replay(recordings, SHAPE), Target(aim=aim, at_most=0.1, confidence=0.95))


BAD = [one_tile(f"bad{i}", 1, score=0.85, probability=0.75, area_px=60) for i in range(3)]
SOUND = [one_tile(f"sound{i}", 0, score=0.15, probability=0.75, area_px=60) for i in range(3)]


def test_upper_bounds_end_where_a_part_would_escape() -> None:
    """The largest values of the grid that still catch a part of score 0.85, probability 0.75 and 60 px."""
    pits, _ = bounded_classes(judge(BAD + SOUND), recipe())
    assert (pits.gate.default, pits.gate.low, pits.gate.high) == (0.5, GATE.low, 0.8)
    assert (pits.threshold.low, pits.threshold.high) == (THRESHOLD.low, 0.7)
    assert (pits.rule.min_area_px.low, pits.rule.min_area_px.high) == (MIN_AREA_PX.low, 50.0)
    assert (pits.rule.min_peak.low, pits.rule.min_peak.high) == (0.0, 0.7)
    assert (pits.rule.max_count.low, pits.rule.max_count.high) == (0.0, 0.0)


def test_all_upper_bounds_hold_together() -> None:
    """Two values that could each be raised alone, but not both: with all of them at their bounds nothing escapes."""
    double = one_tile("bad", 1, score=0.85, probability=0.95, area_px=10)
    double.cores[0][0].ravel()[10:60] = 0.6
    the_judge = judge([double, *SOUND])
    classes = bounded_classes(the_judge, recipe(min_area_px=5.0))
    for index, of_class in enumerate(classes):
        corner = moved(
            recipe(),
            [index],
            gate=of_class.gate.high,
            threshold=of_class.threshold.high,
            min_area_px=of_class.rule.min_area_px.high,
            min_peak=of_class.rule.min_peak.high,
        )
        if index == 0:
            assert the_judge.tally(corner).escapes == 0
    assert classes[0].threshold.high <= 0.6 or classes[0].rule.min_area_px.high <= 10.0


def test_a_class_without_parts_is_not_made_less_sensitive() -> None:
    """Of cracks nothing is known: their values are their own upper bounds."""
    _, crack = bounded_classes(judge(BAD + SOUND), recipe())
    assert (crack.gate.high, crack.threshold.high, crack.rule.min_area_px.high) == (0.5, 0.5, 20.0)
    assert (crack.gate.low, crack.rule.max_count.high) == (GATE.low, MAX_COUNT.low)


def test_a_target_about_overkill_bounds_below_too() -> None:
    """The gate may not sink to the sound parts' 0.15, nor rise above the bad ones' 0.85."""
    pits, _ = bounded_classes(judge(BAD + SOUND, "max-overkill"), recipe())
    assert (pits.gate.low, pits.gate.high) == (0.2, 0.8)


def test_thresholds_stay_where_overkill_is_the_target_and_classes_are_several() -> None:
    """Which class a pixel goes to could tell either way."""
    pits, _ = bounded_classes(judge(BAD + SOUND, "max-overkill"), recipe())
    assert (pits.threshold.low, pits.threshold.high) == (0.5, 0.5)
