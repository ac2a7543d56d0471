"""Labels to defects, against a slow and independent reference."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from edge.records import Defect, Outcome
from edge.regions import Box, findings_from_labels
from edge.rules import MOST_DEFECTS, Recipe, outcome_from_findings
from edge.zones import Zone
from tests.support.records import limits, recipe

sides = st.integers(1, 14)


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw labels and confidences of one size."""
    shape = (draw(sides), draw(sides))
    labels = draw(arrays.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 1, 2])))
    confidence = draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, 255)))
    return labels, confidence


def defects_from_labels(
    labels: NDArray[np.uint8], confidence: NDArray[np.uint8], used: Recipe, within: Box
) -> tuple[Defect, ...]:
    return findings_from_labels(labels, confidence, used, within).defects


def whole(labels: NDArray[np.uint8]) -> Box:
    return Box(0, 0, *labels.shape)


def flooded(labels: NDArray[np.uint8]) -> list[set[tuple[int, int]]]:
    """Return each 8-connected region of equal, non-zero labels as a set of (y, x)."""
    left = {(int(y), int(x)) for y, x in zip(*labels.nonzero(), strict=True)}
    regions = []
    while left:
        region, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            region.add((y, x))
            around = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            near = {point for point in around if labels[point] == labels[y, x]}
            left -= near
            edge += near
        regions.append(region)
    return regions


def described(region: set[tuple[int, int]], labels: NDArray[np.uint8], confidence: NDArray[np.uint8]) -> tuple:
    """Return what a defect of this region must say, computed point by point."""
    ys, xs = [y for y, _ in region], [x for _, x in region]
    height, width = labels.shape
    return (
        int(labels[next(iter(region))]),
        len(region),
        (min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1),
        (round(sum(xs) / len(region), 1), round(sum(ys) / len(region), 1)),
        max(int(confidence[point]) for point in region) / 255,
        min(xs) == 0 or min(ys) == 0 or max(xs) == width - 1 or max(ys) == height - 1,
    )


def told(found: Defect) -> tuple:
    return (found.class_id, found.area_px, found.box, found.centroid, found.peak, found.cut)


@given(cases())
def test_regions_are_those_of_a_flood_fill(case: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    """Class, area, box, centroid, peak and cut of every region, and no region more or less."""
    labels, confidence = case
    found = defects_from_labels(labels, confidence, recipe(), whole(labels))
    expected = [described(region, labels, confidence) for region in flooded(labels)]
    assert sorted(map(told, found)) == sorted(expected)
    assert [d.area_px for d in found] == sorted((d.area_px for d in found), reverse=True)


@given(cases(), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_the_search_window_changes_nothing(
    case: tuple[NDArray[np.uint8], NDArray[np.uint8]], top: int, left: int, below: int, right: int
) -> None:
    """A box that holds all labels gives the defects of the whole frame, with the frame's coordinates and edges."""
    inner, inner_confidence = case
    labels = np.pad(inner, ((top, below), (left, right)))
    confidence = np.pad(inner_confidence, ((top, below), (left, right)))
    box = Box(top, left, top + inner.shape[0], left + inner.shape[1])
    assert defects_from_labels(labels, confidence, recipe(), box) == defects_from_labels(
        labels, confidence, recipe(), whole(labels)
    )


def test_touching_corners_are_one_region_and_other_classes_are_not() -> None:
    """A diagonal line is one defect; a line that changes its class is two."""
    diagonal = np.eye(4, dtype=np.uint8)
    assert [d.area_px for d in defects_from_labels(diagonal, diagonal, recipe(), whole(diagonal))] == [4]
    diagonal[2:, 2:] *= 2
    assert [d.area_px for d in defects_from_labels(diagonal, diagonal, recipe(), whole(diagonal))] == [2, 2]


def test_no_labels_are_no_defects() -> None:
    """A sound frame has none, however certain the network was of something below its threshold."""
    labels = np.zeros((5, 6), np.uint8)
    assert defects_from_labels(labels, np.full_like(labels, 255), recipe(), whole(labels)) == ()


@pytest.mark.parametrize(
    ("min_area_px", "min_peak", "counts"),
    [(6, 0.0, True), (6.5, 0.0, False), (0, 200 / 255, True), (0, 0.8, False), (0, 1.0, False)],
)
def test_a_defect_counts_from_its_limits_on(min_area_px: float, min_peak: float, counts: bool) -> None:
    """Six pixels of peak 200/255 count if both limits are reached, exactly reached included."""
    labels = np.zeros((8, 8), np.uint8)
    labels[2:4, 3:6] = 1
    confidence = labels * 200
    limited = recipe(limits("pits", min_area_px=min_area_px, min_peak=min_peak), limits("cracks"))
    found = findings_from_labels(labels, confidence, limited, whole(labels))
    assert [defect.counts for defect in found.defects] == [counts]
    assert found.counting == (int(counts), 0)
    assert outcome_from_findings(found, limited) is (Outcome.REJECT if counts else Outcome.PASS)


def test_full_confidence_reaches_a_peak_of_one() -> None:
    """255 is 1.0: a limit of 1 can be reached."""
    labels = np.ones((1, 1), np.uint8)
    certain = recipe(limits("pits", min_peak=1.0))
    (found,) = defects_from_labels(labels, labels * 255, certain, whole(labels))
    assert found.counts


def test_a_defect_at_the_frame_edge_is_cut_and_one_beside_it_is_not() -> None:
    """Each of the four edges cuts; one pixel away none does."""
    for y, x, cut in [(0, 3, True), (5, 3, True), (2, 0, True), (2, 6, True), (1, 1, False), (4, 5, False)]:
        labels = np.zeros((6, 7), np.uint8)
        labels[y, x] = 1
        (found,) = defects_from_labels(labels, labels, recipe(), whole(labels))
        assert found.cut is cut, (y, x)


def test_area_in_mm2_follows_the_scale() -> None:
    """Ten pixels at 0.5 mm are 2.5 mm2; without a scale there is no such number."""
    labels = np.zeros((8, 20), np.uint8)
    labels[3, 2:12] = 2
    (found,) = defects_from_labels(labels, labels, recipe(mm_per_px=0.5), whole(labels))
    assert found.area_mm2 == pytest.approx(2.5)
    (found,) = defects_from_labels(labels, labels, recipe(), whole(labels))
    assert found.area_mm2 is None


def test_a_picture_full_of_noise_is_judged_whole_and_described_in_part() -> None:
    """Of very many defects the largest are described; all of them are counted, also those that are not described."""
    labels = np.zeros((100, 100), np.uint8)
    labels[::2, ::2] = 1
    labels[0:3, 0:3] = 1
    noisy = recipe(limits("pits", max_count=2000))
    found = findings_from_labels(labels, labels, noisy, whole(labels))
    assert found.total == found.counting[0] == 2500 - 3
    assert len(found.defects) == MOST_DEFECTS
    assert found.defects[0].area_px == 9
    assert outcome_from_findings(found, noisy) is Outcome.REJECT


def zoned(*zones: Zone) -> Recipe:
    return msgspec.structs.replace(recipe(), ignore=zones)


@given(cases(), st.tuples(*[st.integers(0, 12)] * 4))
def test_a_defect_is_ignored_only_when_every_pixel_of_it_lies_in_a_zone(
    case: tuple[NDArray[np.uint8], NDArray[np.uint8]], box: tuple[int, int, int, int]
) -> None:
    """One that reaches out of it by a pixel counts with its whole area, as without a zone."""
    labels, confidence = case
    left, top, width, height = box
    free = [
        region
        for region in flooded(labels)
        if not all(left <= x < left + width and top <= y < top + height for y, x in region)
    ]
    found = findings_from_labels(labels, confidence, zoned(Zone(box=box)), whole(labels))
    assert sorted(map(told, found.defects)) == sorted(described(region, labels, confidence) for region in free)
    assert (found.total, sum(found.counting)) == (len(free), len(free))


def test_two_zones_that_touch_are_one_and_a_search_of_a_part_knows_them() -> None:
    """A defect over both is ignored; where only some tiles were searched the zones stay where they are."""
    labels = np.zeros((6, 12), np.uint8)
    labels[2, 3:9] = 1
    halves = zoned(Zone(box=(2, 1, 4, 3)), Zone(box=(6, 1, 4, 3)))
    assert findings_from_labels(labels, labels, halves, whole(labels)).total == 0
    assert findings_from_labels(labels, labels, halves, Box(2, 3, 6, 9)).total == 0
    assert findings_from_labels(labels, labels, zoned(Zone(box=(2, 1, 4, 3))), Box(2, 3, 6, 9)).total == 1
