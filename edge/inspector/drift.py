"""The drift guard: is this picture still like those the networks were trained for? No engine is asked."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.settings import DriftLimits

WINDOW = 200
"""Frames over which the share of suspicious ones is taken."""
_BAND_ROWS = 16
# The whole of 256x1600 costs 0.45 ms; bands over its height tell the same within 3 % in a quarter of that.
_MEASURED_PX = 100_000


@dataclass(frozen=True)
class Measures:
    """
    What is measured of every picture.

    Attributes:
        brightness: mean grey value over all channels, 0..255.
        sharpness: variance of the Laplacian (3x3, four neighbours) [grey values squared].
    """

    brightness: float
    sharpness: float


def measures_from_picture(picture: NDArray[np.uint8]) -> Measures:
    """
    Measure a picture.

    Args:
        picture: (h, w, C) uint8, h and w >= 1; may be a view of a larger buffer.
    """
    height, width, channels = picture.shape
    brightness = float(np.mean(cv2.mean(picture)[:channels]))
    squares, sums, count = 0.0, 0.0, 0
    for top in _band_tops(height, width):
        # One row more on either side, so that a band's edge is no edge of the picture.
        around = picture[max(top - 1, 0) : top + _BAND_ROWS + 1]
        mean, deviation = cv2.meanStdDev(cv2.Laplacian(around, cv2.CV_16S))
        count += mean.size
        sums += float(mean.sum())
        squares += float((deviation**2 + mean**2).sum())
    return Measures(brightness, squares / count - (sums / count) ** 2)


def _band_tops(height: int, width: int) -> list[int]:
    """Return the first rows of as many bands as may be measured, evenly over the height."""
    bands = max(min(_MEASURED_PX // (_BAND_ROWS * width), height // _BAND_ROWS), 1)
    return [round((i + 0.5) * height / bands - _BAND_ROWS / 2) for i in range(bands)] if bands > 1 else [0]


class DriftGuard:
    """
    Watches one camera against its limits. A value that is no number is outside of any limit.

    ``suspicious_share`` is taken over the last WINDOW frames; as long as there were fewer, the missing ones count as
    unsuspicious, so that the first frames after a start do not decide alone.
    """

    def __init__(self, limits: DriftLimits) -> None:
        self._limits = limits
        self._suspicious: deque[bool] = deque(maxlen=WINDOW)
        self._count = 0

    def fault_of_picture(self, measures: Measures) -> str | None:
        """Return which limit the picture breaks, with value and limit; None when it may be judged."""
        limits = self._limits
        checks = (
            ("brightness", measures.brightness, limits.brightness_low, limits.brightness_high),
            ("sharpness", measures.sharpness, limits.sharpness_low, None),
        )
        for what, value, low, high in checks:
            if low is not None and not value >= low:
                return f"{what} {value:.1f}, expected {low:g} or more; look at light, lens and exposure"
            if high is not None and not value <= high:
                return f"{what} {value:.1f}, expected {high:g} or less; look at light and exposure"
        return None

    def note(self, suspicious: bool) -> None:
        """Count a frame that was classified: did any of its tiles reach a gate?"""
        if len(self._suspicious) == WINDOW:
            self._count -= self._suspicious[0]
        self._suspicious.append(suspicious)
        self._count += suspicious

    def fault_of_share(self) -> str | None:
        """Return why no frame may pass at present: more of them are suspicious than any product is; else None."""
        limit = self._limits.suspicious_share
        share = self._count / WINDOW
        if limit is None or share <= limit:
            return None
        return (
            f"{share:.0%} of the last {WINDOW} frames had a tile over a gate, expected {limit:.0%} or less; "
            "look at product, recipe and light"
        )
