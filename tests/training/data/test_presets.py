from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import Field

from edge import commandline
from edge.errors import ConfigurationError
from engines.contract import TileShape
from training.commands.flags import Flags
from training.data.presets import STILL, Augmentation, evaluation_pixels, training_pixels, widened
from training.data.windows import OUTSIDE, Picture, TileRecipe, Window, window_at

PAD = 9
OBLONG = TileRecipe("mono8", TileShape(core_height=32, core_width=48, halo=0), PAD, 3)
SQUARE = TileRecipe("mono8", TileShape(core_height=32, core_width=32, halo=4), PAD, 3)
augmentations = st.builds(
    Augmentation,
    flip_rows=st.booleans(),
    flip_columns=st.booleans(),
    quarter_turns=st.booleans(),
    rotate_deg=st.floats(0.0, 45.0),
    scale=st.floats(0.0, 0.5),
    shift_px=st.floats(0.0, 20.0),
    shading=st.floats(0.0, 0.5),
    blur_px=st.floats(0.0, 3.0),
)


def window() -> Window:
    """Return a 32 x 48 window whose left quarter lies outside the picture and whose top left corner is a defect."""
    pixels = np.random.default_rng(0).integers(60, 180, (32, 48, 1), np.uint8)
    labels = np.zeros((32, 48), np.uint8)
    pixels[:, :12], labels[:, :12] = PAD, OUTSIDE
    pixels[:10, 12:24], labels[:10, 12:24] = 255, 2
    return Window(pixels, labels)


def picture(seed: int) -> Picture:
    """Return 50 x 70 px with some defects of classes 1 to 3, single pixels among them."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((50, 70), np.uint8)
    for class_id in (1, 2, 3):
        y, x, side = rng.integers(48), rng.integers(68), rng.integers(1, 9)
        labels[y : y + side, x : x + side] = class_id
    return Picture(rng.integers(60, 180, (50, 70, 1), np.uint8), labels)


def classes(labels: NDArray[np.uint8]) -> set[int]:
    return set(np.unique(labels).tolist()) - {0, OUTSIDE}


def test_evaluation_sees_raw_pixels() -> None:
    """Evaluation hands the network the bytes as they are, channels first."""
    pixels = evaluation_pixels(window())
    assert pixels.dtype == np.float32
    assert pixels.shape == (1, 32, 48)
    assert np.array_equal(pixels[0], window().pixels[:, :, 0])


def test_labels_follow_the_mirrors_and_the_pad_value_stays() -> None:
    """However a tile is mirrored, its defect is where the labels say and outside lies exactly the pad value."""
    flipped = set()
    for seed in range(20):
        pixels, labels = training_pixels(window(), OBLONG, Augmentation(), np.random.default_rng(seed))
        assert (pixels[0][labels == OUTSIDE] == PAD).all()
        assert pixels[0][labels == 2].mean() > 1.4 * pixels[0][labels == 0].mean()
        assert pixels.min() >= 0.0
        assert pixels.max() <= 255.0
        flipped.add((bool((labels[:, 0] == OUTSIDE).all()), bool((labels[0] == 2).any())))
    assert len(flipped) == 4


def test_no_variation_is_the_identity() -> None:
    """With every range at zero, training sees what evaluation sees."""
    pixels, labels = training_pixels(window(), OBLONG, STILL, np.random.default_rng(3))
    assert np.array_equal(pixels, evaluation_pixels(window()))
    assert np.array_equal(labels, window().labels)


@given(augmentations, st.integers(0, 1000), st.integers(-20, 40), st.integers(-20, 60))
@settings(max_examples=150)
def test_labels_keep_their_meaning_wherever_a_tile_is_laid(
    augmentation: Augmentation, seed: int, top: int, left: int
) -> None:
    """No class comes from nowhere, none of the tile's own is lost, and void stays void with the pad value."""
    shown = picture(seed)
    wide = window_at(shown, top, left, widened(SQUARE.tile, augmentation), PAD)
    before = window_at(shown, top, left, SQUARE.tile, PAD).labels
    pixels, labels = training_pixels(wide, SQUARE, augmentation, np.random.default_rng(seed))
    assert pixels.shape == (1, 40, 40)
    assert labels.shape == (40, 40)
    assert classes(before) <= classes(labels) <= classes(wide.labels)
    assert (pixels[0][labels == OUTSIDE] == PAD).all()
    assert pixels.min() >= 0.0
    assert pixels.max() <= 255.0


@given(augmentations, st.integers(0, 1000))
@settings(max_examples=60)
def test_a_widened_tile_shows_no_void_inside_a_picture(augmentation: Augmentation, seed: int) -> None:
    """However it is turned, scaled and shifted, a tile deep inside a picture shows picture to its ends."""
    shown = Picture(np.full((400, 400, 1), 100, np.uint8), np.zeros((400, 400), np.uint8))
    wide = window_at(shown, 180, 180, widened(SQUARE.tile, augmentation), PAD)
    _, labels = training_pixels(wide, SQUARE, augmentation, np.random.default_rng(seed))
    assert not labels.any()


def test_a_moved_tile_shows_its_defect_where_the_labels_say() -> None:
    """Pixels and labels are rotated, scaled and shifted by one and the same map."""
    image = np.full((200, 200, 1), 50, np.uint8)
    labels = np.zeros((200, 200), np.uint8)
    image[90:110, 80:120], labels[90:110, 80:120] = 200, 1
    moved = STILL.model_copy(update={"rotate_deg": 30.0, "scale": 0.3, "shift_px": 8.0})
    recipe = TileRecipe("mono8", TileShape(core_height=96, core_width=96, halo=0), PAD, 1)
    wide = window_at(Picture(image, labels), 52, 52, widened(recipe.tile, moved), PAD)
    areas = set()
    for seed in range(10):
        pixels, cut = training_pixels(wide, recipe, moved, np.random.default_rng(seed))
        assert np.mean((pixels[0] > 125) == (cut == 1)) > 0.995
        areas.add(int(np.count_nonzero(cut)))
    assert len(areas) == 10


def test_blur_and_movement_mix_nothing_of_the_pad_value_into_the_picture() -> None:
    """At the picture's end its own grey goes on: a grey picture beside a black pad stays grey to the last pixel."""
    pixels = np.full((40, 40, 1), 200, np.uint8)
    labels = np.zeros((40, 40), np.uint8)
    pixels[:, :15], labels[:, :15] = 0, OUTSIDE
    soft = STILL.model_copy(update={"blur_px": 3.0, "rotate_deg": 20.0, "shift_px": 4.0})
    recipe = TileRecipe("mono8", SQUARE.tile, 0, 1)
    for seed in range(5):
        varied, cut = training_pixels(Window(pixels, labels), recipe, soft, np.random.default_rng(seed))
        assert np.allclose(varied[0][cut != OUTSIDE], 200.0, atol=1.0)
        assert (varied[0][cut == OUTSIDE] == 0.0).all()


def test_blur_softens_and_shading_tilts() -> None:
    """Blur lowers the variation from pixel to pixel; shading changes one side against the other, within its bound."""
    plain = window_at(picture(1), 8, 8, SQUARE.tile, PAD)
    rng = np.random.default_rng(5)
    soft, _ = training_pixels(plain, SQUARE, STILL.model_copy(update={"blur_px": 2.0}), rng)
    assert np.diff(soft[0]).std() < 0.7 * np.diff(evaluation_pixels(plain)[0]).std()
    flat = Window(np.full((40, 40, 1), 100, np.uint8), np.zeros((40, 40), np.uint8))
    lit, _ = training_pixels(flat, SQUARE, STILL.model_copy(update={"shading": 0.3}), rng)
    assert lit.max() > 101.0
    assert 70.0 <= lit.min() < 99.0
    assert lit.max() <= 130.0


def test_quarter_turns_show_a_tile_from_four_sides() -> None:
    """All four turns come, and labels turn with the pixels."""
    labels = np.zeros((40, 40), np.uint8)
    labels[0, 0] = 1
    turned = STILL.model_copy(update={"quarter_turns": True})
    corners = set()
    for seed in range(20):
        pixels, cut = training_pixels(
            Window(labels[..., np.newaxis] * 200, labels), SQUARE, turned, np.random.default_rng(seed)
        )
        assert np.array_equal(pixels[0] == 200, cut == 1)
        corners.add(tuple(np.argwhere(cut == 1)[0].tolist()))
    assert corners == {(0, 0), (0, 39), (39, 0), (39, 39)}


def test_quarter_turns_of_an_oblong_tile_are_refused() -> None:
    """The message names the flag and the tile's size."""
    with pytest.raises(ConfigurationError, match=r"quarter-turns: tiles are 32x48 px .* expected square ones"):
        training_pixels(window(), OBLONG, Augmentation(quarter_turns=True), np.random.default_rng(0))


class _Command(Flags):
    """A command that takes augmentations."""

    out: Path = Field(Path(), description="somewhere")
    augment: Augmentation = Field(Augmentation(), description="how far training varies a tile")


def parsed(*args: str) -> tuple[int, list[Augmentation]]:
    seen: list[Augmentation] = []
    return commandline.run("edge-x", _Command, args, lambda flags: seen.append(flags.augment) or 0), seen


def test_augmentations_are_flags() -> None:
    """Each range is a flag of its own; those that are not given keep their defaults."""
    code, seen = parsed("--augment.rotate-deg", "5", "--augment.brightness=0", "--no-augment.flip-rows")
    assert code == 0
    assert seen == [Augmentation(rotate_deg=5.0, brightness=0.0, flip_rows=False)]


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("--augment.noise", "-1", "greater than or equal to 0"),
        ("--augment.rotate-deg", "90", "less than or equal to 45"),
        ("--augment.scale", "nan", "less than or equal to 0.5"),
        ("--augment.shading", "much", "valid number"),
    ],
)
def test_a_range_that_cannot_be_is_refused(
    flag: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A negative, too large or senseless range is one line that names the flag, the value and the bound."""
    code, _ = parsed(flag, value)
    assert code == commandline.USAGE
    message = capsys.readouterr().err
    assert flag in message
    assert expected in message
