"""What lens, lamp and camera do to grey levels: defocus, uneven light, grey curve, noise."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.placement import picture_in
from training.data.windows import Window

FULL_SCALE = 255.0
NORMAL = np.array([NormalDist().inv_cdf((step + 0.5) / 256) for step in range(256)], np.float32)
"""The normal distribution in 256 equally likely steps: one byte drawn for each pixel is a tenth of the time."""


def defocused(window: Window, most_px: float, rng: np.random.Generator) -> Window:
    """Return the window blurred by a Gaussian of 0 to *most_px* px; what lies outside the picture stays out of it."""
    if not most_px:
        return window
    inside = picture_in(window)
    sigma = rng.uniform(0.0, most_px)
    if window.pixels[inside].size == 0 or sigma < 0.1:  # below that the kernel is a single pixel
        return window
    pixels = window.pixels.copy()
    soft = cv2.GaussianBlur(window.pixels[inside], (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    pixels[inside] = soft.reshape(pixels[inside].shape)
    return replace(window, pixels=pixels)


def photographed(
    pixels: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    brightness: float,
    contrast: float,
    gamma: float,
    shading: float,
    noise: float,
) -> NDArray[np.float32]:
    """
    Return (h, w, C) pixels in 0..255 as another lamp and another exposure might have given them.

    Args:
        pixels: (h, w, C) as captured.
        rng: draws all of it.
        brightness, contrast, gamma, shading, noise: how far, as in presets.Augmentation.
    """
    varied = _looked_up(pixels, _grey_curve(rng, brightness, contrast, gamma))
    if shading:
        varied *= _light(rng, pixels.shape[0], pixels.shape[1], shading)
    if noise:
        drawn = np.frombuffer(rng.bytes(pixels.size), np.uint8).reshape(pixels.shape)
        varied += _looked_up(drawn, np.float32(rng.uniform(0.0, noise)) * NORMAL)
    np.clip(varied, 0.0, FULL_SCALE, out=varied)
    return varied


def _looked_up(pixels: NDArray[np.uint8], table: NDArray[np.float32]) -> NDArray[np.float32]:
    # OpenCV's look-up takes a third of NumPy's time; it drops a last axis of one channel.
    return cv2.LUT(np.ascontiguousarray(pixels), table).astype(np.float32, copy=False).reshape(pixels.shape)


def _grey_curve(rng: np.random.Generator, brightness: float, contrast: float, gamma: float) -> NDArray[np.float32]:
    """Draw brightness, contrast and gamma as one table of 256 grey levels; much cheaper than a power a pixel."""
    level = np.arange(256) / FULL_SCALE
    level = level ** rng.uniform(1.0 - gamma, 1.0 + gamma)
    level = (level - 0.5) * rng.uniform(1.0 - contrast, 1.0 + contrast) + 0.5
    curve = FULL_SCALE * level + rng.uniform(-brightness, brightness)
    return curve.astype(np.float32)


def _light(rng: np.random.Generator, height: int, width: int, most: float) -> NDArray[np.float32]:
    """Draw a (height, width, 1) factor that rises evenly in any direction: 1 in the middle, 1 +- *most* at the ends."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    slope = rng.uniform(0.0, most) / (abs(np.cos(angle)) + abs(np.sin(angle)))
    down = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, np.newaxis] * np.float32(slope * np.sin(angle))
    across = np.linspace(-1.0, 1.0, width, dtype=np.float32) * np.float32(slope * np.cos(angle))
    factor: NDArray[np.float32] = np.float32(1.0) + down + across
    return factor[:, :, np.newaxis]
