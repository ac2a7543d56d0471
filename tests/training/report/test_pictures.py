"""Truth and answer are outlined, and a small defect is enlarged beside the whole."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.report.pictures import ANSWER, TRUTH, outlined


def decoded(encoded: bytes) -> NDArray[np.int64]:
    return np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR), np.int64)


def near(picture: NDArray[np.int64], colour: tuple[int, int, int]) -> int:
    """Count the pixels of about that colour; JPEG blurs thin lines."""
    return int((np.abs(picture - np.array(colour)).sum(axis=2) < 120).sum())


def labels(top: int, left: int, side: int, shape: tuple[int, int] = (200, 400)) -> NDArray[np.uint8]:
    made = np.zeros(shape, np.uint8)
    made[top : top + side, left : left + side] = 1
    return made


def test_truth_and_answer_have_their_own_colours() -> None:
    """Each is drawn only where it has labels."""
    image, nothing = np.full((200, 400), 128, np.uint8), np.zeros((200, 400), np.uint8)
    truth_only = decoded(outlined(image, labels(40, 40, 100), nothing))
    both = decoded(outlined(image, labels(40, 40, 100), labels(60, 240, 100)))
    assert near(truth_only, TRUTH) > 50
    assert near(truth_only, ANSWER) == 0
    assert near(both, TRUTH) > 50
    assert near(both, ANSWER) > 50


def test_a_small_defect_is_enlarged_beside_the_whole() -> None:
    """The picture of a defect of 6 px is wider than that of a large one, and shows its outline large."""
    image, nothing = np.full((200, 400), 128, np.uint8), np.zeros((200, 400), np.uint8)
    large = decoded(outlined(image, labels(10, 10, 180), nothing))
    small = decoded(outlined(image, labels(100, 200, 6), nothing))
    assert small.shape[1] > large.shape[1]
    assert near(small[:, large.shape[1] :], TRUTH) > near(small[:, : large.shape[1]], TRUTH) > 0


def test_a_defect_at_the_edge_is_enlarged_within_the_picture() -> None:
    """A tiny defect in the corner of a colour picture that is smaller than the zoom is drawn."""
    image = np.full((40, 60, 3), 128, np.uint8)
    drawn = decoded(outlined(image, labels(36, 56, 4, (40, 60)), np.zeros((40, 60), np.uint8)))
    assert near(drawn, TRUTH) > 0


def test_void_is_not_drawn() -> None:
    """What lies outside the labels (255) has no outline."""
    void = np.full((200, 400), 255, np.uint8)
    assert near(decoded(outlined(np.full((200, 400), 128, np.uint8), void, void)), TRUTH) == 0
