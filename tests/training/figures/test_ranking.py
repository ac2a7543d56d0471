"""How a score sorts bad pictures from sound ones."""

from __future__ import annotations

import pytest

from training.figures.ranking import ranking_figures


def test_recall_at_fixed_false_rejects() -> None:
    """With one sound picture in a hundred above it, the gate catches what lies above the second worst sound one."""
    sound = [index / 100 for index in range(100)]  # 0.00 .. 0.99
    bad = [0.985, 0.975, 0.955, 0.5]
    figures = ranking_figures(
        [*sound, *bad], [False] * 100 + [True] * 4, [str(index) for index in range(104)], confidence=0.95
    )
    assert (figures.bad, figures.sound) == (4, 100)
    assert figures.recall_at_false_rejects["0.01"].value == pytest.approx(1 / 4)
    assert figures.recall_at_false_rejects["0.05"].value == pytest.approx(3 / 4)
    assert figures.auroc.value == pytest.approx((99 + 98 + 96 + 50.5) / 400, abs=0.002)
    assert figures.auroc.interval is not None


def test_the_curve_ends_at_the_highest_score() -> None:
    """Gates ascend; at the lowest everything is caught, at the highest precision is that of the worst picture."""
    curve = ranking_figures([0.1, 0.4, 0.8], [False, True, True], ["a", "b", "c"], 0.95).curve
    assert [point.gate for point in curve] == pytest.approx([0.1, 0.4, 0.8])
    assert [point.recall for point in curve] == pytest.approx([1.0, 1.0, 0.5])
    assert [point.precision for point in curve] == pytest.approx([2 / 3, 1.0, 1.0])


def test_one_kind_alone_ranks_nothing() -> None:
    """Without sound pictures there is no figure and no curve."""
    figures = ranking_figures([0.1, 0.4], [True, True], ["a", "b"], 0.95)
    assert (figures.auroc.value, figures.average_precision.value, figures.curve) == (None, None, ())
    assert ranking_figures([], [], [], 0.95).auroc.value is None
