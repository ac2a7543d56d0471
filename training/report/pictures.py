"""Frames as a person wants to see them: truth and answer outlined, and small defects enlarged beside the whole."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# BGR, of Okabe and Ito's palette.
TRUTH = (178, 114, 0)
ANSWER = (0, 94, 213)
LEGEND = "blue: truth, orange: answer"
_WHOLE_PX = 440
_ZOOM_PX = 280
_MARGIN_PX = 12
# Full colour resolution: thin coloured lines would fade otherwise.
_ENCODING = [cv2.IMWRITE_JPEG_QUALITY, 90, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
_SMALL = 0.3
"""A marked box whose longer side is below this share of the frame is enlarged."""


def outlined(image: NDArray[np.uint8], truth: NDArray[np.uint8], answer: NDArray[np.uint8]) -> bytes:
    """
    Draw what is there and what was found.

    Args:
        image: (h, w) or (h, w, 1 or 3) uint8.
        truth, answer: (h, w) uint8 labels; 0 and 255 (void) are not drawn.

    Returns:
        A JPEG, at most 440 px wide, with the enlarged place beside it if what is marked is small.
    """
    colour = _bgr(image)
    layers = [(_marked(truth), TRUTH), (_marked(answer), ANSWER)]
    whole = _drawn(colour, layers, (0, 0, *image.shape[1::-1]), _WHOLE_PX)
    box = _box(np.logical_or(*(mask for mask, _ in layers)))
    if box is not None and max(box[2] / image.shape[1], box[3] / image.shape[0]) < _SMALL:
        whole = _beside(whole, _drawn(colour, layers, _square(box, image.shape), _ZOOM_PX))
    return cv2.imencode(".jpg", whole, _ENCODING)[1].tobytes()


Rectangle = tuple[int, int, int, int]
"""left, top, width, height [px]"""


def _drawn(
    colour: NDArray[np.uint8], layers: list[tuple[NDArray[np.bool_], tuple[int, int, int]]], cut: Rectangle, width: int
) -> NDArray[np.uint8]:
    """Cut, scale to *width* and outline: after scaling, so that lines stay a pixel wide."""
    left, top, w, h = cut
    near = (slice(top, top + h), slice(left, left + w))
    size = (width, max(1, round(h * width / w)))
    shrinks = width < w
    scaled = cv2.resize(colour[near], size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    for mask, line in layers:
        scaled_mask = cv2.resize(mask[near].astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
        contours, _ = cv2.findContours(np.asarray(scaled_mask > 0, np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(scaled, contours, -1, line, 1, cv2.LINE_AA)
    return np.asarray(scaled, np.uint8)


def _beside(whole: NDArray[np.uint8], zoom: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put both side by side on grey."""
    height = max(len(whole), len(zoom))
    canvas = np.full((height, whole.shape[1] + 4 + zoom.shape[1], 3), 128, np.uint8)
    canvas[: len(whole), : whole.shape[1]] = whole
    canvas[: len(zoom), whole.shape[1] + 4 :] = zoom
    return canvas


def _marked(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (labels > 0) & (labels < 255)


def _box(mask: NDArray[np.bool_]) -> Rectangle | None:
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return (left, top, width, height) if width else None


def _square(box: Rectangle, shape: tuple[int, ...]) -> Rectangle:
    """Widen a box to a square with a margin, inside the picture as far as it goes."""
    left, top, width, height = box
    side = max(width, height, 4 * _MARGIN_PX) + 2 * _MARGIN_PX
    side_x, side_y = min(side, shape[1]), min(side, shape[0])
    x = int(np.clip(left + width // 2 - side_x // 2, 0, shape[1] - side_x))
    y = int(np.clip(top + height // 2 - side_y // 2, 0, shape[0] - side_y))
    return x, y, side_x, side_y


def _bgr(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.ndim == 2 or image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(image.reshape(image.shape[:2]), cv2.COLOR_GRAY2BGR), np.uint8)
    return image
