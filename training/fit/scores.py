"""
The score that chooses the best epoch, over the validation tiles of all processes together.

For the classifier it is the mean over the classes of the bags' average precision, for the segmenter the mean over the
classes of the pooled Dice. Neither is a mean over batches: scores are gathered and pixels counted, so that the figure
does not depend on how the tiles are dealt to batches and processes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from edge.errors import DataError
from training.data.sampling import Batch
from training.data.windows import ABSENT, OUTSIDE, PRESENT, UNDECIDED
from training.figures.metrics import overlaps, pooled_dice, ranking
from training.fit.losses import bag_logits
from training.fit.processes import gathered
from training.networks.checkpoint import Kind


def require_scorable(targets: NDArray[np.float32], kind: Kind, dataset: str) -> None:
    """
    Refuse validation tiles of which no class can be scored: every epoch would be as good as the first.

    Args:
        targets: (N, K) of all of them, as in Batch.
        kind: of the network.
        dataset: its name, for the message.

    Raises:
        DataError: no tile has a defect; or, for a classifier, no class has tiles that show it and tiles that do not.
    """
    if kind == "segmenter" and not (targets != ABSENT).any():
        raise DataError(
            f"{dataset}: split 'val' shows no defect, so that no epoch could be chosen by it; move groups of "
            "defective parts to 'val'"
        )
    shown, free = (targets == PRESENT).any(axis=0), (targets == ABSENT).any(axis=0)
    if kind == "classifier" and not (shown & free).any():
        raise DataError(
            f"{dataset}: no class of split 'val' has both tiles that show it and tiles that do not, so that no epoch "
            "could be chosen by it; move groups of sound and of defective parts to 'val'"
        )


class BagScores:
    """Of a classifier's logits (N, K, rows, columns)."""

    def __init__(self, class_count: int) -> None:
        self._scores = [np.empty((0, class_count), np.float32)]
        self._targets = [np.empty((0, class_count), np.float32)]

    def add(self, batch: Batch, logits: Tensor) -> None:
        scores = bag_logits(logits, batch.bags, len(batch.targets)).sigmoid()
        self._scores.append(scores.cpu().numpy())
        self._targets.append(batch.targets.cpu().numpy())

    def score(self) -> float:
        """Return the mean over the classes that occur; the same in each process, which must all ask."""
        parts = gathered((np.concatenate(self._scores), np.concatenate(self._targets)))
        scores = np.concatenate([scores for scores, _ in parts])
        targets = np.concatenate([targets for _, targets in parts])
        return _mean([_average_precision(scores[:, k], targets[:, k]) for k in range(scores.shape[1])])


class PixelScores:
    """Of a segmenter's logits (N, K + 1, h, w)."""

    def __init__(self, class_count: int) -> None:
        self._counts = np.zeros((2, class_count), np.int64)
        """Pixels in common (row 0), expected plus found (row 1)."""

    def add(self, batch: Batch, logits: Tensor) -> None:
        found = logits.argmax(dim=1).cpu().numpy().astype(np.uint8)
        expected = batch.labels.cpu().numpy().astype(np.uint8)
        inside = expected != OUTSIDE
        common, wanted_px, found_px = overlaps(expected[inside], found[inside], self._counts.shape[1])
        self._counts += (common, wanted_px + found_px)

    def score(self) -> float:
        """Return the mean over the classes that occur; the same in each process, which must all ask."""
        return _mean(pooled_dice(*np.sum(gathered(self._counts), axis=0)))


def _average_precision(scores: NDArray[np.float32], targets: NDArray[np.float32]) -> float | None:
    decided = targets != UNDECIDED
    return ranking(scores[decided].tolist(), (targets[decided] == PRESENT).tolist())[1]


def _mean(scores: Sequence[float | None]) -> float:
    return float(np.mean([score for score in scores if score is not None]))
