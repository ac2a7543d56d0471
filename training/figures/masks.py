"""
How well the masks cover the defects.

    Dice            2 |A and B| / (|A| + |B|) of one class on one picture, over the pictures that have the class
    IoU             |A and B| / |A or B|, likewise
    pooled Dice     over all pixels of all pictures at once, sound ones included
    false area      share of the pixels marked on pictures without any defect

Pictures without the class stand in no Dice of it: counting "empty and left empty" as 1 flatters, on a set that is
mostly sound an empty answer scores best of all. What is marked there is told by the false area.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from training.figures.intervals import Estimate, Rate, bootstrap, mean, rate
from training.figures.metrics import overlaps, pooled_dice


class ClassFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one defect class, over the pictures that have it."""

    name: str
    dice: Estimate
    iou: Estimate
    pooled_dice: Estimate
    """Over all pictures."""


class MaskFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of the masks."""

    classes: tuple[ClassFigures, ...]
    mean_dice: Estimate
    """Mean over the classes that occur."""
    false_area: Estimate
    """Mean share of the pixels marked on sound pictures."""
    sound_images_marked: Rate
    """Sound pictures with any pixel marked."""


class MaskCounts:
    """Adds up pictures: expected against found labels."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self._names = tuple(class_names)
        self._pixels: list[NDArray[np.int64]] = []
        self._groups: list[str] = []
        self._false_shares: list[float] = []
        self._sound_groups: list[str] = []

    def add(self, expected: NDArray[np.uint8], found: NDArray[np.uint8], group: str) -> None:
        """
        Count one picture.

        Args:
            expected: (h, w) labels.
            found: (h, w) labels.
            group: of the picture.
        """
        if not expected.any():
            self._false_shares.append(np.count_nonzero(found) / found.size)
            self._sound_groups.append(group)
        self._pixels.append(np.stack(overlaps(expected, found, len(self._names))))
        self._groups.append(group)

    def figures(self, confidence: float) -> MaskFigures:
        """Return the figures of all pictures so far."""
        pixels = np.array(self._pixels, np.int64).reshape(-1, 3, len(self._names))
        return MaskFigures(
            classes=tuple(self._of_class(name, pixels[:, :, k], confidence) for k, name in enumerate(self._names)),
            mean_dice=bootstrap(lambda at: _mean_dice(pixels[at]), self._groups, confidence),
            false_area=mean(self._false_shares, self._sound_groups, confidence),
            sound_images_marked=rate([share > 0.0 for share in self._false_shares], self._sound_groups, confidence),
        )

    def _of_class(self, name: str, pixels: NDArray[np.int64], confidence: float) -> ClassFigures:
        having = np.flatnonzero(pixels[:, 1])
        groups = [self._groups[index] for index in having]
        common, expected, found = pixels[having].T
        return ClassFigures(
            name=name,
            dice=mean((2.0 * common / (expected + found)).tolist(), groups, confidence),
            iou=mean((common / (expected + found - common)).tolist(), groups, confidence),
            pooled_dice=bootstrap(lambda at: _pooled(pixels[at]), self._groups, confidence),
        )


def _pooled(pixels: NDArray[np.int64]) -> float | None:
    """(n, 3) of one class -> its pooled Dice."""
    common, expected, found = pixels.sum(axis=0)
    return pooled_dice(np.array([common]), np.array([expected + found]))[0]


def _mean_dice(pixels: NDArray[np.int64]) -> float | None:
    """(n, 3, K) -> mean over the classes of the mean over the pictures that have the class."""
    common, expected, found = pixels[:, 0], pixels[:, 1], pixels[:, 2]
    has = expected > 0
    dice = np.where(has, 2.0 * common / np.maximum(expected + found, 1), 0.0).sum(axis=0)
    occurs = has.any(axis=0)
    return float((dice[occurs] / has.sum(axis=0)[occurs]).mean()) if occurs.any() else None
