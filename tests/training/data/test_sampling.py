"""Which tiles training sees."""

from __future__ import annotations

import numpy as np
import torch

from engines.contract import TileShape
from tests.support.labelled import square_picture
from training.data.presets import Augmentation
from training.data.sampling import Batch, TrainingTiles, ValidationTiles
from training.data.windows import OUTSIDE, PRESENT, Picture, TileRecipe

RECIPE = TileRecipe("mono8", TileShape(core_height=32, core_width=32, halo=0), 0, 2)


def pictures() -> list[Picture]:
    """Return thirty sound pictures, and one of each class: defects are rare."""
    drawn = [square_picture(0, seed) for seed in range(30)] + [square_picture(1, 31), square_picture(2, 32)]
    return [Picture(image[..., np.newaxis], labels) for image, labels in drawn]


def training(seed: int, rank: int = 0) -> TrainingTiles:
    """Return three batches of sixteen tiles an epoch."""
    return TrainingTiles(pictures(), RECIPE, batch_size=16, steps=3, seed=seed, augmentation=Augmentation(), rank=rank)


def test_half_of_each_batch_shows_a_defect_and_each_class_as_often() -> None:
    """Although one picture in sixteen is defective, eight tiles of sixteen are, about four of each class."""
    batches: list[Batch] = list(training(1))
    shown = torch.cat([batch.labels for batch in batches])
    defective = ((shown > 0) & (shown != OUTSIDE)).flatten(1).any(dim=1)
    assert 0.5 <= defective.float().mean() <= 0.6
    for class_id in (1, 2):
        assert 7 <= (shown == class_id).flatten(1).any(dim=1).sum() <= 17


def test_seed_rank_epoch_and_step_decide_and_nothing_else() -> None:
    """A batch is the same whenever it is asked for; another step, epoch or process sees other tiles."""
    one, other = training(4), training(4)
    first = [batch.pixels for batch in one]
    assert torch.equal(other[2].pixels, first[2])
    assert torch.equal(other[0].pixels, first[0])
    assert not torch.equal(first[0], first[1])
    other.set_epoch(1)
    assert not torch.equal(other[0].pixels, first[0])
    assert not torch.equal(training(4, rank=1)[0].pixels, first[0])


def test_a_batch_has_the_shapes_the_networks_take() -> None:
    """Pixels (N, C, h, w) float32, labels (N, h, w) int64, targets (N, K)."""
    batch = next(iter(training(2)))
    assert (batch.pixels.shape, batch.pixels.dtype) == ((16, 1, 32, 32), torch.float32)
    assert (batch.labels.shape, batch.labels.dtype) == ((16, 32, 32), torch.int64)
    assert batch.targets.shape == (16, 2)
    assert batch.bags.tolist() == list(range(16))


def test_pictures_smaller_than_a_tile_are_sampled() -> None:
    """A picture of 24 x 28 px gives tiles with void around it and its defect inside."""
    image, labels = square_picture(1, 3, 24, 28)
    tiles = TrainingTiles(
        [Picture(image[..., np.newaxis], labels)], RECIPE, batch_size=4, steps=1, seed=1, augmentation=Augmentation()
    )
    batch = next(iter(tiles))
    assert (batch.labels == OUTSIDE).flatten(1).any(dim=1).all()
    assert (batch.labels == 1).any()


def test_validation_keeps_both_kinds_of_tile_within_its_bound() -> None:
    """Of many sound tiles only as many as allowed are kept, unvaried, beside all defective ones."""
    batches = list(ValidationTiles(pictures(), RECIPE, batch_size=8, max_tiles=40))
    targets = torch.cat([batch.targets for batch in batches])
    defective = (targets == PRESENT).any(dim=1)
    assert 2 <= defective.sum() <= 8
    assert 15 <= (~defective).sum() <= 20
    assert torch.equal(batches[0].pixels, batches[0].pixels.round())


def test_validation_keeps_every_class() -> None:
    """Of a hundred tiles of one class and one of the other, a bound of a few keeps the rare one, wherever it lies."""
    common, rare = np.zeros((2, 320, 320), np.uint8)
    common[:] = 1
    rare[40:60, 40:60] = 2
    image = np.full((320, 320, 1), 110, np.uint8)
    for order in ((common, rare), (rare, common)):
        tiles = ValidationTiles([Picture(image, labels) for labels in order], RECIPE, batch_size=8, max_tiles=16)
        shown = (torch.cat([batch.targets for batch in tiles]) == PRESENT).sum(dim=0).tolist()
        assert shown[1] >= 1
        assert 4 <= shown[0] <= 8
        assert (tiles.targets == PRESENT).sum(axis=0).tolist() == shown
