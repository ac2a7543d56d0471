"""
The figures, one definition each; the same code for a training run and for what a subscriber received.

    Dice            2 |A and B| / (|A| + |B|) of one class on one image, averaged over the images that have the class
    pooled Dice     the same over all pixels of all images at once, sound ones included
    false area      share of the pixels marked on images without any defect
    AUROC, AP       ranking of the images, defective against sound, by their highest score
    tile recall     share of the tiles holding a class whose score for that class reaches the gate
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from training.data.windows import ABSENT, PRESENT


class ClassFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one defect class; None where no image has the class."""

    name: str
    images: int
    dice: float | None
    pooled_dice: float | None


class MaskFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of the masks; None where there is no sound image."""

    classes: tuple[ClassFigures, ...]
    mean_dice: float | None
    """Mean over the classes that occur."""
    sound_images: int
    false_area: float | None
    """Mean share of the pixels marked on sound images."""
    sound_images_marked: float | None
    """Share of the sound images with any pixel marked."""


class TileFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How the gate sorts tiles."""

    recall: dict[str, float | None]
    """By class: tiles holding the class whose score for it reaches the gate."""
    any_recall: float | None
    """Tiles holding any class that go on to the segmenter, whichever class opened the gate."""
    false_share: float | None
    """Tiles without any defect that go on."""


class MaskCounts:
    """Adds up images: expected against found labels."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self._names = tuple(class_names)
        self._dice: list[list[float]] = [[] for _ in self._names]
        self._common = np.zeros(len(self._names), np.int64)
        self._total = np.zeros(len(self._names), np.int64)
        self._false_shares: list[float] = []

    def add(self, expected: NDArray[np.uint8], found: NDArray[np.uint8]) -> None:
        """
        Count one image.

        Args:
            expected: (h, w) labels.
            found: (h, w) labels.
        """
        if not expected.any():
            self._false_shares.append(np.count_nonzero(found) / found.size)
        common, wanted_px, found_px = overlaps(expected, found, len(self._names))
        self._common += common
        self._total += wanted_px + found_px
        for k in np.flatnonzero(wanted_px).tolist():
            self._dice[k].append(2.0 * common[k] / (wanted_px[k] + found_px[k]))

    def figures(self) -> MaskFigures:
        """Return the figures of all images so far."""
        pooled = pooled_dice(self._common, self._total)
        classes = tuple(
            ClassFigures(name=name, images=len(dice), dice=_mean(dice), pooled_dice=pooled[k])
            for k, (name, dice) in enumerate(zip(self._names, self._dice, strict=True))
        )
        return MaskFigures(
            classes=classes,
            mean_dice=_mean([c.dice for c in classes if c.dice is not None]),
            sound_images=len(self._false_shares),
            false_area=_mean(self._false_shares),
            sound_images_marked=_mean([float(share > 0.0) for share in self._false_shares]),
        )


def overlaps(
    expected: NDArray[np.uint8], found: NDArray[np.uint8], class_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """
    Count pixels by class, of any two label maps of one shape.

    Returns:
        (K,) pixels where both agree, (K,) expected pixels, (K,) found pixels.
    """
    agreed = expected[expected == found]
    return _histogram(agreed, class_count), _histogram(expected, class_count), _histogram(found, class_count)


def pooled_dice(common: NDArray[np.int64], total: NDArray[np.int64]) -> list[float | None]:
    """Return 2 common / total for each class, None where total is 0."""
    return [2.0 * int(c) / int(t) if t else None for c, t in zip(common, total, strict=True)]


def tile_figures(
    class_names: Sequence[str], targets: NDArray[np.float32], scores: NDArray[np.float32], gate: float
) -> TileFigures:
    """
    Judge the gate.

    Args:
        class_names: K names.
        targets: (T, K) PRESENT, ABSENT or UNDECIDED, which counts for nothing.
        scores: (T, K) probabilities.
        gate: a tile goes on if any of its scores reaches this.
    """
    reached = scores >= gate
    opened = scores.max(axis=1) >= gate
    defective = (targets == PRESENT).any(axis=1)
    sound = (targets == ABSENT).all(axis=1)
    recall = {name: _share(reached[targets[:, k] == PRESENT, k]) for k, name in enumerate(class_names)}
    return TileFigures(recall=recall, any_recall=_share(opened[defective]), false_share=_share(opened[sound]))


def ranking(scores: Sequence[float], defective: Sequence[bool]) -> tuple[float | None, float | None]:
    """
    Return (AUROC, average precision) of images ranked by score; None for both if one kind is missing.

    Args:
        scores: of each image, higher means more suspicious.
        defective: the truth.
    """
    if all(defective) or not any(defective):
        return None, None
    ranked, truth = torch.tensor(scores, dtype=torch.float64), torch.tensor(defective).long()
    return float(binary_auroc(ranked, truth)), float(binary_average_precision(ranked, truth))


def _histogram(labels: NDArray[np.uint8], class_count: int) -> NDArray[np.int64]:
    return np.bincount(labels.ravel(), minlength=256)[1 : class_count + 1].astype(np.int64)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _share(flags: NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if flags.size else None
