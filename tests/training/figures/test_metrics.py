"""The figures."""

from __future__ import annotations

import numpy as np
import pytest

from training.data.windows import ABSENT, PRESENT, UNDECIDED
from training.figures.metrics import MaskCounts, ranking, tile_figures


def stripe(class_id: int, first: int, last: int) -> np.ndarray:
    """Return (4, 20) labels with columns first..last-1 of a class."""
    labels = np.zeros((4, 20), np.uint8)
    labels[:, first:last] = class_id
    return labels


def test_dice_is_averaged_over_the_images_that_have_the_class() -> None:
    """One half found and one whole found give 0.833; false marks elsewhere lower only the pooled Dice."""
    counts = MaskCounts(["pits", "crack"])
    counts.add(stripe(1, 0, 8), stripe(1, 0, 4))
    counts.add(stripe(1, 0, 8), stripe(1, 0, 8))
    counts.add(stripe(0, 0, 0), stripe(1, 0, 5))
    figures = counts.figures()
    pits, crack = figures.classes
    assert pits.images == 2
    assert pits.dice == pytest.approx((2 / 3 + 1) / 2)
    assert pits.pooled_dice == pytest.approx(2 * 12 / (16 + 17))
    assert (crack.images, crack.dice, crack.pooled_dice) == (0, None, None)
    assert figures.mean_dice == pits.dice
    assert (figures.sound_images, figures.false_area, figures.sound_images_marked) == (1, 0.25, 1.0)


def test_the_wrong_class_is_no_overlap() -> None:
    """A crack that is called pits is missed."""
    counts = MaskCounts(["pits", "crack"])
    counts.add(stripe(2, 0, 8), stripe(1, 0, 8))
    assert counts.figures().classes[1].dice == 0.0


def test_without_sound_images_there_is_no_false_area() -> None:
    """What cannot be measured is None, not zero."""
    counts = MaskCounts(["pits"])
    counts.add(stripe(1, 0, 8), stripe(1, 0, 8))
    assert counts.figures().false_area is None


def test_the_gate_is_judged_by_tiles() -> None:
    """Undecided cells count for nothing; a defective tile that another class opens still goes on."""
    targets = np.array([[PRESENT, ABSENT], [PRESENT, ABSENT], [ABSENT, ABSENT], [UNDECIDED, ABSENT]], np.float32)
    scores = np.array([[0.9, 0.1], [0.2, 0.6], [0.1, 0.5], [0.9, 0.9]], np.float32)
    figures = tile_figures(["pits", "crack"], targets, scores, gate=0.5)
    assert figures.recall == {"pits": 0.5, "crack": None}
    assert (figures.any_recall, figures.false_share) == (1.0, 1.0)


def test_ranking_of_images() -> None:
    """Perfect order gives 1 for both figures, and one kind of image alone gives none."""
    assert ranking([0.9, 0.8, 0.1], [True, True, False]) == (1.0, 1.0)
    auroc, precision = ranking([0.9, 0.8, 0.1], [False, True, True])
    assert auroc == pytest.approx(0.0)
    assert precision == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert ranking([0.9, 0.8], [True, True]) == (None, None)
