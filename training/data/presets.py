"""
The pixel recipe: everything that happens to a tile before a network sees it, for training and for evaluation.

Evaluation changes nothing: a network takes raw pixels, as on the line. Training varies what a camera, a lamp and the
part's position vary, and nothing that would turn one defect class into another or a defect into sound surface. In the
order of the light's way: focus, position, lamp, the camera's grey curve, noise, and at last mirrors and quarter turns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from edge.errors import ConfigurationError
from engines.contract import TileShape
from training.data.camera import defocused, photographed
from training.data.placement import Placement, mirrored, placed, reach_px
from training.data.windows import TileRecipe, Window


class Augmentation(BaseModel):
    """How far training varies a tile. Each range is drawn uniformly and anew for every tile; 0 turns it off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip_rows: bool = Field(True, description="mirror half of the tiles upside down")
    flip_columns: bool = Field(True, description="mirror half of the tiles left to right")
    quarter_turns: bool = Field(False, description="turn by 0, 90, 180 or 270 degrees; tiles must be square")
    rotate_deg: float = Field(0.0, ge=0.0, le=45.0, description="rotation, +- [degrees]")
    scale: float = Field(
        0.0, ge=0.0, le=0.5, description="relative change of size, +-; sizes in px are then less exact"
    )
    shift_px: float = Field(0.0, ge=0.0, le=64.0, description="shift along each axis, +- [px]")
    brightness: float = Field(20.0, ge=0.0, le=128.0, description="added grey levels, +-")
    contrast: float = Field(0.2, ge=0.0, le=0.9, description="relative change about mid-grey, +-")
    gamma: float = Field(0.2, ge=0.0, le=0.9, description="exponent 1 +- this")
    shading: float = Field(
        0.0, ge=0.0, le=0.5, description="uneven light: largest relative change at the tile's ends, +-"
    )
    blur_px: float = Field(
        0.0, ge=0.0, le=3.0, description="largest standard deviation of defocus [px]; keep it below the finest defect"
    )
    noise: float = Field(4.0, ge=0.0, le=64.0, description="largest standard deviation of added noise [grey levels]")

    def placement(self) -> Placement:
        """Return the part of it that moves pixels."""
        return Placement(self.rotate_deg, self.scale, self.shift_px)


STILL = Augmentation(flip_rows=False, flip_columns=False, brightness=0.0, contrast=0.0, gamma=0.0, noise=0.0)
"""Nothing is varied."""


def evaluation_pixels(window: Window) -> NDArray[np.float32]:
    """Return the raw pixels as (C, h, w) float32 in 0..255."""
    return np.ascontiguousarray(window.pixels.transpose(2, 0, 1), np.float32)


def widened(tile: TileShape, augmentation: Augmentation) -> TileShape:
    """Return the tile with so much more halo that, rotated, scaled and shifted, it still shows picture to its ends."""
    margin = reach_px(augmentation.placement(), tile.height, tile.width)
    return TileShape(core_height=tile.core_height, core_width=tile.core_width, halo=tile.halo + margin)


def training_pixels(
    window: Window, recipe: TileRecipe, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """
    Vary a tile; what lies outside the picture has the pad value, as on the line.

    Args:
        window: the tile, or one cut with the halo of widened(): without it, what moves in from beyond is void.
        recipe: the tile's size and the pad value.
        augmentation: how far it is varied.
        rng: draws how.

    Returns:
        (C, h, w) float32 in 0..255, and the (h, w) labels, moved alike. A tile that would lose a class by being moved
        stays where it is.

    Raises:
        ConfigurationError: quarter turns of a tile that is not square.
    """
    tile = recipe.tile
    if augmentation.quarter_turns and tile.height != tile.width:
        raise ConfigurationError(
            f"--augment.quarter-turns: tiles are {tile.height}x{tile.width} px (height x width): expected square ones; "
            "choose other cores or leave it out"
        )
    sharp = defocused(window, augmentation.blur_px, rng)
    view = placed(sharp, tile, augmentation.placement(), rng)
    pixels = photographed(
        view.pixels,
        rng,
        brightness=augmentation.brightness,
        contrast=augmentation.contrast,
        gamma=augmentation.gamma,
        shading=augmentation.shading,
        noise=augmentation.noise,
    )
    if view.outside is not None:
        pixels[view.outside] = recipe.pad_value
    turns = int(rng.integers(4)) if augmentation.quarter_turns else 0
    flips = [on and rng.random() < 0.5 for on in (augmentation.flip_rows, augmentation.flip_columns)]
    pixels, labels = mirrored(pixels, turns, *flips), mirrored(view.labels, turns, *flips)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)), np.ascontiguousarray(labels)
