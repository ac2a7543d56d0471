"""Frames as a person wants to see them: truth and answer outlined, small defects enlarged, scores on their tiles."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.tiles import Grid
from training.data.outline import Colour, Layer, beside, close_up, drawn
from training.data.windows import OUTSIDE

# RGB, of Okabe and Ito's palette: told apart in the common forms of colour blindness.
TRUTH: Colour = (86, 180, 233)
ANSWER: Colour = (230, 120, 0)
LEGEND = "Blue: what is labelled; orange: what was found"
TILE_LEGEND = "Blue: what is labelled; orange: tiles that reach the gate; yellow: the highest score, if none does"
BELOW_GATE: Colour = (240, 228, 66)
_WIDTH_PX, _HEIGHT_PX, _ZOOM_PX = 440, 330, 220
_TEXT_PX = 38
"""Room for a score; that of a narrow last tile begins to its left."""
_SMALL = 0.2
"""A close-up that covers less than this share of the picture is shown beside it."""
_WIDE = 1.7
"""A picture that is so many times as wide as high has its close-up below."""
_ENCODING = [cv2.IMWRITE_JPEG_QUALITY, 85, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
"""Full colour resolution: thin coloured lines would fade otherwise."""


def outlined(image: NDArray[np.uint8], truth: NDArray[np.uint8], answer: NDArray[np.uint8]) -> bytes:
    """
    Draw what is there and what was found.

    Args:
        image: (h, w, 1 or 3) uint8.
        truth, answer: (h, w) uint8 labels; 0 and 255 (void) are not drawn.

    Returns:
        A JPEG, some 440 px wide, with the largest region enlarged beside or below it if that is small.
    """
    layers = [Layer(_marked(truth), TRUTH, 6), Layer(_marked(answer), ANSWER, 2)]
    return _jpeg(_with_close_up(image, layers, next((m.mask for m in layers if m.mask.any()), None)))


def with_scores(
    image: NDArray[np.uint8], truth: NDArray[np.uint8], grid: Grid, scores: NDArray[np.float32], gate: float
) -> bytes:
    """
    Draw what is there, and the tiles a classifier holds for suspicious.

    Args:
        image: (h, w, 1 or 3) uint8.
        truth: (h, w) uint8 labels; 0 and 255 (void) are not drawn.
        grid: of the picture.
        scores: (T,) highest probability of any class in each tile.
        gate: from which on a tile is suspicious.

    Returns:
        A JPEG, some 440 px wide: the tiles over the gate, or the highest one, framed with their scores.
    """
    layer = Layer(_marked(truth), TRUTH)
    whole = drawn(image, [layer], _HEIGHT_PX, _WIDTH_PX)
    scale = whole.shape[1] / image.shape[1]
    for tile in np.flatnonzero(scores >= gate).tolist() or [int(scores.argmax())]:
        _frame(whole, grid, tile, scale, f"{scores[tile]:.2f}", ANSWER if scores[tile] >= gate else BELOW_GATE)
    return _jpeg(_with_close_up(image, [layer], layer.mask if layer.mask.any() else None, whole))


def _with_close_up(
    image: NDArray[np.uint8],
    layers: list[Layer],
    target: NDArray[np.bool_] | None,
    whole: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Return the whole picture (drawn here if it is not given), and its close-up of *target* if that is small."""
    whole = drawn(image, layers, _HEIGHT_PX, _WIDTH_PX) if whole is None else whole
    if target is None:
        return whole
    height, width = target.shape
    rows, columns = close_up(target.astype(np.uint8), 1)
    if (rows.stop - rows.start) * (columns.stop - columns.start) > _SMALL * height * width:
        return whole
    is_wide = width > _WIDE * height
    near = rows, _widened(columns, width, 2.0) if is_wide else columns
    cut = [Layer(layer.mask[near], layer.colour, layer.gap_px) for layer in layers]
    zoom = drawn(image[near], cut, _ZOOM_PX, _WIDTH_PX if is_wide else _ZOOM_PX)
    if not is_wide:
        return beside([whole, zoom])
    turned = [np.ascontiguousarray(cell.transpose(1, 0, 2)) for cell in (whole, zoom)]
    return np.ascontiguousarray(beside(turned).transpose(1, 0, 2))


def _widened(span: slice, size: int, factor: float) -> slice:
    """Return a slice of *factor* times the length about the same middle, inside 0..size."""
    length = min(round((span.stop - span.start) * factor), size)
    start = min(max((span.start + span.stop - length) // 2, 0), size - length)
    return slice(start, start + length)


def _frame(whole: NDArray[np.uint8], grid: Grid, tile: int, scale: float, text: str, colour: Colour) -> None:
    top, left = grid.core(tile)
    bottom = min(round((top + grid.tile.core_height) * scale), whole.shape[0]) - 2
    right = min(round((left + grid.tile.core_width) * scale), whole.shape[1]) - 2
    first = (round(left * scale) + 1, round(top * scale) + 1)
    at = (max(min(first[0] + 4, whole.shape[1] - _TEXT_PX), 0), min(first[1] + 16, bottom))
    for shade, thickness in (((0, 0, 0), 3), (colour, 1)):
        cv2.rectangle(whole, first, (right, bottom), shade, thickness)
        cv2.putText(whole, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, shade, thickness, cv2.LINE_AA)


def _marked(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (labels > 0) & (labels < OUTSIDE)


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _ENCODING)[1].tobytes()
