"""What a GenICam camera sends, as mono8 or bgr8. Codes and names: GenICam Pixel Format Naming Convention."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inspector.camera.driver import Grabbed
from edge.settings import GenicamFormat
from engines.contract import PixelFormat


class _Layout(NamedTuple):
    code: int
    channels: int
    """Of the raw data."""
    becomes: PixelFormat
    conversion: int | None
    """Of OpenCV, whose Bayer names tell the second row; None = it is a picture already."""


LAYOUTS: dict[GenicamFormat, _Layout] = {
    "Mono8": _Layout(0x01080001, 1, "mono8", None),
    "BGR8": _Layout(0x02180015, 3, "bgr8", None),
    "RGB8": _Layout(0x02180014, 3, "bgr8", cv2.COLOR_RGB2BGR),
    "BayerGR8": _Layout(0x01080008, 1, "bgr8", cv2.COLOR_BayerGRBG2BGR),
    "BayerRG8": _Layout(0x01080009, 1, "bgr8", cv2.COLOR_BayerRGGB2BGR),
    "BayerGB8": _Layout(0x0108000A, 1, "bgr8", cv2.COLOR_BayerGBRG2BGR),
    "BayerBG8": _Layout(0x0108000B, 1, "bgr8", cv2.COLOR_BayerBGGR2BGR),
}
_BY_CODE = {layout.code: layout for layout in LAYOUTS.values()}


def becomes(code: int) -> PixelFormat | None:
    """Return what pictures of that code become, None when they become nothing."""
    layout = _BY_CODE.get(code)
    return None if layout is None else layout.becomes


def fault_of_buffer(grabbed: Grabbed, code: int, size: tuple[int, int], corner: tuple[int, int]) -> str | None:
    """
    Return what is wrong with a buffer's layout, None when it is what the camera was set to.

    Args:
        code: the pixel format that was read back.
        size: (height, width) of the region that was read back [px].
        corner: (x, y) where buffers say that it begins [px].
    """
    height, width = size
    if grabbed.payload != "image":
        return f"it holds {grabbed.payload}, expected an image; switch the camera's other components off"
    if (grabbed.height, grabbed.width) != size:
        return f"picture of {grabbed.width}x{grabbed.height} px, expected {width}x{height}: its region was changed"
    if (grabbed.left, grabbed.top) != corner:
        return f"region at ({grabbed.left}, {grabbed.top}), expected ({corner[0]}, {corner[1]}): it was moved"
    if grabbed.pixel_format != code:
        return f"pixel format {grabbed.pixel_format:#010x}, expected {code:#010x}: it was changed"
    expected = height * (width * _BY_CODE[code].channels + grabbed.padding)
    if len(grabbed.data) != expected:
        return f"{len(grabbed.data)} bytes, expected {expected} for {width}x{height} px"
    return None


def picture_from(grabbed: Grabbed) -> NDArray[np.uint8]:
    """
    Return a buffer without fault as (h, w) of mono8 or (h, w, 3) of bgr8.

    Returns:
        May be a read-only view of the buffer's data.
    """
    layout = _BY_CODE[grabbed.pixel_format]
    row = grabbed.width * layout.channels
    raw = np.frombuffer(grabbed.data, np.uint8).reshape(grabbed.height, row + grabbed.padding)[:, :row]
    if layout.channels > 1:
        raw = raw.reshape(grabbed.height, grabbed.width, layout.channels)
    return raw if layout.conversion is None else np.asarray(cv2.cvtColor(raw, layout.conversion), np.uint8)
