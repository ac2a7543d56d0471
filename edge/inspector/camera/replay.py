"""Pictures of a folder, or the frames of a video, at a rate or as fast as they are consumed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.archive import is_archive
from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError, SourceEnded
from edge.inspector.camera import Actual, Frame, Unusable, fault_of_format
from edge.inspector.camera.files import PICTURES, content_of, printable, tag_from_name
from edge.inspector.camera.synthetic import Pace
from edge.records import Reason
from edge.settings import ReplaySource
from engines.contract import PixelFormat

_CONVERSIONS: dict[tuple[int, PixelFormat], int] = {
    (3, "mono8"): cv2.COLOR_BGR2GRAY,
    (4, "mono8"): cv2.COLOR_BGRA2GRAY,
    (1, "bgr8"): cv2.COLOR_GRAY2BGR,
    (4, "bgr8"): cv2.COLOR_BGRA2BGR,
}
_PLAUSIBLE_FRAMES = 1e9


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
        self._next = max(resume_from, 1)
        with _looking_at(self._source.path):
            what = self._found(self._source.path)
        self._pace.restart()
        rate = "as consumed" if self._source.rate_hz is None else f"{self._source.rate_hz:g} Hz"
        return Actual(
            numbered=True,
            triggerable=True,
            counts=False,
            format=self._format,
            description=f"{what}, {rate}",
        )

    def read(self) -> Frame | Unusable:
        number = self._next
        name, image = self._next_of_folder() if self._video is None else self._next_of_video(self._video)
        self._next += 1
        self._pace.wait()
        now_us = SYSTEM_CLOCK.now_us()
        tag = tag_from_name(name, self._source.tag_pattern)
        if image is None:
            return Unusable(
                number, now_us, name, Reason.CAMERA, f"{name}: cannot be read as a picture; replace the file", tag
            )
        fault = fault_of_format(image, self._format)
        if fault is not None:
            return Unusable(number, now_us, name, Reason.GEOMETRY, f"{name}: {fault}", tag, image)
        return Frame(image, number, now_us, name, tag)

    def close(self) -> None:
        if self._video is not None:
            self._video.release()
            self._video = None

    def _found(self, path: Path) -> str:
        if path.is_dir():
            self._files = _pictures(path, self._source.pattern)
            return f"{len(self._files)} pictures of {path}"
        if path.is_file():
            if self._source.tag_pattern is not None:
                raise CameraError(f"replay: {path} is a video, expected a folder for tag_pattern; leave the key out")
            self._video = _opened_video(path, self._next)
            return f"video {path}"
        raise CameraError(f"replay: {path} does not exist; expected a folder of pictures or a video file")

    def _next_of_folder(self) -> tuple[str, NDArray[np.uint8] | None]:
        if self._next > len(self._files):
            raise SourceEnded(f"replay: all {len(self._files)} pictures of {self._source.path} are read")
        path = self._files[self._next - 1]
        # Below the folder, since names repeat there.
        name = printable(path.relative_to(self._source.path).as_posix())
        return name, self._as_asked(content_of(path).picture)

    def _next_of_video(self, video: cv2.VideoCapture) -> tuple[str, NDArray[np.uint8] | None]:
        good, image = video.read()
        if not good:
            raise end_of_video(self._source.path, video, self._next - 1)
        return str(self._next), self._as_asked(np.asarray(image))

    def _as_asked(self, image: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
        return image if image is None or not self._convert else converted(image, self._format)


def converted(image: NDArray[np.uint8], format_: PixelFormat) -> NDArray[np.uint8]:
    """Return the picture with the channels of *format_*; one that is not of 8 bits is returned as it is."""
    if image.dtype != np.uint8:
        return image
    channels = 1 if image.ndim == 2 else image.shape[2]
    code = _CONVERSIONS.get((channels, format_))
    return image if code is None else np.asarray(cv2.cvtColor(image, code), np.uint8)


def end_of_video(source: object, video: cv2.VideoCapture, given: int) -> SourceEnded:
    """Return the end of a video after *given* frames; it says so when the file promised more."""
    promised = video.get(cv2.CAP_PROP_FRAME_COUNT)
    # Streams without an index answer with something negative or enormous.
    if given < promised < _PLAUSIBLE_FRAMES:
        return SourceEnded(f"{source}: ends after frame {given} of {promised:.0f}: damaged?")
    return SourceEnded(f"{source}: all {given} frames are read")


@contextmanager
def _looking_at(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CameraError(f"replay: {error.filename or path}: {error.strerror}; check its owner and mode") from error


def _raise(error: OSError) -> None:
    raise error


def _pictures(folder: Path, pattern: str) -> list[Path]:
    # glob() leaves out in silence what it may not list: those parts would never be inspected.
    walk = os.walk(folder, onerror=_raise)
    next(walk)
    if "/" in pattern or "**" in pattern:
        for _ in walk:
            pass
    files = sorted(p for p in folder.glob(pattern) if p.is_file() and p.suffix.lower() in PICTURES)
    if not files:
        hint = '; it is an archive: use kind = "archive"' if is_archive(folder) else ""
        raise CameraError(
            f"replay: no picture in {folder} matches '{pattern}'; expected {', '.join(sorted(PICTURES))}{hint}"
        )
    return files


def _opened_video(path: Path, first: int) -> cv2.VideoCapture:
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise CameraError(f"replay: {path} does not open as a video; expected a folder of pictures or a video file")
    for _ in range(first - 1):
        video.grab()
    return video
