"""
Sheets of rolled steel, larger than a frame: made once, then cropped.

A sheet is uint8 with 128 = the mean reflectance of the strip; 64 reflects half as much light.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

MEAN = 128
"""The sheet value that reflects as the mean of the strip."""
GRAIN_UNIT = 24
"""Standard deviation of the grain sheet, so that a weight of 0.25 gives 6 grey levels at full light."""


@dataclass(frozen=True)
class Sheets:
    """
    Attributes:
        surfaces: each (H, W) uint8, one kind of surface: smooth, flaky, rippled, mottled, and mixtures.
        grain: (H, W) uint8, fine grain around 128.
        relief: (H, W) uint8, coarse ragged noise 0..255 from which patches are cut.
    """

    surfaces: tuple[NDArray[np.uint8], ...]
    grain: NDArray[np.uint8]
    relief: NDArray[np.uint8]

    @property
    def height(self) -> int:
        return int(self.grain.shape[0])

    @property
    def width(self) -> int:
        return int(self.grain.shape[1])


def make_sheets(rng: np.random.Generator, height: int, width: int) -> Sheets:
    """Return sheets of (height, width) px; about half a second for 3 megapixels."""
    size = (height, width)
    streaks = _streaks(rng, size)
    regions = _noise(rng, size, 90, 160)
    flakes, ripples, mottle = (make(rng, size, regions) for make in (_flakes, _ripples, _mottle))
    surfaces = (
        streaks + _specks(rng, regions, 2e-4),
        0.7 * streaks + flakes + _specks(rng, regions, 5e-4),
        0.6 * streaks + ripples + _specks(rng, regions, 4e-4),
        0.5 * streaks + mottle + _specks(rng, regions, 5e-3),
        0.8 * streaks + 0.6 * np.fliplr(flakes) + 0.7 * mottle + _specks(rng, regions, 1e-3),
        0.9 * streaks + 0.7 * ripples + 0.5 * flakes + _specks(rng, -regions, 3e-3),
    )
    return Sheets(
        surfaces=tuple(_bytes(MEAN * (1.0 + surface)) for surface in surfaces),
        grain=_bytes(MEAN + GRAIN_UNIT * _grain(rng, size)),
        relief=_bytes(128 + 60 * (_noise(rng, size, 22, 26) + 0.55 * _noise(rng, size, 5, 8))),
    )


def _bytes(field: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(field), 0, 255), np.uint8)


def _noise(rng: np.random.Generator, size: tuple[int, int], cell_y: float, cell_x: float) -> Field:
    """Smooth noise of about unit deviation whose grains are cell_y x cell_x px."""
    rows, columns = (max(2, round(n / cell)) for n, cell in zip(size, (cell_y, cell_x), strict=True))
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _streaks(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    """Streaks along the rolling direction in three widths."""
    weights = rng.uniform(0.015, 0.05, 3).astype(np.float32)
    widths = (1.0, 5.0, 28.0)
    return np.asarray(sum(w * _noise(rng, size, 400, x) for w, x in zip(weights, widths, strict=True)), np.float32)


def _flakes(rng: np.random.Generator, size: tuple[int, int], regions: Field) -> Field:
    """Mill scale: two-toned flakes drawn out along the rolling direction, dense in some regions."""
    field = _noise(rng, size, 34, 6) + 0.8 * _noise(rng, size, 9, 3) + 1.0 * regions
    depth = rng.uniform(0.16, 0.28) * np.clip(0.8 + 0.3 * _noise(rng, size, 60, 60), 0.2, 1.4)
    return np.asarray(depth * (np.clip(1.4 * (field - 0.9), 0, 1) - 0.35), np.float32)


def _ripples(rng: np.random.Generator, size: tuple[int, int], regions: Field) -> Field:
    """Fine, broken waves across the strip, as an uneven roll leaves them."""
    cell = rng.uniform(3.0, 5.0)
    waves = _noise(rng, size, cell, 60) + 0.6 * _noise(rng, size, cell, 16)
    return np.asarray(0.065 * waves * np.clip(0.6 + 0.5 * regions, 0.1, 1.3), np.float32)


def _mottle(rng: np.random.Generator, size: tuple[int, int], regions: Field) -> Field:
    """Speckled, darker areas of thin scale, and lighter ones rubbed bare."""
    fine = _noise(rng, size, 4, 3) + 0.9 * _noise(rng, size, 16, 8)
    dark = np.clip(0.6 * (fine - 1.5 * regions - 1.2), 0, 1)
    bare = np.clip(0.5 * (fine + 1.7 * regions - 1.6), 0, 1)
    return np.asarray(-rng.uniform(0.16, 0.3) * dark + rng.uniform(0.05, 0.2) * bare, np.float32)


def _specks(rng: np.random.Generator, regions: Field, density: float) -> Field:
    """Single bright points, a few dark ones, denser in some regions: dust and glints, never a defect."""
    field = np.zeros_like(regions)
    count = int(density * field.size)
    y, x = rng.integers(0, field.shape[0], count), rng.integers(0, field.shape[1], count)
    strength = rng.uniform(0.5, 3.0, count) * np.where(rng.random(count) < 0.8, 1.0, -0.7)
    field[y, x] = strength * (rng.random(count) < 0.35 + 0.6 * regions[y, x])
    return np.asarray(cv2.GaussianBlur(field, (3, 3), 0.7), np.float32)


def _grain(rng: np.random.Generator, size: tuple[int, int]) -> Field:
    fine = cv2.GaussianBlur(rng.standard_normal(size, dtype=np.float32), (3, 3), 0.6)
    return np.asarray(fine / fine.std(), np.float32)
