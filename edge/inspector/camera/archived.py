"""A station's archive as a camera: its parts are inspected once more, through the daemon, in the order of time."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from edge.archive import ArchivedFrame, read_frames, read_part
from edge.clock import SYSTEM_CLOCK
from edge.errors import ArchiveError, CameraError, SourceEnded
from edge.inspector.camera import Actual, Frame, Unusable, fault_of_format
from edge.inspector.camera.replay import converted
from edge.inspector.camera.synthetic import Pace
from edge.records import Reason
from edge.settings import EVERY_CAMERA, ArchiveSource
from engines.contract import PixelFormat


class ArchiveCamera:
    """
    Frame n is the n-th picture of that camera. Its source names the part: hour, position, why it was kept.

    Parts of which no picture was kept are left out: nothing could be said of them. What is damaged is UNKNOWN(camera).
    """

    def __init__(self, source: ArchiveSource, format_: PixelFormat, *, convert: bool) -> None:
        self._source = source
        self._format = format_
        self._convert = convert
        self._frames: list[ArchivedFrame] = []
        self._next = 1
        self._pace = Pace(source.rate_hz)

    def open(self, resume_from: int) -> Actual:
        self._next = max(resume_from, 1)
        faults: list[str] = []
        self._frames = self._listed(faults)
        self._pace.restart()
        rate = "as consumed" if self._source.rate_hz is None else f"{self._source.rate_hz:g} Hz"
        damaged = f", {len(faults)} damaged parts left out: {faults[0]}" if faults else ""
        said = Counter(frame.outcome.value for frame in self._frames)
        kinds = ", ".join(f"{count} {outcome}" for outcome, count in sorted(said.items()))
        return Actual(
            numbered=True,
            triggerable=True,
            counts=False,
            format=self._format,
            description=f"{len(self._frames)} pictures of archive {self._source.path} (were {kinds}), {rate}{damaged}",
        )

    def read(self) -> Frame | Unusable:
        if self._next > len(self._frames):
            raise SourceEnded(f"archive: all {len(self._frames)} pictures of {self._source.path} are read")
        frame, number = self._frames[self._next - 1], self._next
        image, fault = self._picture(frame)
        self._next += 1
        self._pace.wait()
        now_us = SYSTEM_CLOCK.now_us()
        if image is None:
            return Unusable(number, now_us, frame.source, Reason.CAMERA, fault, frame.tag)
        misfit = fault_of_format(image, self._format)
        if misfit is not None:
            fault = f"{frame.source}: {misfit}"
            return Unusable(number, now_us, frame.source, Reason.GEOMETRY, fault, frame.tag, image)
        return Frame(image, number, now_us, frame.source, frame.tag)

    def close(self) -> None:
        self._frames = []

    def _listed(self, faults: list[str]) -> list[ArchivedFrame]:
        wanted, root = self._source.camera, self._source.path
        try:
            found = list(read_frames(root, faults))
        except ArchiveError as error:
            raise CameraError(f"archive: {error}") from error
        frames = [frame for frame in found if wanted in (frame.camera, EVERY_CAMERA)]
        if not frames:
            names = ", ".join(sorted({frame.camera for frame in found})) or "no camera"
            raise CameraError(f"archive: {root} has no picture of camera '{wanted}'; it has those of {names}")
        return frames

    def _picture(self, frame: ArchivedFrame) -> tuple[NDArray[np.uint8] | None, str]:
        """Return the picture as it was inspected, or why there is none: damaged, or removed since it was listed."""
        try:
            image = read_part(frame.folder).image(frame.camera)
        except ArchiveError as error:
            return None, str(error)
        return converted(image, self._format) if self._convert else image, ""
