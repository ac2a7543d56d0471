"""Batches drawn in threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.contract import TileShape
from tests.support.labelled import square_picture
from training.data.presets import Augmentation
from training.data.sampling import Batch, TrainingTiles
from training.data.windows import Picture, TileRecipe
from training.fit.feed import Feed

RECIPE = TileRecipe("mono8", TileShape(core_height=32, core_width=32, halo=0), 0, 2)


def tiles(steps: int) -> TrainingTiles:
    """Return the tiles of two pictures."""
    drawn = [square_picture(class_id, seed=class_id) for class_id in (1, 2)]
    pictures = [Picture(image[..., np.newaxis], labels) for image, labels in drawn]
    return TrainingTiles(pictures, RECIPE, batch_size=2, steps=steps, seed=1, augmentation=Augmentation())


def same(left: list[Batch], right: list[Batch]) -> bool:
    """Compare the pixels of all batches, in order."""
    return all(torch.equal(a.pixels, b.pixels) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("threads", [1, 3, 20])
def test_batches_come_in_order(threads: int) -> None:
    """As many threads as one likes draw the epoch that one alone would."""
    feed = Feed(tiles(7), threads)
    feed.begin_epoch(4)
    expected = tiles(7)
    expected.set_epoch(4)
    assert len(feed) == 7
    assert same(list(feed), list(expected))
    assert feed.waited_s > 0.0


def test_an_epoch_can_be_left_early_and_another_begun() -> None:
    """A pass that is not finished leaves nothing behind for the next."""
    feed = Feed(tiles(7), 2)
    passing = iter(feed)
    first = [next(passing), next(passing)]
    passing.close()
    feed.begin_epoch(0)
    again = list(feed)
    assert same(first, again[:2])
    feed.begin_epoch(1)
    assert feed.waited_s == 0.0
    assert not same(again, list(feed))


def test_what_fails_in_a_thread_fails_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in drawing reaches the trainer."""

    def broken(self: TrainingTiles, step: int) -> Batch:
        raise ValueError(f"step {step} cannot be drawn")

    monkeypatch.setattr(TrainingTiles, "__getitem__", broken)
    with pytest.raises(ValueError, match="step 0 cannot be drawn"):
        list(Feed(tiles(3), 2))
