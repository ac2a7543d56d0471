"""
Ignore zones: where in a camera's picture a defect does not count, as on a fixture that is always in view. Pure.

A defect is ignored only if every pixel of it lies in zones: one that reaches out of them counts, with its whole area.
"""

from __future__ import annotations

import functools

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray


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
    corners = np.array(zone.polygon, np.int32).reshape(-1, 1, 2)
    cv2.fillPoly(mask, [corners], 1)
    # OpenCV's filling takes pixels in that the outline only grazes.
    cv2.polylines(mask, [corners], isClosed=True, color=0)
    return mask
