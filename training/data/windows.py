"""
From pictures to tiles for training: the line's own grid, or the same tile laid anywhere.

``grid_windows`` cuts what the line cuts, with the line's code. ``window_at`` lays a tile of the same size at any place,
for variety in training; at a place of the grid both give the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.tiles import Canvas, Grid
from engines.contract import PixelFormat, TileShape

OUTSIDE = 255
"""Label of what lies outside the picture: no loss, no score."""
MIN_CORE_PX = 8
"""With fewer pixels of it in a tile's core, a class is neither present nor absent there for the classifier."""
PRESENT, ABSENT, UNDECIDED = 1.0, 0.0, -1.0


@dataclass(frozen=True)
class Picture:
    """
    A decoded sample.

    Attributes:
        image: (h, w, C) uint8 pixels as captured.
        labels: (h, w) uint8; OUTSIDE all over where only the class of a defective picture is known.
        class_ids: the defects that the picture is known to show, () = sound; a drawn picture's labels say it better.
        drawn: the labels say where the defects are.
        source: file name.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    class_ids: tuple[int, ...] = ()
    drawn: bool = True
    source: str = ""


@dataclass(frozen=True)
class TileRecipe:
    """How tiles are cut: the same for every picture of a run."""

    format: PixelFormat
    tile: TileShape
    pad_value: int
    class_count: int


@dataclass(frozen=True)
class Window:
    """
    One tile cut from a picture.

    Attributes:
        pixels: (h, w, C) uint8 with the pad value outside the picture.
        labels: (h, w) uint8, OUTSIDE outside the picture.
        source: the picture's file name.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    source: str = ""

    @property
    def outside(self) -> NDArray[np.bool_]:
        """(h, w) True where there is no picture."""
        return np.equal(self.labels, OUTSIDE)


def grid_windows(picture: Picture, tile: TileShape, pad_value: int) -> Iterator[Window]:
    """Yield every tile of the picture's own grid, in index order, as fresh arrays."""
    height, width, channels = picture.image.shape
    grid = Grid(height, width, tile)
    canvas = Canvas(grid, channels, pad_value)
    canvas.write(picture.image)
    pixels = np.empty((grid.count, tile.height, tile.width, channels), np.uint8)
    canvas.cut(list(range(grid.count)), pixels)
    for index in range(grid.count):
        yield Window(pixels[index], labels_at(picture, *grid.core(index), tile), picture.source)


def grid_cores(picture: Picture, tile: TileShape) -> list[tuple[int, int]]:
    """Return (top, left) of every core of the picture's own grid, in index order [px]."""
    height, width = picture.labels.shape
    grid = Grid(height, width, tile)
    return [grid.core(index) for index in range(grid.count)]


def window_at(picture: Picture, top: int, left: int, tile: TileShape, pad_value: int) -> Window:
    """Return the tile whose core begins at (top, left) of the picture [px]; both may be negative."""
    pixels = _cut(picture.image, top - tile.halo, left - tile.halo, tile, pad_value)
    return Window(pixels, labels_at(picture, top, left, tile), picture.source)


def labels_at(picture: Picture, top: int, left: int, tile: TileShape) -> NDArray[np.uint8]:
    """Return only the labels of window_at()."""
    return _cut(picture.labels, top - tile.halo, left - tile.halo, tile, OUTSIDE)


def targets_from_labels(labels: NDArray[np.uint8], tile: TileShape, class_count: int) -> NDArray[np.float32]:
    """
    Say which classes the classifier must find in a tile.

    Args:
        labels: (tile.height, tile.width) labels.
        tile: core and halo [px].
        class_count: K.

    Returns:
        (K,) PRESENT where the core holds at least MIN_CORE_PX of the class, UNDECIDED where it holds fewer or where
        only the halo holds some, else ABSENT.
    """
    halo = tile.halo
    core = labels[halo : halo + tile.core_height, halo : halo + tile.core_width]
    whole_px = np.bincount(labels.ravel(), minlength=256)[1 : class_count + 1]
    core_px = np.bincount(core.ravel(), minlength=256)[1 : class_count + 1]
    targets = np.where(whole_px > 0, UNDECIDED, ABSENT)
    return np.where(core_px >= MIN_CORE_PX, PRESENT, targets).astype(np.float32)


def _cut(source: NDArray[np.uint8], top: int, left: int, tile: TileShape, fill: int) -> NDArray[np.uint8]:
    """Copy tile.height x tile.width px from (top, left), *fill* where *source* has none."""
    height, width = source.shape[:2]
    out = np.full((tile.height, tile.width, *source.shape[2:]), fill, np.uint8)
    first_row, last_row = max(top, 0), min(top + tile.height, height)
    first_column, last_column = max(left, 0), min(left + tile.width, width)
    if first_row < last_row and first_column < last_column:
        out[first_row - top : last_row - top, first_column - left : last_column - left] = source[
            first_row:last_row, first_column:last_column
        ]
    return out
