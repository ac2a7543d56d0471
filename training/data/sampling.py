"""
Which tiles training sees, and in which order: a function of the seed alone.

Defects are rare (on a strip one frame in ten, and there one tile in seven), so half of every batch is laid over a
defect, each class as often as any other; the other half lies anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engines.contract import PixelFormat, TileShape
from training.data.datasets import Sample
from training.data.presets import Augmentation, evaluation_pixels, training_pixels
from training.data.windows import PRESENT, Picture, Window, grid_windows, targets_from_labels, window_at

DEFECT_SHARE = 0.5
GRID_SHARE = 0.5
"""Share of the tiles that lie where the line would cut them; the rest is laid freely."""
MAX_POSITIONS = 4096
"""Defect pixels remembered for each picture and class."""


@dataclass(frozen=True)
class Batch:
    """
    Tiles for one step.

    Attributes:
        pixels: (N, C, h, w) float32 in 0..255.
        labels: (N, h, w) int64, windows.OUTSIDE outside the picture.
        targets: (N, K) float32, PRESENT, ABSENT or UNDECIDED.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class TileRecipe:
    """How tiles are cut: the same for every picture of a run."""

    format: PixelFormat
    tile: TileShape
    pad_value: int
    class_count: int


def read_pictures(samples: Sequence[Sample], pixel_format: PixelFormat) -> list[Picture]:
    """Decode all samples into memory (one byte a pixel and channel, one for the label)."""
    return [Picture(*sample.read(pixel_format)) for sample in samples]


class TrainingTiles:
    """
    Endless variety, in epochs of *steps* batches; each pass over it goes on where the last one ended.

    Args:
        pictures: of the training split.
        recipe: how tiles are cut.
        batch_size: tiles a step.
        steps: batches an epoch.
        seed: equal seeds give equal batches.
        augmentation: how far tiles are varied.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        recipe: TileRecipe,
        *,
        batch_size: int,
        steps: int,
        seed: int,
        augmentation: Augmentation,
    ) -> None:
        self._pictures = pictures
        self._recipe = recipe
        self._batch_size = batch_size
        self._steps = steps
        self._rng = np.random.default_rng(seed)
        self._augmentation = augmentation
        self._positions = _positions_by_class(pictures, recipe.class_count)

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self._steps):
            yield self._batch()

    def _batch(self) -> Batch:
        over_defects = round(self._batch_size * DEFECT_SHARE)
        windows = [self._over_defect() for _ in range(over_defects)]
        windows += [self._anywhere() for _ in range(self._batch_size - over_defects)]
        varied = [training_pixels(window, self._augmentation, self._rng) for window in windows]
        return _collate(varied, self._recipe)

    def _over_defect(self) -> Window:
        of_class = self._positions[self._rng.integers(len(self._positions))]
        index, positions = of_class[self._rng.integers(len(of_class))]
        y, x = positions[self._rng.integers(len(positions))]
        return self._lay(self._pictures[index], int(y), int(x))

    def _anywhere(self) -> Window:
        picture = self._pictures[int(self._rng.integers(len(self._pictures)))]
        height, width = picture.labels.shape
        return self._lay(picture, int(self._rng.integers(height)), int(self._rng.integers(width)))

    def _lay(self, picture: Picture, y: int, x: int) -> Window:
        """Lay a tile so that its core holds (y, x): on the grid, or anywhere else."""
        tile = self._recipe.tile
        top, left = y - y % tile.core_height, x - x % tile.core_width
        if self._rng.random() >= GRID_SHARE:
            top = self._free(y, tile.core_height, picture.labels.shape[0])
            left = self._free(x, tile.core_width, picture.labels.shape[1])
        return window_at(picture, top, left, tile, self._recipe.pad_value)

    def _free(self, at: int, core: int, size: int) -> int:
        """Draw a start of a core that holds *at*; of a picture larger than the core, no more than a quarter is void."""
        start = at - int(self._rng.integers(core))
        if size <= core:
            return start
        return int(np.clip(start, -(core // 4), size - 3 * core // 4))


class ValidationTiles:
    """
    The grid's tiles of a split, unvaried; of tiles with a defect and of others at most half of *max_tiles* each.

    Args:
        pictures: of the validation split.
        recipe: how tiles are cut.
        batch_size: tiles a batch.
        max_tiles: bound on the number of tiles; those that are too many are left out evenly.
    """

    def __init__(self, pictures: Sequence[Picture], recipe: TileRecipe, *, batch_size: int, max_tiles: int) -> None:
        self._recipe = recipe
        self._batch_size = batch_size
        windows = [w for picture in pictures for w in grid_windows(picture, recipe.tile, recipe.pad_value)]
        defective = [w for w in windows if self._has_defect(w)]
        sound = [w for w in windows if not self._has_defect(w)]
        self._windows = _thinned(defective, max_tiles // 2) + _thinned(sound, max_tiles // 2)

    def __len__(self) -> int:
        return -(-len(self._windows) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self._windows), self._batch_size):
            windows = self._windows[start : start + self._batch_size]
            yield _collate([(evaluation_pixels(window), window.labels) for window in windows], self._recipe)

    def _has_defect(self, window: Window) -> bool:
        targets = targets_from_labels(window.labels, self._recipe.tile, self._recipe.class_count)
        return bool((targets == PRESENT).any())


def _thinned(windows: list[Window], most: int) -> list[Window]:
    return windows[:: -(-len(windows) // most) or 1]


Positions = list[tuple[int, NDArray[np.int64]]]


def _positions_by_class(pictures: Sequence[Picture], class_count: int) -> list[Positions]:
    """Return, for each class that occurs, the pictures it occurs in and (n, 2) of its pixels as (y, x)."""
    by_class: list[Positions] = [[] for _ in range(class_count)]
    for index, picture in enumerate(pictures):
        for class_id in np.flatnonzero(np.bincount(picture.labels.ravel(), minlength=256))[1:].tolist():
            positions = np.argwhere(picture.labels == class_id)
            step = -(-len(positions) // MAX_POSITIONS)
            by_class[class_id - 1].append((index, positions[::step]))
    return [positions for positions in by_class if positions]


def _collate(tiles: Sequence[tuple[NDArray[np.float32], NDArray[np.uint8]]], recipe: TileRecipe) -> Batch:
    targets = [targets_from_labels(labels, recipe.tile, recipe.class_count) for _, labels in tiles]
    return Batch(
        torch.from_numpy(np.stack([pixels for pixels, _ in tiles])),
        torch.from_numpy(np.stack([labels for _, labels in tiles]).astype(np.int64)),
        torch.from_numpy(np.stack(targets)),
    )
