"""Truth and answer are outlined, small defects enlarged, and the tiles of a classifier framed with their scores."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.tiles import Grid
from engines.contract import TileShape
from training.report.pictures import ANSWER, BELOW_GATE, TRUTH, outlined, with_scores

GREY = np.full((300, 400, 1), 128, np.uint8)
NOTHING = np.zeros((300, 400), np.uint8)


def decoded(encoded: bytes) -> NDArray[np.int64]:
    bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(bgr, np.int64)[:, :, ::-1]


def near(picture: NDArray[np.int64], colour: tuple[int, int, int]) -> int:
    """Count the pixels of about that colour; JPEG blurs thin lines."""
    return int((np.abs(picture - np.array(colour)).sum(axis=2) < 90).sum())


def labels(top: int, left: int, side: int, shape: tuple[int, int] = (300, 400)) -> NDArray[np.uint8]:
    made = np.zeros(shape, np.uint8)
    made[top : top + side, left : left + side] = 1
    return made


def test_truth_and_answer_have_their_own_colours() -> None:
    """Each is drawn only where it has labels."""
    truth_only = decoded(outlined(GREY, labels(40, 40, 100), NOTHING))
    both = decoded(outlined(GREY, labels(40, 40, 100), labels(60, 240, 100)))
    assert near(truth_only, TRUTH) > 50
    assert near(truth_only, ANSWER) == 0
    assert near(both, TRUTH) > 50
    assert near(both, ANSWER) > 50


def test_a_perfect_answer_does_not_hide_the_truth() -> None:
    """The line of what is labelled runs outside that of what was found."""
    same = decoded(outlined(GREY, labels(40, 40, 100), labels(40, 40, 100)))
    assert min(near(same, TRUTH), near(same, ANSWER)) > 50


@pytest.mark.parametrize(("shape", "axis"), [((300, 400), 1), ((200, 400), 0)])
def test_a_small_defect_is_enlarged_beside_the_whole(shape: tuple[int, int], axis: int) -> None:
    """A defect of 6 px is shown large: at the side of a picture, below one that is wide."""
    image, nothing = np.full((*shape, 1), 128, np.uint8), np.zeros(shape, np.uint8)
    large = decoded(outlined(image, labels(10, 10, 180, shape), nothing))
    small = decoded(outlined(image, labels(100, 200, 6, shape), nothing))
    assert small.shape[axis] > large.shape[axis] + 100
    assert small.shape[1 - axis] == large.shape[1 - axis]


def test_a_defect_at_the_edge_is_enlarged_within_the_picture() -> None:
    """A tiny defect in the corner of a colour picture that is smaller than the zoom is drawn."""
    image = np.full((40, 60, 3), 128, np.uint8)
    drawn = decoded(outlined(image, labels(36, 56, 4, (40, 60)), np.zeros((40, 60), np.uint8)))
    assert near(drawn, TRUTH) > 0


def test_void_is_not_drawn() -> None:
    """What lies outside the labels (255) has no outline."""
    void = np.full((300, 400), 255, np.uint8)
    assert near(decoded(outlined(GREY, void, void)), TRUTH) == 0


def test_suspicious_tiles_are_framed() -> None:
    """Tiles over the gate are framed; where there is none, the highest one in another colour."""
    grid = Grid(300, 400, TileShape(core_height=128, core_width=128, halo=0))
    scores = np.linspace(0.0, 0.6, grid.count, dtype=np.float32)
    over = decoded(with_scores(GREY, NOTHING, grid, scores, 0.5))
    below = decoded(with_scores(GREY, NOTHING, grid, scores, 0.7))
    assert near(over, ANSWER) > 200
    assert near(over, BELOW_GATE) == 0
    assert near(below, BELOW_GATE) > 50
    assert near(below, ANSWER) == 0
