"""A camera that is open to be looked at: its pictures, what is measured of them, and what would make them UNKNOWN."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from edge.cameras.subject import Subject, in_use_or_dead
from edge.errors import CameraError, EdgeError, FormatRefused, SourceEnded
from edge.inspector.camera import Actual, Camera, Frame, Unusable, make_camera
from edge.inspector.drift import DriftGuard, Measures, measures_from_picture
from edge.records import Reason
from edge.settings import CameraSettings
from engines.contract import PixelFormat

_SATURATED = 255
# Somebody who waits for so long wants to know what for.
_SILENT_S = 1.0


@dataclass(frozen=True)
class Look:
    """
    One part that the camera gave.

    Attributes:
        picture: (h, w) or (h, w, 3) uint8, a copy; None = there is none.
        captured_us: when it was there, monotonic.
        source: of the frame, for people.
        fault: why the station would answer UNKNOWN, empty when it would inspect it.
        measures: of the picture, as the drift guard takes them.
        saturated: share of pixels of which a channel is at 255, 0..1.
    """

    picture: NDArray[np.uint8] | None
    captured_us: int
    source: str
    fault: str
    measures: Measures | None
    saturated: float


class Session:
    """
    Opens a camera as the station would.

    Attributes:
        actual: what it really does.
        opened_s: how long that took.
        format: what pictures are taken for.

    Raises:
        CameraError: it does not open; says whether a running station may have it.
    """

    def __init__(self, subject: Subject, patience_s: float) -> None:
        self._subject = subject
        self._patience_s = patience_s
        self._guard = DriftGuard(subject.settings.drift)
        self.format: PixelFormat = subject.format or "mono8"
        began_s = time.monotonic()
        self._camera, self.actual = self._opened()
        self.opened_s = time.monotonic() - began_s

    def looks(self) -> Iterator[Look]:
        """
        Yield what comes, until the source ends.

        Raises:
            CameraError: it fails, or gives nothing for as long as it may.
        """
        silent_since_s, said = time.monotonic(), False
        while time.monotonic() - silent_since_s < self._patience_s:
            if not said and time.monotonic() - silent_since_s > _SILENT_S:
                sys.stderr.write(f"waiting for a picture, {self._patience_s:g} s at most\n")
                said = True
            try:
                taken = self._camera.read()
            except SourceEnded:
                return
            if taken is not None and not self._was_taken_for_the_wrong_format(taken):
                yield self._look(taken)
                silent_since_s, said = time.monotonic(), False
        name = self._subject.settings.name
        raise CameraError(
            f"camera '{name}': no picture within {self._patience_s:g} s; does the line stand, or is its trigger "
            f"missing? {self.actual.description}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._camera.close()

    def _opened(self) -> tuple[Camera, Actual]:
        try:
            try:
                return self._open(self.format)
            except CameraError as error:
                # A GenICam camera says at once that it gives the other format; the camera names itself around it.
                if self._subject.format is not None or not isinstance(error.__cause__, FormatRefused):
                    raise
                self.format = "bgr8"
                return self._open(self.format)
        except CameraError as error:
            raise in_use_or_dead(error, self._subject.station) from error

    def _open(self, format_: PixelFormat) -> tuple[Camera, Actual]:
        camera = make_camera(self._subject.settings, format_)
        try:
            return camera, camera.open(1)
        except EdgeError:
            camera.close()
            raise

    def _was_taken_for_the_wrong_format(self, taken: Frame | Unusable) -> bool:
        """Open it again as a camera of colours, if it is one and nobody has said so."""
        picture = taken.picture if isinstance(taken, Unusable) else None
        guessed = self._subject.station is not None and self._subject.format is None and self.format == "mono8"
        if not guessed or picture is None or picture.ndim == 2:
            return False
        self._camera.close()
        self.format = "bgr8"
        self._camera, self.actual = self._open(self.format)
        return True

    def _look(self, taken: Frame | Unusable) -> Look:
        if isinstance(taken, Frame):
            return self._seen(np.array(taken.image), taken.captured_us, taken.source, "")
        fault = f"UNKNOWN({taken.reason.value}): {taken.detail}"
        if taken.picture is None or taken.picture.dtype != np.uint8:
            return Look(None, taken.captured_us, taken.source, fault, None, 0.0)
        # Of a bare device nobody has said what size and format are right: then each is.
        right = taken.reason is Reason.GEOMETRY and self._subject.station is None
        return self._seen(np.array(taken.picture), taken.captured_us, taken.source, "" if right else fault)

    def _seen(self, picture: NDArray[np.uint8], captured_us: int, source: str, fault: str) -> Look:
        planes = picture[:, :, np.newaxis] if picture.ndim == 2 else picture
        measures = measures_from_picture(planes)
        if not fault:
            fault = self._fault_of_canvas(planes) or self._fault_of_drift(measures)
        saturated = float((planes.max(axis=2) == _SATURATED).mean())
        return Look(picture, captured_us, source, fault, measures, saturated)

    def _fault_of_canvas(self, picture: NDArray[np.uint8]) -> str:
        settings: CameraSettings = self._subject.settings
        height, width = picture.shape[:2]
        fits = height <= settings.height and width <= settings.width
        # As in capture.py: scale and zones hold for one size alone.
        exact = settings.mm_per_px is not None or bool(settings.ignore)
        if exact:
            fits = (height, width) == (settings.height, settings.width)
        if self._subject.station is None or fits:
            return ""
        canvas = f"{settings.width}x{settings.height}{', for which scale and zones hold' if exact else ''}"
        return f"UNKNOWN(geometry): picture of {width}x{height} px, the canvas is {canvas}; set height and width"

    def _fault_of_drift(self, measures: Measures) -> str:
        fault = self._guard.fault_of_picture(measures)
        return "" if fault is None else f"UNKNOWN(drift): {fault}"
