"""
Which tiles training sees, and in which order: a function of seed, rank, epoch and step alone.

Defects are rare (on a strip one frame in ten, and there one tile in seven), so half of every batch shows defects, each
class as often as any other; the other half lies anywhere. A defective picture of which only the class is known comes as
a bag: all tiles of its grid, of which at least one shows the class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from engines.contract import PixelFormat
from training.data.bags import Bag, bag_size, picture_bag, tile_bag
from training.data.datasets import Sample
from training.data.defects import DefectIndex
from training.data.presets import Augmentation, evaluation_pixels, training_pixels, widened
from training.data.windows import (
    OUTSIDE,
    PRESENT,
    Picture,
    TileRecipe,
    Window,
    grid_cores,
    labels_at,
    targets_from_labels,
    window_at,
)

DEFECT_SHARE = 0.5
GRID_SHARE = 0.5
"""Share of the tiles that lie where the line would cut them; the rest is laid freely."""


@dataclass(frozen=True)
class Batch:
    """
    Tiles for one step.

    Attributes:
        pixels: (N, C, h, w) float32 in 0..255.
        labels: (N, h, w) int64, windows.OUTSIDE outside the picture, and all over a tile of which nothing is drawn.
        targets: (B, K) float32, PRESENT, ABSENT or UNDECIDED.
        bags: (N,) int64 in 0..B-1, ascending: the row of *targets* that a tile belongs to. The tiles of a picture of
            which only the class is known are one bag, any other tile is a bag of its own.
        sources: file name of each bag's picture.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    targets: torch.Tensor
    bags: torch.Tensor
    sources: tuple[str, ...]


def read_pictures(samples: Sequence[Sample], pixel_format: PixelFormat) -> list[Picture]:
    """Decode all samples into memory (one byte a pixel and channel, one for the label)."""
    return [sample.picture(pixel_format) for sample in samples]


class TrainingTiles:
    """
    Endless variety, in epochs of *steps* batches.

    Batch *step* of an epoch is drawn from a generator of its own, so that a run that is resumed sees the tiles it would
    have seen, and the processes of one run see different ones.

    Args:
        pictures: of the training split.
        recipe: how tiles are cut.
        batch_size: tiles a step; bags that fill more than half of it make the batch larger.
        steps: batches an epoch.
        seed: equal seeds give equal batches.
        augmentation: how far tiles are varied.
        rank: of this process among those that train together.

    Raises:
        DataError: a picture of which only the class is known has more than MAX_BAG_TILES tiles.
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
        rank: int = 0,
    ) -> None:
        self._pictures = pictures
        self._recipe = recipe
        self._batch_size = batch_size
        self._steps = steps
        self._seed = seed
        self._augmentation = augmentation
        self._cut = widened(recipe.tile, augmentation)
        self._rank = rank
        self._epoch = 0
        self._index = DefectIndex(pictures, recipe)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next batches belong to."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Batch]:
        for step in range(self._steps):
            yield self[step]

    def __getitem__(self, step: int) -> Batch:
        """Return batch *step* of the epoch, the same whenever it is asked for."""
        if not 0 <= step < self._steps:
            raise IndexError(f"step {step} of an epoch of {self._steps}")
        rng = np.random.default_rng((self._seed, self._rank, self._epoch, step))
        return _collate(list(self._bags(rng)))

    def _bags(self, rng: np.random.Generator) -> Iterator[Bag]:
        over_defects = round(self._batch_size * DEFECT_SHARE)
        bags = self._index.draw_bags(rng, over_defects)
        for index in bags:
            yield self._whole(rng, self._pictures[index])
        in_bags = sum(self._index.tile_counts[index] for index in bags)
        windows = [self._over_defect(rng) for _ in range(over_defects - in_bags)] if self._index.drawn else []
        if self._index.sure:
            # A bag lies on the grid, void and all. Were no other tiles cut like that, the void would give it away.
            beside = [window for _ in bags for window in self._on_grid(rng)]
            windows += beside[: self._batch_size - over_defects]
            windows += [self._anywhere(rng) for _ in range(self._batch_size - in_bags - len(windows))]
        for window in windows:
            yield tile_bag(training_pixels(window, self._recipe, self._augmentation, rng), window.source, self._recipe)

    def _whole(self, rng: np.random.Generator, picture: Picture) -> Bag:
        """Cut all tiles of a picture of which only the class is known."""
        # As if it were sound while it is varied: what lies outside the picture is told by its labels.
        blank = replace(picture, labels=np.zeros_like(picture.labels))
        recipe = self._recipe
        cores = grid_cores(picture, recipe.tile)
        windows = [window_at(blank, *core, self._cut, recipe.pad_value) for core in cores]
        varied = [training_pixels(window, recipe, self._augmentation, rng) for window in windows]
        return picture_bag([(pixels, np.full_like(labels, OUTSIDE)) for pixels, labels in varied], picture, recipe)

    def _over_defect(self, rng: np.random.Generator) -> Window:
        of_class = self._index.drawn[rng.integers(len(self._index.drawn))]
        index, positions = of_class[rng.integers(len(of_class))]
        y, x = positions[rng.integers(len(positions))]
        return self._lay(rng, self._pictures[index], int(y), int(x))

    def _anywhere(self, rng: np.random.Generator) -> Window:
        picture = self._pictures[self._index.sure[rng.integers(len(self._index.sure))]]
        height, width = picture.labels.shape
        return self._lay(rng, picture, int(rng.integers(height)), int(rng.integers(width)))

    def _on_grid(self, rng: np.random.Generator) -> list[Window]:
        """Cut the whole grid of a picture, in any order."""
        picture = self._pictures[self._index.sure[rng.integers(len(self._index.sure))]]
        cores = rng.permutation(grid_cores(picture, self._recipe.tile)).tolist()
        return [window_at(picture, top, left, self._cut, self._recipe.pad_value) for top, left in cores]

    def _lay(self, rng: np.random.Generator, picture: Picture, y: int, x: int) -> Window:
        """Lay a tile so that its core holds (y, x): on the grid, or anywhere else."""
        tile = self._recipe.tile
        top, left = y - y % tile.core_height, x - x % tile.core_width
        if rng.random() >= GRID_SHARE:
            top = _free(rng, y, tile.core_height, picture.labels.shape[0])
            left = _free(rng, x, tile.core_width, picture.labels.shape[1])
        return window_at(picture, top, left, self._cut, self._recipe.pad_value)


class ValidationTiles:
    """
    The grid's tiles of a split, unvaried; of tiles with a defect and of others at most half of *max_tiles* each.

    Bags count as tiles with a defect, by their number of tiles. No bag is divided between two batches.

    Args:
        pictures: of the validation split.
        recipe: how tiles are cut.
        batch_size: tiles a batch; a larger bag makes the batch larger.
        max_tiles: bound on the number of tiles; those that are too many are left out evenly, of common classes first.
            A tile or bag of each class that there is stays, whatever the bound.
        rank, world: of the processes that validate together, each takes every *world*-th tile or bag.

    Attributes:
        targets: (N, K) of the tiles and bags of all processes, as in Batch.

    Raises:
        DataError: a picture of which only the class is known has more than MAX_BAG_TILES tiles.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        recipe: TileRecipe,
        *,
        batch_size: int,
        max_tiles: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._pictures = pictures
        self._recipe = recipe
        places = [place for index, picture in enumerate(pictures) for place in _places(index, picture, recipe)]
        targets = np.stack([_targets(place, pictures[place.index], recipe) for place in places])
        chosen = _chosen(places, targets == PRESENT, max_tiles)
        self.targets: NDArray[np.float32] = targets[chosen]
        self._batches = _batches([places[at] for at in chosen[rank::world]], batch_size)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        for places in self._batches:
            yield _collate([self._bag(place) for place in places])

    def _bag(self, place: _Place) -> Bag:
        picture, recipe = self._pictures[place.index], self._recipe
        windows = [window_at(picture, *core, recipe.tile, recipe.pad_value) for core in place.cores]
        tiles = [(evaluation_pixels(window), window.labels) for window in windows]
        return tile_bag(tiles[0], picture.source, recipe) if picture.drawn else picture_bag(tiles, picture, recipe)


@dataclass(frozen=True)
class _Place:
    """One tile of a picture's grid, or all of them if the picture is a bag."""

    index: int
    cores: tuple[tuple[int, int], ...]


def _places(index: int, picture: Picture, recipe: TileRecipe) -> list[_Place]:
    cores = grid_cores(picture, recipe.tile)
    if picture.drawn:
        return [_Place(index, (core,)) for core in cores]
    bag_size(picture, recipe)
    return [_Place(index, tuple(cores))]


def _targets(place: _Place, picture: Picture, recipe: TileRecipe) -> NDArray[np.float32]:
    if not picture.drawn:
        return picture_bag((), picture, recipe).targets
    return targets_from_labels(labels_at(picture, *place.cores[0], recipe.tile), recipe.tile, recipe.class_count)


def _chosen(places: Sequence[_Place], present: NDArray[np.bool_], max_tiles: int) -> list[int]:
    """Return which places stay; one of several classes counts for the rarest, and what a class leaves others take."""
    order = np.argsort(present.sum(axis=0), kind="stable")
    # The first class in this order that a place shows; behind them all: none.
    ranks = np.where(present.any(axis=1), present[:, order].argmax(axis=1), len(order))
    chosen: list[int] = []
    left = max_tiles // 2
    shown = np.unique(ranks[ranks < len(order)]).tolist()
    for number, rank in enumerate(shown):
        of_class = _thinned(places, np.flatnonzero(ranks == rank), left // (len(shown) - number))
        left -= sum(len(places[at].cores) for at in of_class)
        chosen += of_class
    return chosen + _thinned(places, np.flatnonzero(ranks == len(order)), max_tiles // 2)


def _thinned(places: Sequence[_Place], at: NDArray[np.int64], most_tiles: int) -> list[int]:
    """Return every n-th of the places *at*, so that they have *most_tiles* tiles, or one of them if that is less."""
    tiles = sum(len(places[index].cores) for index in at)
    kept: list[int] = at[:: -(-tiles // max(most_tiles, 1)) or 1].tolist()
    return kept


def _batches(places: Sequence[_Place], batch_size: int) -> list[list[_Place]]:
    """Fill batches up to *batch_size* tiles, and over it rather than divide a bag."""
    batches: list[list[_Place]] = []
    filled = batch_size
    for place in places:
        if filled + len(place.cores) > batch_size:
            batches.append([])
            filled = 0
        batches[-1].append(place)
        filled += len(place.cores)
    return batches


def _free(rng: np.random.Generator, at: int, core: int, size: int) -> int:
    """Draw a start of a core that holds *at*; of a picture larger than the core, no more than a quarter is void."""
    start = at - int(rng.integers(core))
    if size <= core:
        return start
    return int(np.clip(start, -(core // 4), size - 3 * core // 4))


def _collate(bags: Sequence[Bag]) -> Batch:
    tiles = [tile for bag in bags for tile in bag.tiles]
    return Batch(
        torch.from_numpy(np.stack([pixels for pixels, _ in tiles])),
        torch.from_numpy(np.stack([labels for _, labels in tiles]).astype(np.int64)),
        torch.from_numpy(np.stack([bag.targets for bag in bags])),
        torch.from_numpy(np.repeat(np.arange(len(bags)), [len(bag.tiles) for bag in bags])),
        tuple(bag.source for bag in bags),
    )
