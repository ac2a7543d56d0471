"""The drift guard: what is measured of a picture, and when it is not judged any more."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.inspector.drift import WINDOW, DriftGuard, Measures, measures_from_picture
from edge.settings import DriftLimits
from edge.synthetic import Strip


def picture(number: int = 3) -> NDArray[np.uint8]:
    return Strip(7, 0.1, 256, 1600).frame(number).image.reshape(256, 1600, 1)


def test_brightness_is_the_mean_of_the_whole_picture() -> None:
    """Of all channels, in grey values."""
    colour = np.zeros((10, 20, 3), np.uint8)
    colour[:, :, 1] = 90
    assert measures_from_picture(colour) == Measures(30.0, 0.0)


def test_sharpness_is_that_of_the_whole_picture() -> None:
    """The bands that are measured tell the variance of the whole frame's Laplacian within a few percent."""
    whole = cv2.Laplacian(picture(), cv2.CV_64F).var()
    assert measures_from_picture(picture()).sharpness == pytest.approx(whole, rel=0.05)


def test_a_blurred_picture_is_less_sharp_and_as_bright() -> None:
    """A lens out of focus shows in sharpness alone."""
    sharp = measures_from_picture(picture())
    blurred = measures_from_picture(cv2.GaussianBlur(picture(), (0, 0), 2.0)[:, :, np.newaxis])
    assert blurred.sharpness < sharp.sharpness / 4
    assert blurred.brightness == pytest.approx(sharp.brightness, abs=1.0)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 500, 3), (17, 5, 1), (40, 9000, 1), (3000, 4, 3)])
def test_any_picture_can_be_measured(shape: tuple[int, int, int]) -> None:
    """However small, wide or tall, and as a view of a larger buffer."""
    buffer = np.full((shape[0] + 4, shape[1] + 4, shape[2]), 50, np.uint8)
    assert measures_from_picture(buffer[2:-2, 2:-2]) == Measures(50.0, 0.0)


@pytest.mark.parametrize(
    ("measures", "fault"),
    [
        (Measures(50.0, 5.0), None),
        (Measures(200.0, 5.0), None),
        (Measures(49.9, 5.0), "brightness 49.9, expected 50 or more"),
        (Measures(200.2, 5.0), "brightness 200.2, expected 200 or less"),
        (Measures(math.nan, 5.0), "brightness nan"),
        (Measures(100.0, 4.9), "sharpness 4.9, expected 5 or more"),
        (Measures(100.0, math.nan), "sharpness nan"),
    ],
)
def test_a_picture_outside_its_limits_is_named(measures: Measures, fault: str | None) -> None:
    """With the value and the limit; what is no number is outside of every limit."""
    found = DriftGuard(DriftLimits(brightness_low=50, brightness_high=200, sharpness_low=5)).fault_of_picture(measures)
    assert (found is None) if fault is None else (found is not None and found.startswith(fault))


def test_without_limits_everything_is_judged() -> None:
    """Nothing is asked of a picture that nobody set a limit for."""
    guard = DriftGuard(DriftLimits())
    for _ in range(WINDOW):
        guard.note(True)
    assert guard.fault_of_picture(Measures(0.0, 0.0)) is None
    assert guard.fault_of_share() is None


def test_too_many_suspicious_frames_until_they_are_fewer_again() -> None:
    """Above the share of the last 200 frames: fault; at it or below: none."""
    guard = DriftGuard(DriftLimits(suspicious_share=0.1))
    for _ in range(20):
        guard.note(True)
    assert guard.fault_of_share() is None
    guard.note(True)
    fault = guard.fault_of_share()
    assert fault is not None
    assert "10%" in fault
    for _ in range(WINDOW - 21):
        guard.note(False)
    assert guard.fault_of_share() is not None
    guard.note(False)
    assert guard.fault_of_share() is None


def test_the_first_frames_do_not_decide_alone() -> None:
    """One suspicious frame after a start is not all of them."""
    guard = DriftGuard(DriftLimits(suspicious_share=0.01))
    guard.note(True)
    assert guard.fault_of_share() is None
