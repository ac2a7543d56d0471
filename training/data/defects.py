"""Where the defects of the training pictures are, so that each class is drawn as often as any other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.data.bags import bag_size
from training.data.windows import Picture, TileRecipe

MAX_POSITIONS = 4096
"""Defect pixels remembered for each picture and class."""

Positions = list[tuple[int, NDArray[np.int64]]]
"""Pictures and (n, 2) of their pixels as (y, x)."""


class DefectIndex:
    """
    Where the defects of the training pictures are.

    Attributes:
        drawn: for each class that is drawn anywhere, where.
        sure: pictures of which every pixel is known.
        tile_counts: tiles of each other picture: of those only the class is known.
    """

    def __init__(self, pictures: Sequence[Picture], recipe: TileRecipe) -> None:
        self.sure: list[int] = []
        self.tile_counts: dict[int, int] = {}
        drawn: dict[int, Positions] = defaultdict(list)
        bags: dict[int, list[int]] = defaultdict(list)
        for index, picture in enumerate(pictures):
            if picture.drawn:
                self.sure.append(index)
                for class_id, positions in _positions(picture.labels, recipe.class_count).items():
                    drawn[class_id].append((index, positions))
            else:
                self.tile_counts[index] = bag_size(picture, recipe)
                for class_id in picture.class_ids:
                    bags[class_id].append(index)
        self.drawn = [drawn[class_id] for class_id in sorted(drawn)]
        self._bags = [bags[class_id] for class_id in sorted(bags)]
        defective = len({index for positions in self.drawn for index, _ in positions})
        self._bag_share = len(self.tile_counts) / max(len(self.tile_counts) + defective, 1)

    def draw_bags(self, rng: np.random.Generator, tiles: int) -> list[int]:
        """
        Draw the pictures that a batch takes as bags, each class as often as any other.

        On average they fill as large a share of the *tiles* over defects as they have of the defective pictures.
        """
        if not self._bags:
            return []
        expected = tiles * self._bag_share / np.mean(list(self.tile_counts.values()))
        count = int(expected + rng.random()) if self.sure else max(round(expected), 1)
        classes = [self._bags[rng.integers(len(self._bags))] for _ in range(count)]
        return [of_class[rng.integers(len(of_class))] for of_class in classes]


def _positions(labels: NDArray[np.uint8], class_count: int) -> dict[int, NDArray[np.int64]]:
    """Return some pixels of each class that occurs."""
    counts = np.bincount(labels.ravel(), minlength=class_count + 1)[1 : class_count + 1]
    found = {}
    for class_id in (np.flatnonzero(counts) + 1).tolist():
        positions = np.argwhere(labels == class_id)
        found[class_id] = positions[:: -(-len(positions) // MAX_POSITIONS)]
    return found
