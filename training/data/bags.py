"""
Bags: tiles that share one row of targets.

A tile of a drawn picture is a bag of its own. A defective picture of which only the class is known is one bag of all
the tiles of its grid: at least one of them shows the class, and nobody knows which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError
from training.data.windows import ABSENT, PRESENT, Picture, TileRecipe, grid_cores, targets_from_labels

MAX_BAG_TILES = 64
"""A bag is in one batch, whole: with more tiles a step needs too much memory, and the label says next to nothing."""

Tile = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""(C, h, w) pixels and (h, w) labels."""


@dataclass(frozen=True)
class Bag:
    """*tiles* of the picture *source*, and the one row of targets they share: (K,) PRESENT, ABSENT or UNDECIDED."""

    tiles: Sequence[Tile]
    targets: NDArray[np.float32]
    source: str


def tile_bag(tile: Tile, source: str, recipe: TileRecipe) -> Bag:
    """Make one drawn tile a bag of its own; its labels say what it shows."""
    return Bag([tile], targets_from_labels(tile[1], recipe.tile, recipe.class_count), source)


def picture_bag(tiles: Sequence[Tile], picture: Picture, recipe: TileRecipe) -> Bag:
    """Make all tiles of a picture one bag; it shows the classes that the picture is known to show, and no other."""
    targets = np.full(recipe.class_count, ABSENT, np.float32)
    targets[[class_id - 1 for class_id in picture.class_ids]] = PRESENT
    return Bag(tiles, targets, picture.source)


def bag_size(picture: Picture, recipe: TileRecipe) -> int:
    """
    Return the number of tiles of a picture that is a bag.

    Raises:
        DataError: they are more than MAX_BAG_TILES.
    """
    count = len(grid_cores(picture, recipe.tile))
    if count > MAX_BAG_TILES:
        height, width = picture.labels.shape
        raise DataError(
            f"a picture of {height}x{width} px of which only the class is known has {count} tiles, expected at most "
            f"{MAX_BAG_TILES}: draw its mask, cut it, or take larger tiles (--core-height, --core-width)"
        )
    return count
