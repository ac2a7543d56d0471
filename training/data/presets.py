"""
The pixel recipe: everything that happens to a tile before a network sees it, for training and for evaluation.

Evaluation changes nothing: a network takes raw pixels, as on the line. Training varies what a camera, a lamp and the
part's position vary, and nothing that would turn one defect class into another or a defect into sound surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.windows import Window

FULL_SCALE = 255.0


@dataclass(frozen=True)
class Augmentation:
    """
    How far training varies a tile. Each range is drawn uniformly and anew for every tile.

    Attributes:
        flip_rows, flip_columns: mirror half of the tiles upside down, left to right.
        brightness: added grey levels, +-.
        contrast: relative change about mid-grey, +-.
        gamma: exponent 1 +- this.
        noise: largest standard deviation of added noise [grey levels].
    """

    flip_rows: bool = True
    flip_columns: bool = True
    brightness: float = 20.0
    contrast: float = 0.2
    gamma: float = 0.2
    noise: float = 4.0


def evaluation_pixels(window: Window) -> NDArray[np.float32]:
    """Return the raw pixels as (C, h, w) float32 in 0..255."""
    return np.ascontiguousarray(window.pixels.transpose(2, 0, 1), np.float32)


def training_pixels(
    window: Window, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """
    Vary a tile; what lies outside the picture keeps its pad value, as on the line.

    Returns:
        (C, h, w) float32 in 0..255, and the (h, w) labels, mirrored alike.
    """
    pixels = _grey_curve(augmentation, rng)[window.pixels]  # (h, w, C)
    spread = rng.uniform(0.0, augmentation.noise)
    pixels += spread * rng.standard_normal(pixels.shape, np.float32)
    np.clip(pixels, 0.0, FULL_SCALE, out=pixels)
    outside = window.outside
    pixels[outside] = window.pixels[outside]
    labels = window.labels
    if augmentation.flip_rows and rng.random() < 0.5:
        pixels, labels = pixels[::-1], labels[::-1]
    if augmentation.flip_columns and rng.random() < 0.5:
        pixels, labels = pixels[:, ::-1], labels[:, ::-1]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)), np.ascontiguousarray(labels)


def _grey_curve(augmentation: Augmentation, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw brightness, contrast and gamma as one table of 256 grey levels; much cheaper than a power a pixel."""
    level = np.arange(256) / FULL_SCALE
    level = level ** rng.uniform(1.0 - augmentation.gamma, 1.0 + augmentation.gamma)
    level = (level - 0.5) * rng.uniform(1.0 - augmentation.contrast, 1.0 + augmentation.contrast) + 0.5
    curve = FULL_SCALE * level + rng.uniform(-augmentation.brightness, augmentation.brightness)
    return curve.astype(np.float32)
