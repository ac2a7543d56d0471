"""What a camera sends becomes a picture: colours in their order, mosaics resolved, padding cut off."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.inspector.camera.pixels import LAYOUTS, becomes, fault_of_buffer, picture_from
from edge.settings import GenicamFormat
from tests.support.genicam import grabbed

SIZE = (8, 12)
# Where the colours of a block of two by two lie, by name: what is read first stands first.
MOSAICS = {"BayerRG8": "RGGB", "BayerGR8": "GRBG", "BayerGB8": "GBRG", "BayerBG8": "BGGR"}


def mosaic(order: str, levels: dict[str, int]) -> np.ndarray:
    raw = np.zeros(SIZE, np.uint8)
    for place, colour in enumerate(order):
        raw[place // 2 :: 2, place % 2 :: 2] = levels[colour]
    return raw


@pytest.mark.parametrize(("name", "order"), MOSAICS.items())
def test_each_mosaic_gives_the_colours_it_has(name: GenicamFormat, order: str) -> None:
    """GenICam names the first row, OpenCV the second: a mistake would swap red and blue."""
    data = mosaic(order, {"R": 200, "G": 90, "B": 10}).tobytes()
    buffer = grabbed(1, pixel_format=LAYOUTS[name].code, width=12, height=8, data=data)
    assert fault_of_buffer(buffer, LAYOUTS[name].code, SIZE, (0, 0)) is None
    assert picture_from(buffer)[4, 6].tolist() == [10, 90, 200]
    assert becomes(LAYOUTS[name].code) == "bgr8"


@pytest.mark.parametrize(("name", "channels"), [("Mono8", 1), ("BGR8", 3), ("RGB8", 3)])
@pytest.mark.parametrize("padding", [0, 4])
def test_pixels_arrive_where_they_were(name: GenicamFormat, channels: int, padding: int) -> None:
    """Also of a camera that fills up its rows."""
    truth = np.random.default_rng(3).integers(0, 256, (*SIZE, 3)[: 2 if channels == 1 else 3], np.uint8)
    rows = truth.reshape(8, -1)
    data = np.hstack([rows, np.full((8, padding), 99, np.uint8)]).tobytes()
    buffer = grabbed(1, pixel_format=LAYOUTS[name].code, width=12, height=8, padding=padding, data=data)
    assert fault_of_buffer(buffer, LAYOUTS[name].code, SIZE, (0, 0)) is None
    expected = cv2.cvtColor(truth, cv2.COLOR_RGB2BGR) if name == "RGB8" else truth
    assert np.array_equal(picture_from(buffer), expected)


def test_formats_of_more_than_eight_bits_become_nothing() -> None:
    """They would wrap to eight and pass for a picture."""
    assert becomes(0x01100007) is None
