"""Zones: which pixels lie in them, and that a doubtful one does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge import zones as module
from edge.zones import Zone, mask_from_zones, reach_of, share_from_zones


def test_a_box_is_exactly_its_pixels() -> None:
    """Left and top are in, left + width and top + height are not."""
    mask = mask_from_zones((Zone(box=(2, 1, 3, 2)),), 5, 7)
    assert np.argwhere(mask).tolist() == [[y, x] for y in (1, 2) for x in (2, 3, 4)]


def test_the_outline_of_a_polygon_is_not_in_it() -> None:
    """Only what lies strictly inside is ignored: rounding must not hide a defect beside it."""
    mask = mask_from_zones((Zone(polygon=((1, 1), (5, 1), (5, 4), (1, 4))),), 6, 8)
    assert np.argwhere(mask).tolist() == [[y, x] for y in (2, 3) for x in (2, 3, 4)]


def test_a_polygon_is_never_more_than_opencv_fills() -> None:
    """Less its outline; convex or not, crossing itself or not, and nearly as much."""
    random = np.random.default_rng(20)
    ours = theirs = 0
    for _ in range(300):
        height, width, corners = (int(n) for n in (*random.integers(10, 60, 2), random.integers(3, 8)))
        polygon = np.stack([random.integers(0, width, corners), random.integers(0, height, corners)], axis=1)
        filled = np.zeros((height, width), np.uint8)
        cv2.fillPoly(filled, [polygon.astype(np.int32)], 1)
        cv2.polylines(filled, [polygon.astype(np.int32)], isClosed=True, color=0)
        mask = mask_from_zones((Zone(polygon=tuple((int(x), int(y)) for x, y in polygon)),), height, width)
        assert not (mask & (filled == 0)).any()
        ours, theirs = ours + int(mask.sum()), theirs + int(filled.sum())
    assert 0.97 * theirs < ours <= theirs


def test_a_polygon_may_reach_beyond_the_picture() -> None:
    """What of it lies in the picture is in it, as if the picture were larger."""
    zone = Zone(polygon=((-9, -4), (30, 2), (12, 40), (3, 11)))
    small, large = (mask_from_zones((zone,), n, n) for n in (20, 60))
    assert (small == large[:20, :20]).all()
    assert small.any()


def test_nothing_beyond_a_zone_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 zones of a large picture cost as much as they are large, and not 64 pictures."""
    filled: list[int] = []
    fill = module._filled

    def counted(corners: NDArray[np.int64], height: int, width: int) -> NDArray[np.uint8]:
        filled.append(height * width)
        return fill(corners, height, width)

    monkeypatch.setattr(module, "_filled", counted)
    inside, across, outside = (
        ((10, 20), (40, 20), (30, 60)),
        ((-50, -50), (9, -50), (9, 9)),
        ((-9, -9), (-1, -9), (-5, -1)),
    )
    zones = tuple(Zone(polygon=corners) for corners in (inside, across, outside))
    assert share_from_zones(zones, 1000, 1000) > 0
    assert filled == [31 * 41, 10 * 10]


def test_masks_are_kept_up_to_so_many_bytes() -> None:
    """One of each camera; beyond that the one that was used longest ago goes, but never the only one."""
    masks = module._Masks(250)
    a, b, c = ((Zone(box=(0, 0, n, 1)),) for n in (1, 2, 3))
    kept = [masks.get(zones, 10, 10) for zones in (a, b)]
    assert masks.get(a, 10, 10) is kept[0]
    masks.get(c, 10, 10)
    assert (masks.size_bytes, masks.get(a, 10, 10) is kept[0], masks.get(b, 10, 10) is kept[1]) == (200, True, False)
    assert masks.get(a, 100, 100) is masks.get(a, 100, 100)
    assert masks.size_bytes == 10_000


def test_zones_add_up_and_end_with_the_picture() -> None:
    """A picture smaller than the canvas has what of them lies in it."""
    mask = mask_from_zones((Zone(box=(0, 0, 2, 9)), Zone(box=(3, 0, 9, 1))), 3, 5)
    assert mask.astype(int).tolist() == [[1, 1, 0, 1, 1], [1, 1, 0, 0, 0], [1, 1, 0, 0, 0]]


def test_a_mask_that_is_shared_cannot_be_written_to() -> None:
    """It is made once for all frames of its size."""
    mask = mask_from_zones((Zone(box=(0, 0, 2, 2)),), 4, 4)
    assert mask is mask_from_zones((Zone(box=(0, 0, 2, 2)),), 4, 4)
    with pytest.raises(ValueError, match="read-only"):
        mask[0, 0] = True


@pytest.mark.parametrize(
    ("zone", "reach"),
    [(Zone(box=(2, 1, 3, 2)), (2, 1, 4, 2)), (Zone(polygon=((4, 9), (1, 3), (7, 5))), (1, 3, 7, 9))],
)
def test_a_zone_tells_how_far_it_reaches(zone: Zone, reach: tuple[int, int, int, int]) -> None:
    """First and last pixel in x and y."""
    assert reach_of(zone) == reach
