"""Drawings hold what they are given, and no kind of data breaks them."""

from __future__ import annotations

import math

import pytest

from training.figures.intervals import Interval
from training.report import charts


def test_phases_and_the_kept_epoch_are_marked() -> None:
    """Each phase is named where it begins, once."""
    drawn = charts.epochs({"val": [0.1, 0.2, 0.3]}, ["frozen", "frozen", "finetune"], "score", best=2)
    assert drawn.count("> frozen<") == 1
    assert drawn.count("> finetune<") == 1
    assert ">kept<" in drawn


@pytest.mark.parametrize("log", [False, True])
def test_one_epoch_and_no_number_are_drawn(log: bool) -> None:
    """A training of one epoch, whose loss is no number, has its chart."""
    assert "<svg" in charts.epochs({"loss": [math.nan], "val": [0.5]}, ["scratch"], "loss", best=0, log=log)


def test_operating_points_are_named() -> None:
    """Curve, front and chosen points have their names in the drawing."""
    drawn = charts.precision_recall([(1.0, 0.5), (0.5, 1.0)], {"gate alone": (0.5, 1.0)})
    assert "gate alone" in drawn
    assert "chosen on split val" in charts.trade_off([(0.0, 50.0), (10.0, 0.0)], {"chosen on split val": (0.0, 0.0)})


def test_bars_and_confusions_of_next_to_nothing() -> None:
    """No bar at all, a bar without an interval, an interval that leaves out its value, a matrix of zeros."""
    assert "<svg" in charts.bars({}, "share")
    assert "pits" in charts.bars({"pits": (0.5, None), "crack": (0.5, Interval(0.6, 0.7))}, "share")
    assert "sound" in charts.confusion([[0, 0], [0, 0]], ("sound", "pits"))
