"""Cameras that OpenCV opens: a device, an RTSP or HTTP stream, a file. Every setting is read back."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError
from edge.inspector.camera import Actual, Frame, Unusable, fault_of_format
from edge.inspector.camera.replay import converted, end_of_video
from edge.records import Reason
from edge.settings import OpenCVSource
from engines.contract import PixelFormat

# Rates, exposure and gain are rounded by the drivers; a size is what it is.
_TOLERANCE = 0.02
_EXACT = {"width", "height"}


class OpenCVCamera:
    """
    A live source, or a video file. Frames carry no number of the camera's own: we count, and a lost frame shows only in
    the times.

    Args:
        size: (height, width) of the canvas [px]. Each picture must have it: a camera that comes back in another mode
            would be inspected at another scale.
    """

    def __init__(
        self, source: OpenCVSource, format_: PixelFormat, size: tuple[int, int], *, convert: bool = False
    ) -> None:
        self._source = source
        self._format = format_
        self._size = size
        self._convert = convert
        self._capture: cv2.VideoCapture | None = None
        self._last: NDArray[Any] | None = None
        self._next = 1

    def open(self, resume_from: int) -> Actual:
        self._next = max(resume_from, 1)
        self._last = None
        self._capture = capture = _opened(self._source)
        try:
            _apply(capture, self._source)
        except CameraError:
            self.close()
            raise
        if self._source.is_file:
            for _ in range(self._next - 1):
                capture.grab()
        width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        mode = f"{width:.0f}x{height:.0f}, {capture.get(cv2.CAP_PROP_FPS):g} Hz"
        return Actual(
            numbered=False,
            triggerable=self._source.is_file,
            counts=False,
            format=self._format,
            description=f"{self._source.device} by {capture.getBackendName()}, {mode}",
        )

    def read(self) -> Frame | Unusable:
        if self._capture is None:
            raise CameraError(f"camera {self._source.device}: read before open")
        good, image = self._capture.read()
        now_us = SYSTEM_CLOCK.now_us()
        if not good and self._source.is_file:
            raise end_of_video(self._source.device, self._capture, self._next - 1)
        # After one failed read the handle is dead for good although isOpened() stays true: only a new one helps.
        if not good or image is None:
            raise CameraError(
                f"camera {self._source.device}: no frame (unplugged, timed out or ended); will be reopened"
            )
        number = self._next
        self._next += 1
        # No cast: 16 bits would wrap to 8 and pass for a picture.
        picture: NDArray[Any] = np.asarray(image)
        repeated = self._repeats(picture)
        if self._convert:
            picture = converted(picture, self._format)
        fault = fault_of_format(picture, self._format) or self._fault_of_size(picture)
        if repeated:
            fault = "the very picture of the frame before: a corrupt or frozen camera"
        if fault is not None:
            reason = Reason.CAMERA if repeated else Reason.GEOMETRY
            return Unusable(number, now_us, str(number), reason, f"camera {self._source.device}: {fault}")
        return Frame(picture, number, now_us, str(number))

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _repeats(self, picture: NDArray[Any]) -> bool:
        """
        Say whether a live source gives the last picture once more, and keep this one for the next question.

        OpenCV's V4L2 ignores that a motion JPEG does not decode, and hands out what the buffer still holds; a live
        sensor's noise never repeats bit by bit.
        """
        last, self._last = self._last, picture
        return not self._source.is_file and last is not None and np.array_equal(picture, last)

    def _fault_of_size(self, picture: NDArray[Any]) -> str | None:
        if picture.shape[:2] == self._size:
            return None
        (height, width), (canvas_height, canvas_width) = picture.shape[:2], self._size
        return (
            f"picture of {width}x{height} px, the canvas is {canvas_width}x{canvas_height}; "
            "set height and width of the camera to the mode it runs in"
        )


def _opened(source: OpenCVSource) -> cv2.VideoCapture:
    if isinstance(source.device, str) and "://" in source.device:
        # As constructor parameters: set() comes too late. More decoder threads cost a frame period of delay each.
        parameters = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, source.open_timeout_ms,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC, source.read_timeout_ms,
            cv2.CAP_PROP_N_THREADS, 1,
        ]  # fmt: skip
        capture = cv2.VideoCapture(source.device, cv2.CAP_FFMPEG, parameters)
    else:
        capture = cv2.VideoCapture(source.device)
    if not capture.isOpened():
        capture.release()
        raise CameraError(f"camera {source.device}: does not open; check the cable, the address, and who else uses it")
    return capture


def _apply(capture: cv2.VideoCapture, source: OpenCVSource) -> None:
    """
    Ask for every setting, then believe what is read back: with some drivers set() says true and changes nothing, and
    V4L2 applies a size only after width and height were both set.
    """
    settings = {
        "width": (cv2.CAP_PROP_FRAME_WIDTH, source.width),
        "height": (cv2.CAP_PROP_FRAME_HEIGHT, source.height),
        "rate_hz": (cv2.CAP_PROP_FPS, source.rate_hz),
        "exposure": (cv2.CAP_PROP_EXPOSURE, source.exposure),
        "gain": (cv2.CAP_PROP_GAIN, source.gain),
    }
    asked = {name: (property_, value) for name, (property_, value) in settings.items() if value is not None}
    for property_, value in asked.values():
        capture.set(property_, value)
    for name, (property_, value) in asked.items():
        actual = capture.get(property_)
        if not math.isclose(actual, value, rel_tol=0.0 if name in _EXACT else _TOLERANCE):
            raise CameraError(
                f"camera {source.device}: {name} requested {value:g}, actual {actual:g}; choose a mode it has"
            )
