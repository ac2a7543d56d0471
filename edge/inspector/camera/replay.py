"""Pictures of a folder, or the frames of a video, at a rate or as fast as they are consumed."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError, SourceEnded
from edge.inspector.camera import Actual, Frame, Unusable, fault_of_format
from edge.inspector.camera.synthetic import Pace
from edge.records import Reason
from edge.settings import ReplaySource
from engines.contract import PixelFormat

_PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}


class ReplayCamera:
    """Frame n is the n-th picture by name, or the n-th frame of the video; the end is no failure."""

    def __init__(self, source: ReplaySource, format_: PixelFormat, *, convert: bool) -> None:
        self._source = source
        self._format = format_
        self._convert = convert
        self._files: list[Path] = []
        self._video: cv2.VideoCapture | None = None
        self._next = 1
        self._pace = Pace(source.rate_hz)

    def open(self, resume_from: int) -> Actual:
        path = self._source.path
        self._next = max(resume_from, 1)
        if path.is_dir():
            self._files = _pictures(path, self._source.pattern)
            what = f"{len(self._files)} pictures of {path}"
        elif path.is_file():
            self._video = _opened_video(path, self._next)
            what = f"video {path}"
        else:
            raise CameraError(f"replay: {path} does not exist; expected a folder of pictures or a video file")
        self._pace.restart()
        rate = "as consumed" if self._source.rate_hz is None else f"{self._source.rate_hz:g} Hz"
        return Actual(numbered=True, format=self._format, description=f"{what}, {rate}")

    def read(self) -> Frame | Unusable:
        number = self._next
        name, image = self._next_of_folder() if self._video is None else self._next_of_video(self._video)
        self._next += 1
        self._pace.wait()
        now_us = SYSTEM_CLOCK.now_us()
        if image is None:
            return Unusable(
                number, now_us, name, Reason.CAMERA, f"{name}: cannot be read as a picture; replace the file"
            )
        fault = fault_of_format(image, self._format)
        if fault is not None:
            return Unusable(number, now_us, name, Reason.GEOMETRY, f"{name}: {fault}")
        return Frame(image, number, now_us, name)

    def close(self) -> None:
        if self._video is not None:
            self._video.release()
            self._video = None

    def _next_of_folder(self) -> tuple[str, NDArray[np.uint8] | None]:
        if self._next > len(self._files):
            raise SourceEnded(f"replay: all {len(self._files)} pictures of {self._source.path} are read")
        path = self._files[self._next - 1]
        # A name that is not UTF-8 would fit into no message.
        name = os.fsencode(path.name).decode(errors="replace")
        return name, self._as_asked(_decoded(path))

    def _next_of_video(self, video: cv2.VideoCapture) -> tuple[str, NDArray[np.uint8] | None]:
        good, image = video.read()
        if not good:
            raise SourceEnded(f"replay: {self._source.path} has no frame {self._next}")
        return str(self._next), self._as_asked(np.asarray(image))

    def _as_asked(self, image: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
        return image if image is None or not self._convert else converted(image, self._format)


def converted(image: NDArray[np.uint8], format_: PixelFormat) -> NDArray[np.uint8]:
    """Return the picture with the channels of *format_*; one that is not of 8 bits is returned as it is."""
    if image.dtype != np.uint8:
        return image
    channels = 1 if image.ndim == 2 else image.shape[2]
    if format_ == "mono8" and channels == 3:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    if format_ == "bgr8" and channels == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    return image


def _decoded(path: Path) -> NDArray[np.uint8] | None:
    """Return the picture in a file, None when the file is gone or holds none."""
    try:
        # Decoded from bytes: imread writes its own complaint to stderr and does not say why it failed.
        data = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except (OSError, cv2.error):
        return None
    return None if image is None else np.asarray(image)


def _pictures(folder: Path, pattern: str) -> list[Path]:
    files = sorted(p for p in folder.glob(pattern) if p.is_file() and p.suffix.lower() in _PICTURES)
    if not files:
        raise CameraError(
            f"replay: no picture in {folder} matches '{pattern}'; expected {', '.join(sorted(_PICTURES))}"
        )
    return files


def _opened_video(path: Path, first: int) -> cv2.VideoCapture:
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise CameraError(f"replay: {path} does not open as a video; expected a folder of pictures or a video file")
    for _ in range(first - 1):
        video.grab()
    return video
