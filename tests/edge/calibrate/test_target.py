"""The scale from pictures whose truth is known, and what one scale cannot describe."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.calibrate.target import fault_of_scale, scale_from_grid, scale_from_points
from edge.errors import DataError
from tests.edge.calibrate.boards import SQUARE_PX, barrel, chessboard, circles

MM = 5.0
TURNED = np.array([[0.9, -0.3, 100], [0.3, 0.9, 20], [0, 0, 1.0]])
TILTED = np.array([[1, 0, 0], [0, 1, 0], [0.0003, 0, 1.0]])


@pytest.mark.parametrize(("transform", "size"), [(np.eye(3), 1.0), (TURNED, np.sqrt(0.9))])
def test_a_chessboard_gives_the_scale_whichever_way_it_lies(transform: NDArray[np.float64], size: float) -> None:
    """To a thousandth, in both directions, with little left unexplained."""
    found = scale_from_grid(chessboard(9, 6, transform), "chessboard", 9, 6, MM)
    true = MM / SQUARE_PX / size
    for value in (found.mm_per_px, found.x, found.y):
        assert value == pytest.approx(true, rel=1e-3)
    assert found.residual_px is not None
    assert found.residual_px < 0.2
    assert fault_of_scale(found, 0.01, 0.5) == ""


def test_circles_give_the_scale() -> None:
    """A colour picture is taken too."""
    image = np.asarray(cv2.cvtColor(circles(7, 5), cv2.COLOR_GRAY2BGR), np.uint8)
    assert scale_from_grid(image, "circles", 7, 5, 6.0).mm_per_px == pytest.approx(0.1, rel=1e-4)


def test_areas_are_right_where_a_pixel_is_not_square() -> None:
    """The scale's square is the area of a pixel, whatever the two directions are."""
    found = scale_from_grid(chessboard(9, 6, np.diag([1.0, 0.97, 1.0])), "chessboard", 9, 6, MM)
    assert found.mm_per_px**2 == pytest.approx((MM / SQUARE_PX) ** 2 / 0.97, rel=2e-3)
    assert "differ by 2.9%, expected 1.0% or less" in fault_of_scale(found, 0.01, 0.5)
    assert fault_of_scale(found, 0.05, 0.5) == ""


def test_a_tilt_is_told_from_a_lens() -> None:
    """What a homography explains is a tilt; the rest is the lens."""
    tilted = scale_from_grid(chessboard(9, 6, TILTED), "chessboard", 9, 6, MM)
    assert "a tilt would explain them" in fault_of_scale(tilted, 0.2, 0.5)
    bent = scale_from_grid(barrel(chessboard(9, 6, size=(360, 480))), "chessboard", 9, 6, MM)
    assert "the lens distorts" in fault_of_scale(bent, 0.2, 0.5)


def test_a_grid_that_is_not_there_is_told() -> None:
    """An empty picture, and a board with another number of corners."""
    with pytest.raises(DataError, match="no chessboard of 9 x 6 inner corners in the picture"):
        scale_from_grid(np.full((300, 400), 200, np.uint8), "chessboard", 9, 6, MM)
    with pytest.raises(DataError, match="no circles of 4 x 9 dark circles"):
        scale_from_grid(circles(7, 5), "circles", 4, 9, MM)


def test_two_points_give_a_scale_and_no_more() -> None:
    """Neither a tilt nor a distortion can be told by them, so none is faulted."""
    found = scale_from_points((100.0, 50.0), (400.0, 450.0), 125.0, (500, 700))
    assert (found.mm_per_px, found.x, found.residual_px) == (0.25, None, None)
    assert fault_of_scale(found, 0.01, 0.5) == ""


@pytest.mark.parametrize(
    ("other", "text"), [((130.0, 90.0), "50.0 px apart|expected 50"), ((100.0, 500.0), "outside of the picture")]
)
def test_two_points_too_close_or_outside_are_refused(other: tuple[float, float], text: str) -> None:
    """Half a pixel each would be percents of the distance."""
    with pytest.raises(DataError, match=text):
        scale_from_points((100.0, 51.0), other, 1.0, (500, 700))
