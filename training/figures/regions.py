"""
Which defects are missed, by their size, and how much of each is covered.

A region is a connected piece of one class in the truth, diagonals included. It is missed when none of its pixels is
marked, as whatever class. The per-region overlap gives a small region the same weight as a large one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from training.figures.intervals import Estimate, Rate, bootstrap, mean, rate

SIZES_PX = (1, 16, 64, 256, 1024, 4096)
"""Where the bins of sizes begin; the last one has no end."""
MOST_FALSE = 0.3
"""False-positive rate up to which the overlap is integrated."""
_DROPPED_BITS = 3
_LEVELS = (int(np.float16(1.0).view(np.uint16)) >> _DROPPED_BITS) + 1
"""The bits of a float16 from 0 to 1, read as whole numbers, ascend with it; without the lowest ones steps of 1 %."""


class SizeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Missed defects of one size."""

    from_px: int
    below_px: int | None
    missed_regions: Rate
    missed_parts: Rate
    """Pictures whose largest region is of this size, and that pass."""


class RegionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of the regions."""

    by_size: tuple[SizeFigures, ...]
    """Only sizes that occur."""
    overlap: Estimate
    """Mean over the regions of the share of their pixels that is marked."""


class RegionCounts:
    """Adds up defective pictures: expected regions against found labels."""

    def __init__(self) -> None:
        self._areas: list[int] = []
        self._covered: list[float] = []
        self._groups: list[str] = []
        self._parts: list[tuple[int, bool, str]] = []

    def add(self, expected: NDArray[np.uint8], found: NDArray[np.uint8], group: str, *, passed: bool) -> None:
        """
        Count one picture; a sound one counts for nothing.

        Args:
            expected: (h, w) labels.
            found: (h, w) labels.
            group: of the picture.
            passed: the line lets the part go.
        """
        areas = []
        for region in regions_of(expected):
            areas.append(len(region[0]))
            self._covered.append(np.count_nonzero(found[region]) / len(region[0]))
        if areas:
            self._areas += areas
            self._groups += [group] * len(areas)
            self._parts.append((max(areas), passed, group))

    def figures(self, confidence: float) -> RegionFigures:
        """Return the figures of all pictures so far."""
        sizes = [self._of_size(low, high, confidence) for low, high in pairwise([*SIZES_PX, None])]
        return RegionFigures(
            by_size=tuple(size for size in sizes if size.missed_regions.images),
            overlap=mean(self._covered, self._groups, confidence),
        )

    def _of_size(self, low: int | None, high: int | None, confidence: float) -> SizeFigures:
        assert low is not None
        within = [low <= area and (high is None or area < high) for area in self._areas]
        parts = [part for part in self._parts if low <= part[0] and (high is None or part[0] < high)]
        return SizeFigures(
            from_px=low,
            below_px=high,
            missed_regions=rate(
                [covered == 0.0 for covered, fits in zip(self._covered, within, strict=True) if fits],
                [group for group, fits in zip(self._groups, within, strict=True) if fits],
                confidence,
            ),
            missed_parts=rate([passed for _, passed, _ in parts], [group for _, _, group in parts], confidence),
        )


class OverlapCurve:
    """
    Per-region overlap against false positives, over all thresholds: from the probability planes of whole pictures.

    Source: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 129 (2021) 1038-1059, section 5.2: the mean
    over the regions of the share covered, integrated over the share of sound pixels marked from 0 to 0.3, over 0.3.
    """

    def __init__(self) -> None:
        self._covered: list[NDArray[np.float64]] = []
        self._regions: list[int] = []
        self._sound: list[NDArray[np.int64]] = []
        self._groups: list[str] = []

    def add(self, expected: NDArray[np.uint8], planes: NDArray[np.float16], group: str) -> None:
        """
        Count one picture.

        Args:
            expected: (h, w) labels.
            planes: (K, h, w) probability of each class, 0..1.
            group: of the picture.
        """
        levels = planes.max(axis=0).astype(np.float16).view(np.uint16) >> _DROPPED_BITS
        covered = np.zeros(_LEVELS)
        regions = list(regions_of(expected))
        for region in regions:
            covered += np.bincount(levels[region], minlength=_LEVELS) / len(region[0])
        self._covered.append(covered)
        self._regions.append(len(regions))
        self._sound.append(np.bincount(levels[expected == 0], minlength=_LEVELS).astype(np.int64))
        self._groups.append(group)

    def area(self, confidence: float) -> Estimate:
        """Return the normalised area under the curve; no value without a region or without a sound pixel."""
        # Cumulated once: a draw of the bootstrap only adds up.
        covered = np.cumsum(np.array(self._covered)[:, ::-1], axis=1)
        sound = np.cumsum(np.array(self._sound)[:, ::-1], axis=1)
        regions = np.array(self._regions)

        def area(at: NDArray[np.int64]) -> float | None:
            count, pixels = regions[at].sum(), sound[at, -1].sum()
            if not count or not pixels:
                return None
            return _area_up_to(sound[at].sum(axis=0) / pixels, covered[at].sum(axis=0) / count)

        return bootstrap(area, self._groups, confidence)


def regions_of(labels: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.intp], ...]]:
    """Yield the (rows, columns) of every connected region of every class."""
    for class_id in np.flatnonzero(np.bincount(labels.ravel(), minlength=2)[1:]) + 1:
        count, numbers = cv2.connectedComponents((labels == class_id).astype(np.uint8), connectivity=8)
        for number in range(1, count):
            yield np.nonzero(numbers == number)


def _area_up_to(false: NDArray[np.float64], covered: NDArray[np.float64]) -> float:
    """Integrate the curve from (0, 0) by trapezoids up to MOST_FALSE, and divide by it."""
    x, y = np.concatenate([[0.0], false]), np.concatenate([[0.0], covered])
    end = float(np.interp(MOST_FALSE, x, y))
    within = x < MOST_FALSE
    x, y = np.append(x[within], MOST_FALSE), np.append(y[within], end)
    return float(np.trapezoid(y, x) / MOST_FALSE)
