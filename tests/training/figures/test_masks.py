"""How well masks cover defects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_jaccard_index

from training.figures.masks import MaskCounts


def stripe(class_id: int, first: int, last: int) -> np.ndarray:
    """Return (4, 20) labels with columns first..last-1 of a class."""
    labels = np.zeros((4, 20), np.uint8)
    labels[:, first:last] = class_id
    return labels


def test_dice_is_averaged_over_the_pictures_that_have_the_class() -> None:
    """One half found and one whole found give 0.833; false marks elsewhere lower only the pooled Dice."""
    counts = MaskCounts(["pits", "crack"])
    counts.add(stripe(1, 0, 8), stripe(1, 0, 4), "a")
    counts.add(stripe(1, 0, 8), stripe(1, 0, 8), "b")
    counts.add(stripe(0, 0, 0), stripe(1, 0, 5), "c")
    figures = counts.figures(0.95)
    pits, crack = figures.classes
    assert (pits.dice.images, pits.dice.groups, pits.pooled_dice.images) == (2, 2, 3)
    assert pits.dice.value == pytest.approx((2 / 3 + 1) / 2)
    assert pits.iou.value == pytest.approx((1 / 2 + 1) / 2)
    assert pits.pooled_dice.value == pytest.approx(2 * 12 / (16 + 17))
    assert (crack.dice.images, crack.dice.value, crack.pooled_dice.value) == (0, None, None)
    assert figures.mean_dice.value == pits.dice.value
    assert figures.false_area.value == 0.25
    assert (figures.sound_images_marked.hits, figures.sound_images_marked.images) == (1, 1)


def test_an_empty_answer_is_worth_nothing() -> None:
    """On a set that is mostly sound, marking nothing at all gives a Dice of 0, not of nearly 1."""
    counts = MaskCounts(["pits"])
    counts.add(stripe(1, 0, 8), stripe(0, 0, 0), "bad")
    for index in range(9):
        counts.add(stripe(0, 0, 0), stripe(0, 0, 0), f"sound{index}")
    figures = counts.figures(0.95)
    assert figures.mean_dice.value == 0.0
    assert figures.false_area.value == 0.0


def test_the_wrong_class_is_no_overlap() -> None:
    """A crack that is called pits is missed."""
    counts = MaskCounts(["pits", "crack"])
    counts.add(stripe(2, 0, 8), stripe(1, 0, 8), "a")
    assert counts.figures(0.95).classes[1].dice.value == 0.0


def test_without_sound_pictures_there_is_no_false_area() -> None:
    """What cannot be measured is None, not zero."""
    counts = MaskCounts(["pits"])
    counts.add(stripe(1, 0, 8), stripe(1, 0, 8), "a")
    figures = counts.figures(0.95)
    assert (figures.false_area.value, figures.sound_images_marked.value) == (None, None)


def test_iou_is_that_of_torchmetrics() -> None:
    """On one picture with both classes, the mean over the classes is torchmetrics' own."""
    rng = np.random.default_rng(3)
    expected, found = (rng.integers(0, 3, (16, 16)).astype(np.uint8) for _ in range(2))
    counts = MaskCounts(["pits", "crack"])
    counts.add(expected, found, "a")
    ours = [of_class.iou.value for of_class in counts.figures(0.95).classes]
    theirs = multiclass_jaccard_index(torch.from_numpy(found), torch.from_numpy(expected), 3, average="none")
    assert ours == pytest.approx(theirs.tolist()[1:])


def test_intervals_are_over_groups() -> None:
    """Eight parts give an interval around the mean Dice."""
    counts = MaskCounts(["pits"])
    for index in range(8):
        counts.add(stripe(1, 0, 8), stripe(1, 0, 1 + index), str(index))
    dice = counts.figures(0.95).classes[0].dice
    assert dice.interval is not None
    assert dice.interval.low < dice.value < dice.interval.high  # type: ignore[operator]
