"""Which defects are missed, by size, and how much of each is covered."""

from __future__ import annotations

import numpy as np
import pytest

from training.figures.regions import OverlapCurve, RegionCounts, regions_of


def square(side: int, top: int = 0, left: int = 0, class_id: int = 1) -> np.ndarray:
    """Return (64, 64) labels with one square."""
    labels = np.zeros((64, 64), np.uint8)
    labels[top : top + side, left : left + side] = class_id
    return labels


def test_regions_are_connected_pieces_of_one_class() -> None:
    """Diagonals join, classes that touch do not."""
    labels = np.array([[1, 0, 0, 2], [0, 1, 0, 2], [0, 0, 0, 1]], np.uint8)
    assert sorted(len(region[0]) for region in regions_of(labels)) == [1, 2, 2]


def test_missed_defects_by_size() -> None:
    """A small region without a mark is missed though its part is rejected for the large one."""
    counts = RegionCounts()
    expected = square(3) | square(20, 30, 30)
    counts.add(expected, square(20, 30, 30), "a", passed=False)
    counts.add(square(3), square(0), "b", passed=True)
    counts.add(square(0), square(5), "c", passed=False)
    figures = counts.figures(0.95)
    small, large = figures.by_size
    assert (small.from_px, small.below_px, large.from_px, large.below_px) == (1, 16, 256, 1024)
    assert (small.missed_regions.hits, small.missed_regions.images, small.missed_parts.images) == (2, 2, 1)
    assert (small.missed_parts.hits, large.missed_parts.hits, large.missed_regions.hits) == (1, 0, 0)
    assert figures.overlap.value == pytest.approx((0 + 1 + 0) / 3)


def test_any_mark_in_a_region_finds_it() -> None:
    """One pixel of another class is a mark: the part is looked at."""
    counts = RegionCounts()
    counts.add(square(4), square(1, class_id=2), "a", passed=False)
    figures = counts.figures(0.95)
    assert figures.by_size[0].missed_regions.hits == 0
    assert figures.overlap.value == pytest.approx(1 / 16)


def test_the_overlap_curve_of_a_perfect_map_is_one() -> None:
    """Certain inside, nothing outside."""
    curve = OverlapCurve()
    curve.add(square(8), (square(8) > 0)[np.newaxis].astype(np.float16), "a")
    assert curve.area(0.95).value == pytest.approx(1.0)


def test_the_overlap_curve_of_an_even_map_is_the_diagonal() -> None:
    """One probability everywhere: overlap equals false positives, so that the mean overlap up to 0.3 is 0.15."""
    curve = OverlapCurve()
    curve.add(square(8), np.full((1, 64, 64), 0.5, np.float16), "a")
    assert curve.area(0.95).value == pytest.approx(0.15)


def test_small_regions_weigh_as_much_as_large_ones() -> None:
    """A large region found and a small one missed give half, until everything is marked."""
    expected = square(2, 60, 60) | square(30)
    planes = (square(30) > 0)[np.newaxis].astype(np.float16)
    curve = OverlapCurve()
    curve.add(expected, planes, "a")
    # From (0, 0.5) the curve rises to (1, 1); up to 0.3 that is 0.5 to 0.65.
    assert curve.area(0.95).value == pytest.approx(0.575)


def test_without_a_region_there_is_no_area() -> None:
    """Sound pictures alone have no overlap."""
    curve = OverlapCurve()
    curve.add(square(0), np.zeros((1, 64, 64), np.float16), "a")
    assert curve.area(0.95).value is None
