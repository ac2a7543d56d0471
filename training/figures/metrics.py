"""The few figures that choose an epoch while a network is trained; reports are made of them, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_auroc, binary_average_precision


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


def mark_dice(expected: NDArray[np.uint8], found: NDArray[np.uint8]) -> float | None:
    """Return Dice of all that is labelled against all that is marked, whatever the class; None where nothing is."""
    truth, marked = expected > 0, found > 0
    total = np.count_nonzero(truth) + np.count_nonzero(marked)
    return float(2.0 * np.count_nonzero(truth & marked) / total) if truth.any() else None


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
