"""Recorded answers, made by hand: pictures of some tiles of 16 px, and what two networks would say of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.rules import ClassLimits, Recipe
from engines.contract import TileShape
from training.calibration.recording import Recording
from training.calibration.replay import Shape

SIDE = 16
CLASS_NAMES = ("pits", "crack")
SHAPE = Shape(CLASS_NAMES, TileShape(core_height=SIDE, core_width=SIDE, halo=0), max_tiles=8)


def one_tile(
    name: str,
    class_id: int,
    *,
    score: float,
    probability: float,
    area_px: int,
    seen_as: int = 1,
    group: str | None = None,
) -> Recording:
    """
    Return a picture of one tile with one marked region.

    Args:
        name: of the picture, and of its group if no other is given.
        class_id: the truth, 0 = sound.
        score: of the class that it is seen as.
        probability: of that class in every pixel of the region.
        area_px: of the region, at most SIDE**2.
        seen_as: class id that the networks see in it.
        group: of the picture.
    """
    scores = np.zeros((1, len(CLASS_NAMES)), np.float32)
    scores[0, seen_as - 1] = score
    core = np.zeros((len(CLASS_NAMES), SIDE * SIDE), np.float16)
    core[seen_as - 1, :area_px] = probability
    return Recording(name, group or name, class_id, (SIDE, SIDE), scores, {0: core.reshape(-1, SIDE, SIDE)})


def random_picture(seed: int, rows: int = 2, columns: int = 3) -> Recording:
    """Return a picture of some tiles with blots that run over their borders, and now and then pixels of noise."""
    rng = np.random.default_rng(seed)
    height, width = rows * SIDE - 3, columns * SIDE - 5
    scores = rng.random((rows * columns, len(CLASS_NAMES))).astype(np.float32)
    planes = rng.random((len(CLASS_NAMES), rows * SIDE, columns * SIDE)).astype(np.float16)
    planes[:, rng.random(planes.shape[1:]) < rng.choice([0.2, 0.9, 0.99])] = 0.0
    top, left = rng.integers(rows * SIDE), rng.integers(columns * SIDE)
    planes[int(rng.integers(2)), top : top + 9, left : left + 20] = rng.random()
    cores = {
        row * columns + column: planes[:, row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
        for row in range(rows)
        for column in range(columns)
    }
    return Recording(f"random{seed}", f"random{seed}", seed % 3, (height, width), scores, cores)


def recipe(
    gate: float = 0.5,
    threshold: float = 0.5,
    min_area_px: float = 20.0,
    min_peak: float = 0.0,
    max_counts: Sequence[int] = (0, 0),
) -> Recipe:
    """Return a recipe with these values for both classes."""
    return Recipe(
        classes=tuple(
            ClassLimits(
                name=name,
                gate=gate,
                threshold=threshold,
                min_area_px=min_area_px,
                min_peak=min_peak,
                max_count=max_count,
            )
            for name, max_count in zip(CLASS_NAMES, max_counts, strict=True)
        ),
        mm_per_px=None,
    )
