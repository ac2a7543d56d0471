"""
What a segmenter still says however low thresholds are set.

A pixel goes to the most probable class of those that reach their thresholds. So a lower threshold of one class can take
pixels from another, whose region then no longer counts: more sensitive is not always stricter. What is certain is the
most probable class of those that reach the *lowest* threshold they may have: no other can take its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.figures.engine import TrainedNetworks


class CertainNetworks(TrainedNetworks):
    """
    The same networks, with a segmenter that says only what is certain.

    A part that they reject at certain gates, thresholds, areas and peaks is rejected at all lower ones, too, down to
    the thresholds *least*: a region can only grow. This is so where a class may have no region at all; where it may
    have some, two of them can become one.

    Args:
        networks: whose answers are taken.
        least: (K,) lowest threshold that each class may have.
    """

    def __init__(self, networks: TrainedNetworks, least: Sequence[float]) -> None:
        vars(self).update(vars(networks))
        self._least = np.array(least, np.float32)

    def planes(self, tiles: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        planes, health = super().planes(tiles)
        return certain_planes(planes, self._least), health


def certain_planes(planes: NDArray[np.floating], least: NDArray[np.floating]) -> NDArray[np.floating]:
    """(n, K, h, w) probabilities and (K,) lowest thresholds -> (n, K, h, w), 0 but for what is certain."""
    reaching = np.where(planes >= least[:, np.newaxis, np.newaxis], planes, 0.0).astype(planes.dtype)
    most = reaching.argmax(axis=1)[:, np.newaxis]
    kept = np.zeros_like(reaching)
    np.put_along_axis(kept, most, np.take_along_axis(reaching, most, axis=1), axis=1)
    return kept
