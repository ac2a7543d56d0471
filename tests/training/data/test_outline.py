from __future__ import annotations

import numpy as np
import pytest

from training.data.outline import beside, class_colour, close_up, outlined
from training.data.windows import OUTSIDE


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_defect_of_one_pixel_is_outlined_on_every_grey(grey: int) -> None:
    """A picture made much smaller still shows where its single defect pixel is, in colour over black."""
    labels = np.zeros((800, 1600), np.uint8)
    labels[400, 800] = 2
    shown = outlined(np.full((800, 1600, 1), grey, np.uint8), labels, 200, 400)
    assert shown.shape == (200, 400, 3)
    assert (shown == class_colour(2)).all(axis=2).any()
    assert (shown == 0).all(axis=2).any()


def test_proportions_stay() -> None:
    """Whatever the cell, a picture keeps its proportions, and a small one is not blown up without bound."""
    sound = np.zeros((50, 200), np.uint8)
    assert outlined(np.zeros((50, 200, 3), np.uint8), sound, 300, 300).shape == (75, 300, 3)
    assert outlined(np.zeros((5, 20, 1), np.uint8), np.zeros((5, 20), np.uint8), 300, 300).shape == (20, 80, 3)


def test_colours_come_as_rgb_and_void_is_not_drawn() -> None:
    """A BGR picture is shown as RGB; what lies outside the picture has no outline."""
    blue = np.zeros((20, 20, 3), np.uint8)
    blue[..., 0] = 200
    shown = outlined(blue, np.full((20, 20), OUTSIDE, np.uint8), 20, 20)
    assert (shown == (0, 0, 200)).all()


def test_a_close_up_holds_the_largest_region() -> None:
    """The close-up is a square inside the picture about the largest region of the class."""
    labels = np.zeros((300, 400), np.uint8)
    labels[5:8, 5:8], labels[280:300, 380:400] = 1, 1
    rows, columns = close_up(labels, 1)
    assert rows == slice(250, 300)
    assert columns == slice(350, 400)


def test_beside_keeps_each_picture() -> None:
    """Pictures stand side by side on white, a gap between them."""
    sheet = beside([np.zeros((10, 20, 3), np.uint8), np.zeros((30, 5, 3), np.uint8)], gap=4)
    assert sheet.shape == (30, 29, 3)
    assert (sheet[:, 20:24] == 255).all()
    assert (sheet[10:, :20] == 255).all()
