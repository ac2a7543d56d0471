"""The built-in steel strip as a camera: for the demo, the tests and edge-bench."""

from __future__ import annotations

import time

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError, SourceEnded
from edge.inspector.camera import LARGEST_TAG, Actual, Frame, Unusable
from edge.settings import SyntheticSource
from edge.synthetic import Strip


class SyntheticCamera:
    """
    A pure function of (seed, frame number), at its own rate or as fast as its frames are consumed.

    A paced camera keeps its time: it does not wait for the inspector.
    """

    def __init__(self, source: SyntheticSource, height: int, width: int) -> None:
        self._source = source
        self._size = (height, width)
        self._strip: Strip | None = None
        self._next = 1
        self._pace = Pace(source.rate_hz)

    def open(self, resume_from: int) -> Actual:
        self._strip = Strip(self._source.seed, self._source.defect_share, *self._size)
        self._next = max(resume_from, 1)
        self._pace.restart()
        rate = "as consumed" if self._source.rate_hz is None else f"{self._source.rate_hz:g} Hz"
        return Actual(
            numbered=True,
            triggerable=True,
            counts=False,
            format="mono8",
            description=f"synthetic strip, seed {self._source.seed}, {self._size[1]}x{self._size[0]} mono8, {rate}",
        )

    def read(self) -> Frame | Unusable:
        if self._strip is None:
            raise CameraError("synthetic camera: read before open")
        if self._source.frames is not None and self._next > self._source.frames:
            raise SourceEnded(f"synthetic strip: {self._source.frames} frames given, as asked")
        image = self._strip.frame(self._next).image
        self._pace.wait()
        number = self._next
        self._next += 1
        return Frame(image, number, SYSTEM_CLOCK.now_us(), str(number), number % (LARGEST_TAG + 1))

    def close(self) -> None:
        self._strip = None


class Pace:
    """Holds a fixed rate against the monotonic clock, so that a slow frame does not shift those after it."""

    def __init__(self, rate_hz: float | None) -> None:
        self._period_s = None if rate_hz is None else 1 / rate_hz
        self._due_s: float | None = None

    def restart(self) -> None:
        """Let the next tick be the first: it comes at once."""
        self._due_s = None

    def wait(self) -> None:
        """Sleep until the next tick; ticks that passed while nobody waited are given at once."""
        if self._period_s is None:
            return
        self._due_s = time.monotonic() if self._due_s is None else self._due_s + self._period_s
        time.sleep(max(self._due_s - time.monotonic(), 0.0))
