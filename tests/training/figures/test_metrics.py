"""The figures that choose an epoch."""

from __future__ import annotations

import numpy as np
import pytest

from training.figures.metrics import mark_dice, overlaps, pooled_dice, ranking


def test_ranking_of_pictures() -> None:
    """Perfect order gives 1 for both figures, and one kind of picture alone gives none."""
    assert ranking([0.9, 0.8, 0.1], [True, True, False]) == (1.0, 1.0)
    auroc, precision = ranking([0.9, 0.8, 0.1], [False, True, True])
    assert auroc == pytest.approx(0.0)
    assert precision == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert ranking([0.9, 0.8], [True, True]) == (None, None)


def test_overlaps_and_pooled_dice() -> None:
    """Pixels are counted by class: in common, expected, found; a class that is nowhere has no Dice."""
    expected, found = np.array([[1, 1, 2, 0]], np.uint8), np.array([[1, 2, 2, 2]], np.uint8)
    common, wanted, marked = overlaps(expected, found, 3)
    assert (common.tolist(), wanted.tolist(), marked.tolist()) == ([1, 1, 0], [2, 1, 0], [1, 3, 0])
    assert pooled_dice(common, wanted + marked) == [2 / 3, 2 / 4, None]


def test_dice_of_all_marks_asks_for_no_class() -> None:
    """Half of a defect marked as another class is 2/3; a sound picture has none, whatever is marked in it."""
    truth, found = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    assert mark_dice(truth, found + 1) is None
    truth[0], found[0, :2] = 1, 2
    assert mark_dice(truth, found) == pytest.approx(2 / 3)
