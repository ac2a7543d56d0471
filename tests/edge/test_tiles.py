"""The grid: cores partition the frame, halos show the picture, nothing old is left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.tiles import Canvas, Grid, labels_from_planes, paste_cores
from engines.contract import TileShape

PAD = 7

shapes = st.builds(
    TileShape, core_height=st.integers(16, 40), core_width=st.integers(16, 40), halo=st.sampled_from([0, 1, 5, 20])
)
grids = st.builds(Grid, height=st.integers(1, 130), width=st.integers(1, 130), tile=shapes)


@st.composite
def grids_and_regions(draw: st.DrawFn) -> tuple[Grid, int, int]:
    grid = draw(grids)
    return grid, draw(st.integers(1, grid.height)), draw(st.integers(1, grid.width))


def noise(height: int, width: int, channels: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(height * 1000 + width).integers(8, 256, (height, width, channels), np.uint8)


def padded(image: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    """Return the picture as an endless plane would show it: pad value wherever it is not."""
    out = np.full((grid.padded_height, grid.padded_width, image.shape[2]), PAD, np.uint8)
    halo = grid.tile.halo
    out[halo : halo + image.shape[0], halo : halo + image.shape[1]] = image
    return out


@given(grids)
def test_cores_partition_the_frame(grid: Grid) -> None:
    """Each pixel of the frame lies in the core of exactly one tile, and no tile lies outside."""
    seen = np.zeros((grid.height, grid.width), int)
    for index in range(grid.count):
        top, left = grid.core(index)
        core = seen[top : top + grid.tile.core_height, left : left + grid.tile.core_width]
        assert core.size
        core += 1
    assert (seen == 1).all()


@given(grids_and_regions())
def test_active_tiles_are_those_that_touch_the_region(case: tuple[Grid, int, int]) -> None:
    """A tile is active if and only if its core holds a pixel of the picture."""
    grid, height, width = case
    touching = [i for i in range(grid.count) if grid.core(i)[0] < height and grid.core(i)[1] < width]
    assert grid.active(height, width) == touching


@given(grids)
def test_neighbours_are_symmetric_and_touch(grid: Grid) -> None:
    """a is b's neighbour exactly when b is a's, and when their cores are at most one tile apart."""
    for a in range(grid.count):
        for b in range(grid.count):
            rows = abs(a // grid.columns - b // grid.columns)
            columns = abs(a % grid.columns - b % grid.columns)
            assert (b in grid.neighbours(a)) == (max(rows, columns) == 1)


@given(grids_and_regions(), st.sampled_from([1, 3]))
def test_a_tile_shows_the_picture_and_the_pad_value_around_it(case: tuple[Grid, int, int], channels: int) -> None:
    """Core and halo of each tile hold the picture where there is one, else the pad value."""
    grid, height, width = case
    image = noise(height, width, channels)
    canvas = Canvas(grid, channels, PAD)
    canvas.write(image)
    tiles = np.zeros((grid.count, grid.tile.height, grid.tile.width, channels), np.uint8)
    canvas.cut(list(range(grid.count)), tiles)
    plane = padded(image, grid)
    for index in range(grid.count):
        top, left = grid.core(index)
        assert np.array_equal(tiles[index], plane[top : top + grid.tile.height, left : left + grid.tile.width])


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 50)), min_size=2, max_size=5))
def test_no_pixel_of_an_earlier_picture_is_left(sizes: list[tuple[int, int]]) -> None:
    """After any pictures the canvas is what it would be after the last one alone."""
    grid = Grid(40, 50, TileShape(core_height=16, core_width=16, halo=4))
    canvas = Canvas(grid, 1, PAD)
    for size in sizes:
        canvas.write(noise(*size))
    tiles = np.zeros((grid.count, 24, 24, 1), np.uint8)
    fresh = np.zeros_like(tiles)
    canvas.cut(list(range(grid.count)), tiles)
    only_last = Canvas(grid, 1, PAD)
    only_last.write(noise(*sizes[-1]))
    only_last.cut(list(range(grid.count)), fresh)
    assert np.array_equal(tiles, fresh)
    assert canvas.region == sizes[-1]
    assert np.array_equal(canvas.picture, noise(*sizes[-1]))


@given(grids_and_regions())
def test_cut_and_paste_give_the_picture_back(case: tuple[Grid, int, int]) -> None:
    """Cores that are cut and pasted are the picture; nothing is written outside the region."""
    grid, height, width = case
    image = noise(height, width)
    canvas = Canvas(grid, 1, PAD)
    canvas.write(image)
    active = grid.active(height, width)
    tiles = np.zeros((len(active), grid.tile.height, grid.tile.width, 1), np.uint8)
    canvas.cut(active, tiles)
    halo = grid.tile.halo
    cores = tiles[:, halo : halo + grid.tile.core_height, halo : halo + grid.tile.core_width, 0]
    out = np.zeros((grid.height, grid.width), np.uint8)
    paste_cores(grid, active, cores, (height, width), out)
    assert np.array_equal(out[:height, :width], image[:, :, 0])
    assert not out[height:].any()
    assert not out[:, width:].any()


def test_cut_writes_only_its_own_rows() -> None:
    """Rows of the batch beyond the asked tiles stay as they are."""
    grid = Grid(40, 50, TileShape(core_height=16, core_width=16, halo=4))
    canvas = Canvas(grid, 1, PAD)
    canvas.write(noise(40, 50))
    out = np.full((3, 24, 24, 1), 99, np.uint8)
    canvas.cut([5], out)
    assert (out[1:] == 99).all()


def test_a_canvas_keeps_a_copy() -> None:
    """A camera may reuse its buffer after the write."""
    grid = Grid(20, 20, TileShape(core_height=16, core_width=16, halo=0))
    canvas = Canvas(grid, 1, PAD)
    image = noise(20, 20)
    kept = image.copy()
    canvas.write(image)
    image[:] = 0
    assert np.array_equal(canvas.picture, kept)


@pytest.mark.parametrize("shape", [(21, 20), (20, 21), (20, 20, 3), (21, 1)])
def test_a_picture_that_does_not_fit_is_refused_and_leaves_the_canvas(shape: tuple[int, ...]) -> None:
    """The message says both sizes; what lay in the canvas is not touched."""
    grid = Grid(20, 20, TileShape(core_height=16, core_width=16, halo=2))
    canvas = Canvas(grid, 1, PAD)
    canvas.write(noise(10, 12))
    with pytest.raises(ValueError, match=rf"{shape[0]}x{shape[1]}.*20x20x1"):
        canvas.write(np.zeros(shape, np.uint8))
    assert canvas.region == (10, 12)
    assert np.array_equal(canvas.picture, noise(10, 12))


def test_the_label_rule_takes_the_most_probable_class_that_reaches_its_own_threshold() -> None:
    """With p = (.5, .4) and t = (.6, .3) the label is class 2; with none over its threshold it is 0."""
    planes = np.array([[[0.5, 0.5, 0.7, 0.59]], [[0.4, 0.2, 0.4, 0.3]]], np.float32)
    labels = labels_from_planes(planes, np.array([0.6, 0.3], np.float32))
    assert labels.tolist() == [[2, 0, 1, 2]]
    assert labels.dtype == np.uint8


@given(
    st.lists(st.lists(st.floats(0, 1, width=16), min_size=3, max_size=3), min_size=1, max_size=8),
    st.lists(st.floats(0, 1, width=16), min_size=3, max_size=3),
)
def test_the_label_rule_pixel_by_pixel(pixels: list[list[float]], thresholds: list[float]) -> None:
    """The rule agrees with its sentence, written out for each pixel."""
    planes = np.array(pixels, np.float32).T[:, np.newaxis, :]
    labels = labels_from_planes(planes, np.array(thresholds, np.float32))
    for x, values in enumerate(pixels):
        reached = [(-p, k) for k, (p, t) in enumerate(zip(values, thresholds, strict=True), start=1) if p >= t]
        assert labels[0, x] == (min(reached)[1] if reached else 0)


def test_a_probability_that_is_no_number_reaches_no_threshold() -> None:
    """NaN is never a label; that it is no PASS either is health's business."""
    planes = np.array([[[np.nan]], [[0.9]]], np.float32)
    assert labels_from_planes(planes, np.array([0.0, 0.5], np.float32)).tolist() == [[2]]
