"""
Ignore zones: where in a camera's picture a defect does not count, as on a fixture that is always in view. Pure.

A defect is ignored only if every pixel of it lies in zones: one that reaches out of them counts, with its whole area.
"""

from __future__ import annotations

import functools

import msgspec
import numpy as np
from numpy.typing import NDArray

# Of a pixel; a place in the middle of two must not be rounded to one of them.
_HALF = 0.5 + 1e-9


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """A rectangle or a polygon of the picture [px]; one of the two."""

    box: tuple[int, int, int, int] | None = None
    """left, top, width, height: these pixels and no others."""
    polygon: tuple[tuple[int, int], ...] = ()
    """x, y of the corners. The outline itself is not part of the zone: what touches it counts."""


def reach_of(zone: Zone) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the pixels a zone is given by; right and bottom are the last inside."""
    if zone.box is not None:
        left, top, width, height = zone.box
        return left, top, left + width - 1, top + height - 1
    xs, ys = zip(*zone.polygon, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


@functools.lru_cache(maxsize=64)
def mask_from_zones(zones: tuple[Zone, ...], height: int, width: int) -> NDArray[np.bool_]:
    """
    Return which pixels of a picture lie in a zone.

    Returns:
        (height, width) bool, kept and shared: not to be written to.
    """
    mask = np.zeros((height, width), np.uint8)
    for zone in zones:
        mask |= _filled(zone, height, width)
    inside = mask.astype(np.bool_)
    inside.flags.writeable = False
    return inside


def share_from_zones(zones: tuple[Zone, ...], height: int, width: int) -> float:
    """Return which share of a picture lies in zones: 0..1, overlaps once."""
    mask = np.zeros((height, width), np.uint8)
    for zone in zones:
        mask |= _filled(zone, height, width)
    return float(np.count_nonzero(mask)) / mask.size


def _filled(zone: Zone, height: int, width: int) -> NDArray[np.uint8]:
    mask = np.zeros((height, width), np.uint8)
    if zone.box is not None:
        left, top, width_, height_ = zone.box
        mask[max(top, 0) : top + height_, max(left, 0) : left + width_] = 1
        return mask
    corners = np.array(zone.polygon, np.int64)
    edges = list(zip(corners, np.roll(corners, -1, axis=0), strict=True))
    # Even-odd: a row changes sides wherever an edge crosses it. Without OpenCV, which the station does not load.
    crossed = np.zeros((height, width + 1), np.uint8)
    for begin, end in edges:
        xs, ys = _pixels_of(begin, end, along=1)
        upper, lower = sorted((begin[1], end[1]))
        within = (ys >= max(upper, 0)) & (ys < min(lower, height))
        crossed[ys[within], np.clip(np.ceil(xs[within]), 0, width).astype(np.int64)] ^= 1
    mask[:] = np.bitwise_xor.accumulate(crossed, axis=1)[:, :width]
    for begin, end in edges:
        _clear_outline(mask, begin, end)
    return mask


def _clear_outline(mask: NDArray[np.uint8], begin: NDArray[np.int64], end: NDArray[np.int64]) -> None:
    """Set the pixels nearest to an edge to 0; where two are as near, both."""
    steep = int(np.argmax(np.abs(end - begin)))
    exact, along = _pixels_of(begin, end, steep)
    for across in (np.floor(exact + _HALF).astype(np.int64), np.ceil(exact - _HALF).astype(np.int64)):
        xs, ys = (across, along) if steep else (along, across)
        seen = (xs >= 0) & (xs < mask.shape[1]) & (ys >= 0) & (ys < mask.shape[0])
        mask[ys[seen], xs[seen]] = 0


def _pixels_of(
    begin: NDArray[np.int64], end: NDArray[np.int64], along: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return where an edge is across, exactly, at each pixel along x (0) or y (1)."""
    first, last = sorted((int(begin[along]), int(end[along])))
    pixels = np.arange(first, last + 1)
    length = int(end[along] - begin[along])
    slope = (end[1 - along] - begin[1 - along]) / length if length else 0.0
    return begin[1 - along] + (pixels - begin[along]) * slope, pixels
