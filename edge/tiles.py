"""
The one grid: frames to tiles and back, the same for both networks, for training and for the line.

Whole cores are laid from (0, 0); the last row and column overhang the frame. A tile is its core plus a halo all round.
Outside the picture lies a constant pad value. Pure numpy; no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engines.contract import TileShape

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Grid:
    """
    The tiles of one canvas. Tile index i = row * columns + column.

    Attributes:
        height, width: the canvas = largest frame [px].
        tile: core and halo [px].
    """

    height: int
    width: int
    tile: TileShape

    @property
    def rows(self) -> int:
        return -(-self.height // self.tile.core_height)

    @property
    def columns(self) -> int:
        return -(-self.width // self.tile.core_width)

    @property
    def count(self) -> int:
        return self.rows * self.columns

    @property
    def padded_height(self) -> int:
        return self.rows * self.tile.core_height + 2 * self.tile.halo

    @property
    def padded_width(self) -> int:
        return self.columns * self.tile.core_width + 2 * self.tile.halo

    def core(self, index: int) -> tuple[int, int]:
        """Return (top, left) of the core of tile *index* in the frame [px]."""
        row, column = divmod(index, self.columns)
        return row * self.tile.core_height, column * self.tile.core_width

    def active(self, height: int, width: int) -> list[int]:
        """Return the tiles whose core touches a picture of *height* x *width* px at (0, 0), in index order."""
        rows = -(-height // self.tile.core_height)
        columns = -(-width // self.tile.core_width)
        return [row * self.columns + column for row in range(rows) for column in range(columns)]

    def neighbours(self, index: int) -> list[int]:
        """Return the up to eight tiles whose cores touch the core of tile *index*, diagonals included."""
        row, column = divmod(index, self.columns)
        return [
            r * self.columns + c
            for r in range(max(row - 1, 0), min(row + 2, self.rows))
            for c in range(max(column - 1, 0), min(column + 2, self.columns))
            if (r, c) != (row, column)
        ]


class Canvas:
    """
    A padded frame buffer: the picture lies at (halo, halo), everything else holds the pad value.

    Made once and reused for every frame of a slot; tiles are cut from it without a bounds check a pixel.
    """

    def __init__(self, grid: Grid, channels: int, pad_value: int) -> None:
        self.grid = grid
        self._pad_value = pad_value
        self._buffer = np.full((grid.padded_height, grid.padded_width, channels), pad_value, np.uint8)
        self._region = (grid.height, grid.width)

    @property
    def region(self) -> tuple[int, int]:
        """(height, width) of the picture that was written last [px]."""
        return self._region

    @property
    def picture(self) -> NDArray[np.uint8]:
        """(region height, region width, C) view of the picture; changes with the next write."""
        halo = self.grid.tile.halo
        height, width = self._region
        return self._buffer[halo : halo + height, halo : halo + width]

    def write(self, image: NDArray[np.uint8]) -> None:
        """
        Copy a picture into the canvas and restore the pad value around it.

        Args:
            image: (h, w) or (h, w, C) uint8 with h <= grid.height and w <= grid.width.

        Raises:
            ValueError: the picture is larger than the canvas, or has other channels.
        """
        if image.ndim == 2:
            image = image[:, :, np.newaxis]
        height, width, channels = image.shape
        if height > self.grid.height or width > self.grid.width or channels != self._buffer.shape[2]:
            raise ValueError(
                f"picture {height}x{width}x{channels} does not fit the canvas "
                f"{self.grid.height}x{self.grid.width}x{self._buffer.shape[2]} (height x width x channels)"
            )
        if height < self._region[0] or width < self._region[1]:
            self._buffer[:] = self._pad_value
        self._region = (height, width)
        self.picture[:] = image

    def cut(self, indices: list[int], out: NDArray[np.uint8]) -> None:
        """
        Copy tiles into *out*.

        Args:
            indices: n tile indices of the grid.
            out: (>= n, tile.height, tile.width, C) uint8; rows 0..n-1 are written.
        """
        tile = self.grid.tile
        for row, index in enumerate(indices):
            top, left = self.grid.core(index)
            out[row] = self._buffer[top : top + tile.height, left : left + tile.width]


def paste_cores(
    grid: Grid, indices: list[int], cores: NDArray[Scalar], region: tuple[int, int], out: NDArray[Scalar]
) -> None:
    """
    Copy the tiles' cores to their place in the frame; what lies outside the region is dropped.

    Args:
        grid: the canvas' grid.
        indices: n tile indices.
        cores: (>= n, core_height, core_width) labels, confidences or probabilities.
        region: (height, width) of the picture [px].
        out: (height, width), written where the cores lie.
    """
    for row, index in enumerate(indices):
        top, left = grid.core(index)
        target = out[
            top : min(top + grid.tile.core_height, region[0]), left : min(left + grid.tile.core_width, region[1])
        ]
        target[:] = cores[row, : target.shape[0], : target.shape[1]]


def labels_from_planes(planes: NDArray[np.floating], thresholds: NDArray[np.floating]) -> NDArray[np.uint8]:
    """
    Apply the label rule to class probabilities: arg max over the classes that reach their own threshold, else 0.

    Args:
        planes: (K, h, w) probability of each defect class, 0..1.
        thresholds: (K,) 0..1.

    Returns:
        (h, w) labels, 0 = sound, k = class k-1 of the manifest.
    """
    passed = np.where(planes >= thresholds[:, np.newaxis, np.newaxis], planes, -1.0)
    best = passed.argmax(axis=0)
    return np.where(passed.max(axis=0) >= 0.0, best + 1, 0).astype(np.uint8)
