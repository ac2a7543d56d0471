"""Pictures for people: fitted into a cell without distortion, with the outline of what is labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.windows import OUTSIDE

Colour = tuple[int, int, int]
COLOURS: tuple[Colour, ...] = (
    (255, 225, 0),
    (0, 229, 255),
    (255, 79, 216),
    (124, 255, 0),
    (255, 140, 0),
    (255, 70, 70),
    (160, 170, 255),
    (0, 255, 170),
)
"""RGB of classes 1, 2, ..., repeated; each is drawn over black, so that it shows on light and on dark."""
MOST_ENLARGED = 4.0
CONTEXT = 2.5
"""A close-up shows this many times the defect's longer side."""
SMALLEST_CLOSE_UP = 48


def class_colour(class_id: int) -> Colour:
    """Return the RGB colour of class 1, 2, ..."""
    return COLOURS[(class_id - 1) % len(COLOURS)]


@dataclass(frozen=True)
class Layer:
    """(h, w) pixels to draw around in one colour (RGB), *gap_px* off them [px of the drawing]."""

    mask: NDArray[np.bool_]
    colour: Colour
    gap_px: int = 3


def outlined(image: NDArray[np.uint8], labels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """
    Fit a picture into a cell and draw around what is labelled, each class in its colour.

    Args:
        image: (h, w, C) pixels as captured, C = 1 or 3 (BGR).
        labels: (h, w) labels; OUTSIDE is not drawn.
        height, width: of the cell [px].

    Returns:
        As drawn().
    """
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[:OUTSIDE]).tolist()
    return drawn(image, [Layer(labels == k, class_colour(k)) for k in present if k], height, width)


def drawn(image: NDArray[np.uint8], layers: Sequence[Layer], height: int, width: int) -> NDArray[np.uint8]:
    """
    Fit a picture into a cell and draw around the pixels of each layer, the last one on top.

    Args:
        image: (h, w, C) pixels as captured, C = 1 or 3 (BGR).
        layers: what to draw around.
        height, width: of the cell [px]; small pictures are enlarged at most MOST_ENLARGED times.

    Returns:
        (<= height, <= width, 3) RGB. A defect of less than a pixel is drawn as one pixel.
    """
    scale = min(height / image.shape[0], width / image.shape[1], MOST_ENLARGED)
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    mode = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_NEAREST
    shown = cv2.resize(_rgb(image), size, interpolation=mode).astype(np.uint8, copy=False)
    for layer in layers:
        covered = cv2.resize(layer.mask.astype(np.float32), size, interpolation=mode) > 0.0
        _draw(shown, covered.astype(np.uint8), layer)
    return shown


def close_up(labels: NDArray[np.uint8], class_id: int) -> tuple[slice, slice]:
    """Return rows and columns of a square about the largest region of *class_id*, cut at the picture's ends."""
    _, _, stats, centres = cv2.connectedComponentsWithStats((labels == class_id).astype(np.uint8))
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    longer = max(stats[largest, cv2.CC_STAT_WIDTH], stats[largest, cv2.CC_STAT_HEIGHT])
    side = max(int(longer * CONTEXT), SMALLEST_CLOSE_UP)
    x, y = centres[largest]
    return _span(y, side, labels.shape[0]), _span(x, side, labels.shape[1])


def beside(cells: list[NDArray[np.uint8]], gap: int = 8) -> NDArray[np.uint8]:
    """Return RGB pictures side by side on white."""
    height = max(cell.shape[0] for cell in cells)
    width = sum(cell.shape[1] for cell in cells) + gap * (len(cells) - 1)
    sheet = np.full((height, width, 3), 255, np.uint8)
    left = 0
    for cell in cells:
        sheet[: cell.shape[0], left : left + cell.shape[1]] = cell
        left += cell.shape[1] + gap
    return sheet


def _span(centre: float, side: int, size: int) -> slice:
    side = min(side, size)
    start = min(max(round(centre - side / 2), 0), size - side)
    return slice(start, start + side)


def _rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    code = cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_GRAY2RGB
    return cv2.cvtColor(np.ascontiguousarray(image), code).astype(np.uint8, copy=False)


def _draw(shown: NDArray[np.uint8], covered: NDArray[np.uint8], layer: Layer) -> None:
    # Some pixels off, so that the line runs around a thin defect and does not hide it.
    side = 2 * layer.gap_px + 1
    wider = cv2.dilate(covered, np.ones((side, side), np.uint8))
    contours, _ = cv2.findContours(wider, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, contours, -1, (0, 0, 0), 4)
    cv2.drawContours(shown, contours, -1, layer.colour, 2)
