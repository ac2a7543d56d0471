"""
Ignore zones: where in a camera's picture a defect does not count, as on a fixture that is always in view. Pure.

A defect is ignored only if every pixel of it lies in zones: one that reaches out of them counts, with its whole area.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

# Of a pixel; a place in the middle of two must not be rounded to one of them.
_HALF = 0.5 + 1e-9
# Masks of sixteen cameras of 16 megapixels.
_MOST_BYTES = 256 << 20


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


class _Masks:
    """The masks that were asked for last, as many as fit into so many bytes, the newest in any case."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[tuple[Zone, ...], int, int], NDArray[np.bool_]] = OrderedDict()

    @property
    def size_bytes(self) -> int:
        return sum(mask.nbytes for mask in self._kept.values())

    def get(self, zones: tuple[Zone, ...], height: int, width: int) -> NDArray[np.bool_]:
        key = zones, height, width
        with self._lock:
            mask = self._kept.get(key)
            if mask is None:
                mask = self._kept[key] = _drawn(zones, height, width)
                mask.flags.writeable = False
                while len(self._kept) > 1 and self.size_bytes > self._most_bytes:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return mask


_MASKS = _Masks(_MOST_BYTES)


def mask_from_zones(zones: tuple[Zone, ...], height: int, width: int) -> NDArray[np.bool_]:
    """
    Return which pixels of a picture lie in a zone.

    Returns:
        (height, width) bool, kept and shared: not to be written to.
    """
    return _MASKS.get(zones, height, width)


def share_from_zones(zones: tuple[Zone, ...], height: int, width: int) -> float:
    """Return which share of a picture lies in zones: 0..1, overlaps once."""
    return float(np.count_nonzero(_drawn(zones, height, width))) / (height * width)


def _drawn(zones: tuple[Zone, ...], height: int, width: int) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), np.uint8)
    for zone in zones:
        left, top, right, bottom = reach_of(zone)
        left, top = max(left, 0), max(top, 0)
        # Of a large picture a zone is a small part: nothing outside it is touched.
        part = mask[top : max(bottom + 1, 0), left : max(right + 1, 0)]
        if zone.box is not None:
            part[:] = 1
        elif part.size:
            part |= _filled(np.array(zone.polygon, np.int64) - (left, top), *part.shape)
    return mask.view(np.bool_)


def _filled(corners: NDArray[np.int64], height: int, width: int) -> NDArray[np.uint8]:
    """Return a polygon without its outline; corners: (n, 2) x, y, which may lie outside."""
    edges = list(zip(corners, np.roll(corners, -1, axis=0), strict=True))
    # Even-odd: a column changes sides wherever an edge crosses it. Without OpenCV, which the station does not load.
    # By columns, since what runs along a column is done for a whole row at once.
    crossed = np.zeros((height + 1, width), np.uint8)
    for begin, end in edges:
        ys, xs = _pixels_of(begin, end, 0, min(int(max(begin[0], end[0])), width) - 1)
        crossed[np.clip(np.ceil(ys), 0, height).astype(np.int64), xs] ^= 1
    mask: NDArray[np.uint8] = np.bitwise_xor.accumulate(crossed, axis=0)[:height]
    for begin, end in edges:
        _clear_outline(mask, begin, end)
    return mask


def _clear_outline(mask: NDArray[np.uint8], begin: NDArray[np.int64], end: NDArray[np.int64]) -> None:
    """Set the pixels nearest to an edge to 0; where two are as near, both."""
    steep = int(np.argmax(np.abs(end - begin)))
    exact, along = _pixels_of(begin, end, steep, mask.shape[1 - steep] - 1)
    for across in (np.floor(exact + _HALF).astype(np.int64), np.ceil(exact - _HALF).astype(np.int64)):
        seen = (across >= 0) & (across < mask.shape[steep])
        ys, xs = (along, across) if steep else (across, along)
        mask[ys[seen], xs[seen]] = 0


def _pixels_of(
    begin: NDArray[np.int64], end: NDArray[np.int64], along: int, most: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return where an edge is across, exactly, at each pixel along x (0) or y (1) from 0 to *most*."""
    first, last = sorted((int(begin[along]), int(end[along])))
    pixels = np.arange(max(first, 0), min(last, most) + 1)
    length = int(end[along] - begin[along])
    slope = (end[1 - along] - begin[1 - along]) / length if length else 0.0
    return begin[1 - along] + (pixels - begin[along]) * slope, pixels
