"""Tiles cut for training."""

from __future__ import annotations

import numpy as np
import pytest

from edge.tiles import Grid
from engines.contract import TileShape
from training.data.windows import ABSENT, MIN_CORE_PX, OUTSIDE, PRESENT, UNDECIDED, Picture, grid_windows, window_at
from training.data.windows import targets_from_labels as targets

TILE = TileShape(core_height=32, core_width=48, halo=8)
PAD = 77


def picture(height: int = 70, width: int = 100, channels: int = 1) -> Picture:
    """Return random pixels and labels 0..2."""
    rng = np.random.default_rng(5)
    return Picture(
        rng.integers(0, 256, (height, width, channels), np.uint8), rng.integers(0, 3, (height, width), np.uint8)
    )


@pytest.mark.parametrize(("height", "width", "channels"), [(70, 100, 1), (64, 96, 3), (20, 30, 1)])
def test_training_cuts_what_the_line_cuts(height: int, width: int, channels: int) -> None:
    """A free window laid on the grid equals the line's tile, pixel for pixel, whatever overhangs."""
    source = picture(height, width, channels)
    grid = Grid(height, width, TILE)
    windows = list(grid_windows(source, TILE, PAD))
    assert len(windows) == grid.count
    for index, window in enumerate(windows):
        laid = window_at(source, *grid.core(index), TILE, PAD)
        assert (laid.pixels == window.pixels).all()
        assert (laid.labels == window.labels).all()


def test_outside_the_picture_lies_the_pad_value() -> None:
    """A window half above the picture has pad pixels and OUTSIDE labels there, and the picture below."""
    source = picture()
    window = window_at(source, -24, 0, TILE, PAD)
    assert (window.pixels[:32] == PAD).all()
    assert (window.labels[:32] == OUTSIDE).all()
    assert window.outside[:, :8].all()
    assert (window.pixels[32:, 8:] == source.image[:16, :56]).all()


def test_a_class_counts_only_in_the_core() -> None:
    """Enough pixels in the core: present; too few, or only in the halo: undecided; nowhere: absent."""
    labels = np.zeros((48, 64), np.uint8)
    labels[8, 8 : 8 + MIN_CORE_PX] = 1
    labels[10, 10 : 10 + MIN_CORE_PX - 1] = 2
    labels[:8, :] = 3
    labels[40:, :] = OUTSIDE
    assert targets(labels, TILE, 4).tolist() == [PRESENT, UNDECIDED, UNDECIDED, ABSENT]
