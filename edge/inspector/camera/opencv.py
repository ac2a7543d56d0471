"""Cameras that OpenCV opens: a device, an RTSP or HTTP stream, a file. Every setting is read back."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError
from edge.inspector.camera import Actual, Frame, Unusable, fault_of_format
from edge.inspector.camera.latest import LatestReader, Taken
from edge.inspector.camera.replay import converted, end_of_video
from edge.inspector.camera.video import described, opened, shown
from edge.records import Reason
from edge.settings import OpenCVSource
from engines.contract import PixelFormat

# So long a handle that is closed may take to let go, before it is left alone with that.
_GRACE_S = 0.5


class OpenCVCamera:
    """
    A live source, of which the latest picture counts, or a video file, which is read picture by picture.

    Frames carry no number of the camera's own: we count what reaches us, and give each a part, also what a slow station
    lets pass. What the camera or the network loses shows only in the times.

    Args:
        size: (height, width) of the canvas [px]. Each picture must have it: a camera that comes back in another mode
            would be inspected at another scale.
    """

    def __init__(
        self, source: OpenCVSource, format_: PixelFormat, size: tuple[int, int], *, convert: bool = False
    ) -> None:
        self._source = source
        self._shown = shown(source)
        self._format = format_
        self._size = size
        self._convert = convert
        self._file: cv2.VideoCapture | None = None
        self._reader: LatestReader | None = None
        self._left: LatestReader | None = None
        self._port: str | None = None
        self._next = 1

    def open(self, resume_from: int) -> Actual:
        self._next = max(resume_from, 1)
        description = self._open_file() if self._source.is_file else self._open_live()
        return Actual(
            numbered=False,
            triggerable=self._source.is_file,
            counts=False,
            format=self._format,
            description=description,
        )

    def read(self) -> Frame | Unusable:
        taken = self._taken()
        number = self._next
        self._next += 1
        if taken.picture is None:
            reason = taken.reason or Reason.CAMERA
            return Unusable(number, taken.came_us, str(number), reason, f"camera {self._shown}: {taken.detail}")
        picture = converted(taken.picture, self._format) if self._convert else taken.picture
        fault = fault_of_format(picture, self._format) or self._fault_of_size(picture)
        if fault is not None:
            fault = f"camera {self._shown}: {fault}"
            return Unusable(number, taken.came_us, str(number), Reason.GEOMETRY, fault, picture=picture)
        return Frame(picture, number, taken.came_us, str(number))

    def close(self) -> None:
        if self._file is not None:
            self._file.release()
            self._file = None
        if self._reader is not None:
            self._reader.leave()
            # A handle that hangs is released by its own thread when it can be: nobody waits for it here.
            self._reader.join(_GRACE_S)
            self._left, self._reader = self._reader, None

    # ---- a file ----------------------------------------------------------------------------------------------

    def _open_file(self) -> str:
        self._file = file = opened(self._source)
        for _ in range(self._next - 1):
            file.grab()
        return described(file, self._source)

    def _taken(self) -> Taken:
        if self._reader is not None:
            return self._reader.take()
        if self._file is None:
            raise CameraError(f"camera {self._shown}: read before open")
        good, image = self._file.read()
        if not good or image is None:
            raise end_of_video(self._source.device, self._file, self._next - 1)
        # No cast: 16 bits would wrap to 8 and pass for a picture.
        picture: NDArray[Any] = np.asarray(image)
        return Taken(picture, SYSTEM_CLOCK.now_us())

    # ---- a live source ---------------------------------------------------------------------------------------

    def _open_live(self) -> str:
        self._require_released()
        self._reader = reader = LatestReader(self._source)
        reader.start()
        try:
            description = reader.wait_until_fresh()
            self._require_same(reader.port)
            return description
        except CameraError:
            self.close()
            raise

    def _require_released(self) -> None:
        """Two handles of one camera get in each other's way: many a camera serves one client alone."""
        if self._left is None:
            return
        self._left.join(self._source.open_timeout_ms / 1000)
        if self._left.is_alive():
            raise CameraError(
                f"camera {self._shown}: the handle that was closed still hangs in its driver; replug it if that lasts"
            )
        self._left = None

    def _require_same(self, port: str | None) -> None:
        """Numbers of devices change places when two cameras are plugged in again."""
        if self._port is not None and port != self._port:
            raise CameraError(
                f"camera {self._shown}: is {port or 'unknown'} now, expected {self._port} as at the first open; plug "
                "it in where it was, or name it by /dev/v4l/by-path and start the station again"
            )
        self._port = port

    def _fault_of_size(self, picture: NDArray[Any]) -> str | None:
        if picture.shape[:2] == self._size:
            return None
        (height, width), (canvas_height, canvas_width) = picture.shape[:2], self._size
        return (
            f"picture of {width}x{height} px, the canvas is {canvas_width}x{canvas_height}; "
            "set height and width of the camera to the mode it runs in"
        )
