"""
The four defect classes, and how they get into a frame with an exact mask.

A shape is a float32 array in -1..1: how much darker (< 0) or brighter (> 0) than the sound strip, in units of the peak.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

CLASS_NAMES = ("pits", "line_crack", "scratch", "patch")
"""Class k of a label map is CLASS_NAMES[k - 1]; 0 is sound."""

Image = NDArray[np.uint8]
Shape = NDArray[np.float32]
Span = tuple[NDArray[np.int32], NDArray[np.int32]]
"""(left, right), each (height,): row y of the strip is left[y] <= x < right[y] [px]."""

MIN_AREA_PX = 12
EDGE_MARGIN_PX = 4
TILE_PX = 256
ATTEMPTS = 8
CLASS_SHARES = (0.26, 0.24, 0.28, 0.22)


def draw_defects(image: Image, span: Span, relief: Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """
    Draw one or more defects into a sound frame, in place.

    Args:
        image: (h, w) uint8, the sound frame.
        span: where the strip lies; nothing is drawn outside.
        relief: (H, W) uint8 noise from which ragged areas are cut.

    Returns:
        (h, w) uint8 labels: k where a defect of class k changed the pixel visibly, else 0.
    """
    sound, labels = image.copy(), np.zeros_like(image)
    count = 1 if rng.random() < 0.75 else int(rng.integers(2, 5))
    for class_id in rng.choice(len(CLASS_NAMES), count, p=CLASS_SHARES) + 1:
        for _ in range(ATTEMPTS):
            shape = SHAPES[class_id - 1](rng, relief, image.shape[0])
            top, left = _place(shape, span, rng)
            if _stamp(image, sound, labels, span, shape, (top, left), int(class_id), rng):
                break
    return labels


def _place(shape: Shape, span: Span, rng: np.random.Generator) -> tuple[int, int]:
    """Return (top, left), centre on the strip; every fifth on a tile border, every eighth at the frame's rim."""
    height = span[0].size
    y = float(rng.uniform(0.1, 0.9)) * height
    if rng.random() < 0.12:
        y = float(rng.choice((0, height))) + float(rng.uniform(-0.25, 0.25)) * shape.shape[0]
    row = min(max(round(y), 0), height - 1)
    x = float(rng.uniform(span[0][row] + 8, span[1][row] - 8))
    if rng.random() < 0.2:
        x = round(x / TILE_PX) * TILE_PX + float(rng.uniform(-3, 3))
    return round(y - shape.shape[0] / 2), round(x - shape.shape[1] / 2)


def _stamp(
    image: Image,
    sound: Image,
    labels: NDArray[np.uint8],
    span: Span,
    shape: Shape,
    corner: tuple[int, int],
    class_id: int,
    rng: np.random.Generator,
) -> bool:
    """Put a shape at its corner (top, left), label what it changes visibly; False, and nothing drawn, if too little."""
    (top, left), (height, width) = corner, image.shape
    y = slice(max(0, top), min(height, top + shape.shape[0]))
    x = slice(max(0, left), min(width, left + shape.shape[1]))
    if y.start >= y.stop or x.start >= x.stop:
        return False
    part = shape[y.start - top : y.stop - top, x.start - left : x.stop - left]
    before = sound[y, x]
    visible = _visible_change(before)
    peak = min(130.0, visible * float(np.exp(rng.uniform(np.log(1.6), np.log(11.0)))))
    columns = np.arange(x.start, x.stop)
    on_strip = (columns >= span[0][y, np.newaxis] + EDGE_MARGIN_PX) & (
        columns < span[1][y, np.newaxis] - EDGE_MARGIN_PX
    )
    # A pixel that already shows a defect stays as it is: two changes could cancel and leave a false label.
    free = on_strip & (labels[y, x] == 0)
    after = np.clip(image[y, x] + peak * part, 0, 255).astype(np.uint8)
    changed = free & (cv2.absdiff(after, before) >= visible)
    if np.count_nonzero(changed) < MIN_AREA_PX:
        return False
    np.copyto(image[y, x], after, where=free)
    labels[y, x][changed] = class_id
    return True


def _visible_change(before: Image) -> float:
    """The smallest change that counts as visible [grey levels]: three above the local noise, six at least."""
    rows = before.astype(np.int16)
    # Differences along the strip: grain, scale and ripples count as noise, light and streaks do not.
    noise = float((rows[4:] - rows[:-4]).std()) / 2**0.5 if rows.shape[0] > 4 else 0.0
    return max(6.0, 3.0 + min(noise, 16.0))


def _pits(rng: np.random.Generator, relief: Image, frame_height: int) -> Shape:
    """Small dark spots, alone or in a cluster drawn out along the strip, each with a bright rim on one side."""
    count = int(rng.choice((1, 3, 8, 20, 40), p=(0.15, 0.25, 0.3, 0.2, 0.1)))
    spread_y, spread_x = 6 + 2.2 * count * rng.uniform(0.5, 1.3), 5 + 1.0 * count * rng.uniform(0.4, 1.4)
    height, width = int(4 * spread_y) + 16, int(4 * spread_x) + 16
    spots = np.zeros((height, width), np.uint8)
    radii = rng.uniform(1.6, 3.2, count) if count > 1 else rng.uniform(2.5, 6.0, 1)
    centres = np.clip(rng.normal(0, (spread_x, spread_y), (count, 2)), (8 - width / 2, 8 - height / 2), None)
    for (x, y), radius in zip(centres, radii, strict=True):
        axes = (max(1, round(radius)), max(1, round(radius * rng.uniform(0.8, 1.9))))
        centre = (round(width / 2 + x), round(height / 2 + y))
        cv2.ellipse(spots, centre, axes, float(rng.uniform(-25, 25)), 0, 360, int(rng.integers(150, 256)), -1)
    dark = cv2.blur(spots, (2, 2)).astype(np.float32) / 255.0
    rim = np.zeros_like(dark)
    rim[:-2, :-1] = dark[2:, 1:]
    return np.asarray(np.where(dark > 0.15, -dark, 0.45 * rim), np.float32)


def _line_crack(rng: np.random.Generator, relief: Image, frame_height: int) -> Shape:
    """A thin dark line that wanders along the rolling direction, sometimes with a branch."""
    length = int(rng.uniform(0.2, 1.0) * frame_height)
    line = np.zeros((length + 12, max(48, length // 2) + 40), np.uint8)
    start = np.array([line.shape[1] / 2, 6.0])
    slope = float(np.clip(rng.normal(0, 0.12), -0.22, 0.22))
    path = _walk(rng, start, length, slope)
    _draw_path(rng, line, path)
    if rng.random() < 0.3:
        at = int(rng.integers(len(path) // 4, len(path)))
        _draw_path(rng, line, _walk(rng, path[at], length // 3, slope + float(rng.choice((-0.6, 0.6)))))
    return np.asarray(cv2.GaussianBlur(line, (3, 3), 0.7).astype(np.float32) / -255.0, np.float32)


def _walk(rng: np.random.Generator, start: NDArray[np.float64], length: int, slope: float) -> NDArray[np.float64]:
    """(n, 2) x, y of a random walk down the strip in steps of about 5 px."""
    steps = max(3, length // 5)
    dx = slope * 5 + rng.normal(0, 1.6, steps)
    return start + np.stack([np.cumsum(dx), np.arange(1, steps + 1) * (length / steps)], axis=1)


def _draw_path(rng: np.random.Generator, line: Image, path: NDArray[np.float64]) -> None:
    points = np.rint(path).astype(np.int32)
    thick, wide = int(rng.integers(1, 4)), rng.random(len(points))
    for a, b, w in zip(points[:-1], points[1:], wide[1:], strict=True):
        cv2.line(line, a.tolist(), b.tolist(), int(170 + 85 * w), thick + (w > 0.6), cv2.LINE_AA)


def _scratch(rng: np.random.Generator, relief: Image, frame_height: int) -> Shape:
    """Bright, straight lines, several side by side, fading and broken along their length."""
    length = int(rng.uniform(0.15, 1.1) * frame_height)
    count = int(rng.choice((1, 2, 3, 5, 8), p=(0.25, 0.25, 0.25, 0.15, 0.1)))
    lean = float(rng.normal(0, 0.08) if rng.random() < 0.85 else rng.uniform(-1.0, 1.0)) * length
    spacing = float(rng.uniform(5, 16))
    width = int(abs(lean) + spacing * count) + 24
    lines = np.zeros((length + 8, width), np.uint8)
    first = width / 2 - lean / 2 - spacing * (count - 1) / 2
    for i in range(count):
        top, bottom = (0.0, 1.0) if i == 0 else (rng.uniform(0.0, 0.45), rng.uniform(0.55, 1.0))
        x = first + i * spacing + float(rng.normal(0, 1.5))
        a = (round(x + lean * top), 4 + round(length * top))
        b = (round(x + lean * bottom), 4 + round(length * bottom))
        cv2.line(lines, a, b, int(rng.integers(170, 256)), int(rng.integers(1, 5)), cv2.LINE_AA)
    fade = cv2.resize(rng.uniform(0.5, 1.3, (max(2, length // 24), 1)).astype(np.float32), (1, lines.shape[0]))
    return np.asarray(lines.astype(np.float32) / 255.0 * np.minimum(fade.reshape(-1, 1), 1.0), np.float32)


def _patch(rng: np.random.Generator, relief: Image, frame_height: int) -> Shape:
    """A large, ragged, rolled-in area with relief inside and a hard border, brighter or darker."""
    height = int(rng.uniform(0.15, 0.9) * frame_height)
    width = min(int(np.exp(rng.uniform(np.log(50), np.log(420)))), relief.shape[1] - 1)
    top, left = int(rng.integers(relief.shape[0] - height)), int(rng.integers(relief.shape[1] - width))
    noise = relief[top : top + height, left : left + width].astype(np.float32) / 128.0 - 1.0
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, np.newaxis]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    radius = y * y + x * x
    # The noise fades towards the box, so that a patch never ends in a straight line.
    level = 0.75 - radius + 0.9 * noise * np.clip(1.15 - radius, 0.0, 1.0)
    inside = level > 0
    slopes = noise - np.roll(noise, 3, axis=0)
    body = np.clip(0.5 + 1.3 * np.abs(slopes), 0.0, 0.9)
    body[level < 0.1] = 1.0
    sign = -1.0 if rng.random() < 0.6 else 1.0
    return np.asarray(np.where(inside, sign * body, 0.0), np.float32)


SHAPES: tuple[Callable[[np.random.Generator, Image, int], Shape], ...] = (_pits, _line_crack, _scratch, _patch)
"""One maker a class, in the order of CLASS_NAMES: (rng, relief, frame height in px) -> shape."""
