"""Pictures of which only the class is known, as bags of tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edge.errors import DataError
from engines.contract import TileShape
from tests.support.labelled import square_picture
from training.data.bags import MAX_BAG_TILES
from training.data.presets import Augmentation
from training.data.sampling import Batch, TrainingTiles, ValidationTiles
from training.data.windows import ABSENT, OUTSIDE, PRESENT, Picture, TileRecipe

RECIPE = TileRecipe("mono8", TileShape(core_height=48, core_width=48, halo=4), 7, 2)
BAG = 6
"""Tiles of a picture of 90 x 130 px."""


def drawn(class_id: int, seed: int) -> Picture:
    image, labels = square_picture(class_id, seed)
    return Picture(image[..., np.newaxis], labels, (class_id,) if class_id else ())


def undrawn(class_id: int, seed: int, height: int = 90, width: int = 130) -> Picture:
    image, labels = square_picture(class_id, seed, height, width)
    return Picture(image[..., np.newaxis], np.full_like(labels, OUTSIDE), (class_id,), drawn=False)


def training(pictures: list[Picture], steps: int = 40) -> list[Batch]:
    return list(
        TrainingTiles(pictures, RECIPE, batch_size=16, steps=steps, seed=3, augmentation=Augmentation(noise=0.0))
    )


def require_consistent(batch: Batch) -> None:
    """Every bag has a row of targets, in order, and every row a bag."""
    assert batch.bags.unique().tolist() == list(range(len(batch.targets)))
    assert (batch.bags.diff() >= 0).all()
    assert len(batch.pixels) == len(batch.labels) == len(batch.bags)


def test_a_bag_is_the_whole_picture_and_says_its_class() -> None:
    """Its six tiles share one row: its own class is there, the other is not, and nothing is said of any pixel."""
    batches = training([drawn(0, 1), drawn(0, 2), undrawn(2, 3)])
    with_bag = [batch for batch in batches if len(batch.targets) < len(batch.pixels)]
    assert with_bag
    for batch in batches:
        require_consistent(batch)
    for batch in with_bag:
        hidden = (batch.labels == OUTSIDE).flatten(1).all(dim=1)
        for bag in batch.bags[hidden].unique():
            assert (batch.bags == bag).sum() == hidden[batch.bags == bag].sum() == BAG
            assert batch.targets[bag].tolist() == [ABSENT, PRESENT]
        assert (batch.targets[batch.bags[~hidden]] == ABSENT).all()
        assert len(batch.pixels) == max(16, hidden.sum() + 8)


def test_a_bag_is_varied_and_its_rim_is_not() -> None:
    """Brightness and the like reach the tiles of a bag; outside the picture the pad value stays, as on the line."""
    batches = training([drawn(0, 1), undrawn(2, 3)])
    tiles = torch.stack([batch.pixels[batch.bags == 0] for batch in batches if len(batch.targets) < len(batch.pixels)])
    assert tiles.shape[1:] == (BAG, 1, 56, 56)
    assert tiles.flatten(1).mean(dim=1).std() > 3.0
    assert ((tiles == RECIPE.pad_value).flatten(1).sum(dim=1) >= 4 * 138).all()


def test_the_void_of_a_grid_does_not_give_a_bag_away() -> None:
    """Beside a bag lie tiles of a sound picture's grid: tiles that are mostly void are not all in bags."""
    batches = training([*(drawn(0, s) for s in range(4)), undrawn(1, 5)])
    with_bag = [batch for batch in batches if len(batch.targets) < len(batch.pixels)]
    hidden = torch.cat([(batch.labels == OUTSIDE).flatten(1).all(dim=1) for batch in with_bag])
    pixels = torch.cat([batch.pixels for batch in with_bag])
    mostly_void = (pixels == RECIPE.pad_value).flatten(1).float().mean(dim=1) > 0.3
    assert mostly_void[hidden].sum() == hidden.sum() // 3
    assert mostly_void[~hidden].sum() >= len(with_bag)


def test_bags_get_their_share_of_the_tiles_over_defects() -> None:
    """With three drawn defective pictures and three undrawn ones a quarter of all tiles is in bags, on average."""
    pictures = [drawn(0, 1), *(drawn(1, s) for s in range(2, 5)), *(undrawn(1 + s % 2, s) for s in range(5, 8))]
    batches = training(pictures, steps=300)
    in_bags = sum((batch.labels == OUTSIDE).flatten(1).all(dim=1).sum().item() for batch in batches)
    tiles = sum(len(batch.pixels) for batch in batches)
    assert 0.2 < in_bags / tiles < 0.3
    assert {len(batch.pixels) for batch in batches} == {16}


def test_only_bags_are_enough() -> None:
    """Where nothing is drawn at all, every batch has a bag."""
    for batch in training([undrawn(1, 1), undrawn(2, 2)], steps=10):
        require_consistent(batch)
        assert len(batch.pixels) % BAG == 0


def test_only_sound_pictures_fill_a_batch() -> None:
    """Without any defect the batch is as large as asked for."""
    assert {len(batch.pixels) for batch in training([drawn(0, 1)], steps=3)} == {16}


def test_validation_divides_no_bag() -> None:
    """Batches of eight tiles hold a bag of six whole, and all processes together see each picture once."""
    pictures = [undrawn(1, 1), drawn(1, 2), undrawn(2, 3), drawn(0, 4)]
    seen = 0
    for rank in (0, 1):
        for batch in ValidationTiles(pictures, RECIPE, batch_size=8, max_tiles=100, rank=rank, world=2):
            require_consistent(batch)
            hidden = (batch.labels == OUTSIDE).flatten(1).all(dim=1)
            for bag in batch.bags[hidden].unique():
                assert (batch.bags == bag).sum() == BAG
            seen += len(batch.pixels)
    assert seen == 4 * BAG


def test_processes_divide_the_tiles_of_validation() -> None:
    """The tiles of three processes are those of one, each once."""
    pictures = [drawn(1, 1), drawn(2, 2), drawn(0, 3)]
    alone = torch.cat([b.pixels for b in ValidationTiles(pictures, RECIPE, batch_size=4, max_tiles=100)])
    parts = [
        torch.cat([b.pixels for b in ValidationTiles(pictures, RECIPE, batch_size=4, max_tiles=100, rank=r, world=3)])
        for r in range(3)
    ]
    assert sorted(tile.sum().item() for part in parts for tile in part) == sorted(tile.sum().item() for tile in alone)
    assert [len(part) for part in parts] == [6, 6, 6]


def test_a_picture_of_too_many_tiles_is_no_bag() -> None:
    """The label of a huge picture says next to nothing about a tile; the line says what to do instead."""
    huge = undrawn(1, 1, height=48 * 9, width=48 * 8)
    for make in (
        lambda: training([huge]),
        lambda: ValidationTiles([huge], RECIPE, batch_size=4, max_tiles=9),
    ):
        with pytest.raises(DataError, match=rf"has 72 tiles, expected at most {MAX_BAG_TILES}: draw its mask"):
            make()
