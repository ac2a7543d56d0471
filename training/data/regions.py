"""
Labels as regions, the way COCO files hold them: polygons, or run-lengths plain and compressed.

Run-lengths count pixels top to bottom, then left to right, beginning with those outside the region.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask  # type: ignore[import-untyped]  # ships no types

from edge.errors import DataError
from training.data.runs import MOST_PX

Polygons = tuple[tuple[float, ...], ...]
"""Each x, y, x, y, ... [px], the corner of the picture at 0, 0."""
_CONTINUES, _SIGN, _BITS = 0x20, 0x10, 5
_ZERO = ord("0")


@dataclass(frozen=True)
class Region:
    """
    One region of one class; *where* names it in a complaint.

    Attributes:
        polygons: whose union it is; none where run-lengths say it.
        runs: run-lengths of the whole picture, as numbers or compressed.
        size: (height, width) that the run-lengths are of; None for polygons.
    """

    where: str
    class_id: int
    polygons: Polygons = ()
    runs: tuple[int, ...] | str = ()
    size: tuple[int, int] | None = None

    def counts(self, height: int, width: int) -> NDArray[np.int64]:
        """
        Return the run-lengths in a picture of that size; what lies outside the picture is cut off.

        Raises:
            DataError: the run-lengths are none or belong to another size, a point is far away, or no pixel is marked.
        """
        if self.size is not None and self.size != (height, width):
            raise DataError(
                f"{self.where}: run-lengths of {self.size[0]}x{self.size[1]} px, the picture has {height}x{width} "
                "(height x width); export it again"
            )
        runs = self.runs if self.size is not None else self._runs_of_polygons(height, width)
        numbers = counts_from_text(self.where, runs) if isinstance(runs, str) else runs
        # No picture has that many pixels; a longer number would not fit int64.
        counts = np.array([max(-1, min(number, MOST_PX)) for number in numbers], np.int64)
        if (counts < 0).any() or counts.sum() != height * width:
            raise DataError(f"{self.where}: run-lengths add up to {counts.sum()}, expected {height * width} px")
        if not counts[1::2].any():
            raise DataError(f"{self.where}: marks no pixel of its picture of {height}x{width} px; draw or delete it")
        return counts

    def leaves(self, height: float, width: float) -> bool:
        """Tell whether a polygon lies more than 1 px beyond a picture of that size."""
        limits = np.array([width, height]) + 1.0
        outlines = [np.reshape(polygon, (-1, 2)) for polygon in self.polygons]
        return any(bool((points < -1.0).any() or (points > limits).any()) for points in outlines)

    def _runs_of_polygons(self, height: int, width: int) -> str:
        for polygon in self.polygons:
            # A rasteriser takes memory by the length of an outline: a point far away is a mistake, and would fill it.
            if not np.isfinite(polygon).all() or np.abs(polygon).max() > 4 * (height + width):
                raise DataError(f"{self.where}: a point lies far outside its picture of {height}x{width} px")
        outlines = [list(polygon) for polygon in self.polygons]
        joined: bytes = coco_mask.merge(coco_mask.frPyObjects(outlines, height, width))["counts"]
        return joined.decode("ascii")


@dataclass(frozen=True)
class Regions:
    """
    Labels of one picture.

    Where regions of two classes overlap the smaller one is seen: hand-drawn outlines overlap at their rims, and a small
    defect on a large one would otherwise be lost or not, depending on the order in a file.

    Attributes:
        where: names the picture in a complaint.
        size: (height, width) that the file says the picture has; None if it does not say.
        regions: empty for a sound picture.
    """

    where: str
    size: tuple[int, int] | None
    regions: tuple[Region, ...]

    def leaving(self) -> int:
        """Return how many regions reach beyond the picture, by the size that the file says."""
        return sum(region.leaves(*self.size) for region in self.regions) if self.size else 0

    def read(self, height: int, width: int) -> NDArray[np.uint8]:
        if self.size is not None and self.size != (height, width):
            raise DataError(
                f"{self.where}: {self.size[0]}x{self.size[1]} px, the picture file has {height}x{width} (height x "
                "width); was it scaled or turned after it was labelled?"
            )
        found = [(region.class_id, region.counts(height, width)) for region in self.regions]
        found.sort(key=lambda region: (-int(region[1][1::2].sum()), region[0]))
        labels = np.zeros(height * width, np.uint8)
        for class_id, counts in found:
            labels[np.repeat(np.arange(len(counts)) % 2 == 1, counts)] = class_id
        return np.ascontiguousarray(labels.reshape(height, width, order="F"))


def counts_from_text(where: str, text: str) -> list[int]:
    """
    Decode compressed run-lengths.

    pycocotools is not asked to: of a text that is too short it returns memory that nobody has written.

    Raises:
        DataError: the text ends within a number or has a letter that none of the format has.

    Source:
        pycocotools, common/maskApi.c, rleFrString(): five bits a letter from '0' on, the lowest first, a sixth says
        that more follow; from the third on the numbers are differences to the last but one.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - _ZERO
        if not 0 <= bits < 2 * _CONTINUES or shift > 8 * _BITS:
            raise DataError(f"{where}: '{letter}' in the compressed run-lengths: expected letters from '0' to 'o'")
        value |= (bits & (_CONTINUES - 1)) << shift
        shift += _BITS
        if bits & _CONTINUES:
            continue
        if bits & _SIGN:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise DataError(f"{where}: the compressed run-lengths end within a number; export it again")
    return counts
