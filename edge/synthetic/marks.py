"""Marks that are no defects: oil, water, smears, drops, paint. They are what a detector likes to mistake."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mark = Callable[[Image, np.random.Generator], None]

ONE = 128
"""The factor 1.0 in a uint8 map of factors."""


def draw_marks(image: Image, rng: np.random.Generator) -> None:
    """Draw none, one or several sound marks into *image*, in place."""
    for (mark, share), chance in zip(MARKS, rng.random(len(MARKS)), strict=True):
        if chance < share:
            mark(image, rng)


def _oil(image: Image, rng: np.random.Generator) -> None:
    """A dark stain with a soft border."""
    _stain(image, rng, rng.uniform(0.55, 0.9), softness=int(rng.integers(1, 5)))


def _water(image: Image, rng: np.random.Generator) -> None:
    """A lighter area with a soft border, where water dried."""
    _stain(image, rng, rng.uniform(1.08, 1.35), softness=int(rng.integers(2, 7)))


def _stain(image: Image, rng: np.random.Generator, factor: float, softness: int) -> None:
    height, width = (int(n) for n in rng.integers((40, 60), (240, 460)))
    # A quarter of the resolution is enough for a soft border, and sixteen times cheaper.
    small = np.zeros((height // 4 + 1, width // 4 + 1), np.uint8)
    outline = _outline(rng, small.shape[0] - 2 * softness, small.shape[1] - 2 * softness, 0.12)
    cv2.fillPoly(small, [outline + softness], 255)
    small = np.asarray(cv2.blur(small, (2 * softness + 1, 2 * softness + 1)), np.uint8)
    shape = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    top = int(rng.integers(-height // 2, image.shape[0] - height // 2))
    left = int(rng.integers(-width // 2, image.shape[1] - width // 2))
    _shade(image, top, left, (ONE + ONE * (factor - 1.0) / 255.0 * shape).astype(np.uint8))


def _smear(image: Image, rng: np.random.Generator) -> None:
    """A band along the rolling direction, brighter or darker, that wanders a little."""
    width, shift = int(rng.integers(24, 140)), float(rng.uniform(-20, 20))
    across = np.linspace(-1.0, 1.0, width, dtype=np.float32)
    profile = np.exp(-4.0 * across**2) * (rng.uniform(-0.3, -0.1) if rng.random() < 0.5 else rng.uniform(0.1, 0.4))
    band = np.tile((ONE + ONE * profile).astype(np.uint8), (image.shape[0], 1))
    matrix = np.array([[1, shift / image.shape[0], 0], [0, 1, 0]], np.float32)
    band = np.asarray(
        cv2.warpAffine(band, matrix, (width, image.shape[0]), borderMode=cv2.BORDER_CONSTANT, borderValue=(ONE,)),
        np.uint8,
    )
    _shade(image, 0, int(rng.integers(-width // 2, image.shape[1] - width // 2)), band)


def _drops(image: Image, rng: np.random.Generator) -> None:
    """Rings that drops left, along a line."""
    x, y = float(rng.uniform(0, image.shape[1])), float(rng.uniform(0, image.shape[0]))
    for _ in range(int(rng.integers(2, 9))):
        x, y = x + rng.normal(0, 14), y + rng.normal(0, 40)
        radius = int(rng.integers(4, 11))
        ring = np.full((2 * radius + 5, 2 * radius + 5), ONE, np.uint8)
        cv2.circle(ring, (radius + 2, radius + 2), radius, int(rng.integers(140, 190)), 2, cv2.LINE_AA)
        _shade(image, round(y) - radius, round(x) - radius, ring)


def _paint(image: Image, rng: np.random.Generator) -> None:
    """White marker paint: thick strokes of blobs and the splatter around them."""
    height, width = image.shape
    x, y = rng.uniform(0.1, 0.9) * width, rng.uniform(-0.1, 0.8) * height
    for _ in range(int(rng.integers(2, 6))):
        blob_x, blob_y = x + rng.uniform(-70, 70), y + rng.uniform(-30, 90)
        tall, wide = int(rng.integers(14, 60)), int(rng.integers(10, 26))
        outline = _outline(rng, tall, wide, 0.3) + np.array([round(blob_x), round(blob_y)], np.int32)
        cv2.fillPoly(image, [outline], 255, cv2.LINE_AA)
        for dx, dy in rng.normal(0, (22, 28), (12, 2)):
            centre = (round(blob_x + wide / 2 + dx), round(blob_y + tall / 2 + dy))
            cv2.circle(image, centre, int(rng.integers(1, 4)), 255, -1, cv2.LINE_AA)


MARKS: tuple[tuple[Mark, float], ...] = ((_oil, 0.22), (_water, 0.2), (_smear, 0.25), (_drops, 0.1), (_paint, 0.05))
"""Each mark with its share of the frames."""


def _outline(rng: np.random.Generator, height: int, width: int, raggedness: float) -> NDArray[np.int32]:
    """(n, 2) x, y of a closed, wobbling outline inside height x width px."""
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    radius = np.ones_like(angle)
    for harmonic in range(2, 8):
        radius += raggedness * rng.normal() / harmonic**0.5 * np.cos(harmonic * angle + rng.uniform(0, 6.3))
    radius = np.clip(radius, 0.25, None) / max(1.0, float(radius.max()))
    points = np.stack(
        [width * (0.5 + 0.47 * radius * np.cos(angle)), height * (0.5 + 0.47 * radius * np.sin(angle))], 1
    )
    return np.rint(points).astype(np.int32)


def _shade(image: Image, top: int, left: int, factors: NDArray[np.uint8]) -> None:
    """Multiply a part of the image by factors / 128, in place; what lies outside is dropped."""
    y, x = slice(max(0, top), max(0, top + factors.shape[0])), slice(max(0, left), max(0, left + factors.shape[1]))
    target = image[y, x]
    if target.size:
        part = factors[y.start - top :, x.start - left :][: target.shape[0], : target.shape[1]]
        target[:] = cv2.multiply(target, part, scale=1.0 / ONE)
