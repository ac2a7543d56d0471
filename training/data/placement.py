"""Where a tile lies: rotated, scaled and shifted a little, mirrored, turned; labels alike, without a new value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.contract import TileShape
from training.data.windows import OUTSIDE, Window

Scalar = TypeVar("Scalar", np.uint8, np.float32)


@dataclass(frozen=True)
class Placement:
    """How far a tile may be moved, each +-: *rotate_deg* about its centre, *scale* relative, *shift_px* an axis."""

    rotate_deg: float
    scale: float
    shift_px: float

    @property
    def moves(self) -> bool:
        return bool(self.rotate_deg or self.scale or self.shift_px)


@dataclass(frozen=True)
class View:
    """
    A tile where it was placed.

    Attributes:
        pixels: (h, w, C) uint8; what they are outside the picture means nothing.
        labels: (h, w) uint8, OUTSIDE outside the picture.
        outside: (h, w) True where there is no picture, None if it is all picture.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    outside: NDArray[np.bool_] | None


def reach_px(placement: Placement, height: int, width: int) -> int:
    """Return how far beyond a tile of *height* x *width* px its placements reach, at most [px]."""
    if not placement.moves:
        return 0
    reach = max(_reach(placement, height, width), _reach(placement, width, height))
    return math.ceil(reach + placement.shift_px) + 1


def picture_in(window: Window) -> tuple[slice, slice]:
    """Return rows and columns of a window that show the picture; empty slices if nothing does."""
    if window.labels.max() != OUTSIDE:
        return slice(0, window.labels.shape[0]), slice(0, window.labels.shape[1])
    inside = window.labels != OUTSIDE
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def placed(window: Window, tile: TileShape, placement: Placement, rng: np.random.Generator) -> View:
    """
    Draw where the tile lies, and cut it.

    Args:
        window: the tile, with the same number of px more on each side; these are shown where the tile turns or moves
            to them. What lies beyond the window is void.
        tile: size of what is cut.
        placement: how far it may be moved.
        rng: draws where to.

    Returns:
        The tile; the unmoved one if a class in it would be lost.
    """
    still = _centre(window, tile)
    if not placement.moves:
        return still
    moved = _moved(window, tile, _matrix(window, tile, placement, rng))
    return still if moved is None or _classes(still.labels) - _classes(moved.labels) else moved


def mirrored(array: NDArray[Scalar], turns: int, flip_rows: bool, flip_columns: bool) -> NDArray[Scalar]:
    """Return (h, w, ...) turned by *turns* times 90 degrees, then mirrored; a view."""
    if turns:
        array = np.rot90(array, turns)
    return array[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _reach(placement: Placement, along: int, across: int) -> float:
    """Return how far a corner moves outwards along one axis [px]."""
    angle = min(math.radians(placement.rotate_deg), math.atan2(across, along))
    corner = (along * math.cos(angle) + across * math.sin(angle)) / 2
    return corner / (1.0 - placement.scale) - along / 2


def _centre(window: Window, tile: TileShape) -> View:
    top, left = _margins(window, tile)
    cut = (slice(top, top + tile.height), slice(left, left + tile.width))
    return _view(window.pixels[cut], window.labels[cut])


def _view(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> View:
    return View(pixels, labels, np.equal(labels, OUTSIDE) if labels.max() == OUTSIDE else None)


def _margins(window: Window, tile: TileShape) -> tuple[int, int]:
    height, width = window.labels.shape
    return (height - tile.height) // 2, (width - tile.width) // 2


def _matrix(window: Window, tile: TileShape, placement: Placement, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the (2, 3) map from (x, y) of the tile to (x, y) of the window."""
    angle = math.radians(rng.uniform(-placement.rotate_deg, placement.rotate_deg))
    size = 1.0 + rng.uniform(-placement.scale, placement.scale)
    shift = rng.uniform(-placement.shift_px, placement.shift_px, 2)
    top, left = _margins(window, tile)
    linear = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / size
    centre = np.array([(tile.width - 1) / 2, (tile.height - 1) / 2])
    offset = centre + np.array([left, top]) + shift - linear @ centre
    return np.column_stack([linear, offset])


def _moved(window: Window, tile: TileShape, matrix: NDArray[np.float64]) -> View | None:
    """Cut along the map; from the picture alone, so that no pad value is mixed into its ends."""
    rows, columns = picture_in(window)
    if rows.stop == rows.start:
        return None
    matrix = matrix - np.array([[0, 0, columns.start], [0, 0, rows.start]])
    picture, drawn = window.pixels[rows, columns], window.labels[rows, columns]
    pixels = _warped(picture, matrix, tile, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE, 0)
    labels = _warped(drawn, matrix, tile, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT, OUTSIDE)
    return _view(pixels.reshape(*labels.shape, -1), labels)


def _warped(
    source: NDArray[np.uint8], matrix: NDArray[np.float64], tile: TileShape, mode: int, border: int, fill: int
) -> NDArray[np.uint8]:
    return cv2.warpAffine(
        source,
        matrix,
        (tile.width, tile.height),
        flags=mode | cv2.WARP_INVERSE_MAP,
        borderMode=border,
        borderValue=(fill, fill, fill, fill),
    ).astype(np.uint8, copy=False)


def _classes(labels: NDArray[np.uint8]) -> set[int]:
    """Return the class ids that occur."""
    if not labels.any():
        return set()
    counts = cv2.calcHist([labels], [0], None, [256], [0, 256])  # a tenth of bincount's time
    return set(np.flatnonzero(counts).tolist()) - {0, OUTSIDE}
