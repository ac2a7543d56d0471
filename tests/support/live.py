"""A live source in place of OpenCV's: pictures come when the test gives them, at the times that it says."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.inspector.camera import Frame, Unusable, latest

RATE_HZ = 10.0
PERIOD_S = 1 / RATE_HZ
SETTLED = 11
"""The last picture of a queue, and those behind it that show that it is empty: the last of them is fresh."""


def noise(seed: int) -> NDArray[np.uint8]:
    """Return a grey picture of 48x64 px as no other seed has it."""
    return np.random.default_rng(seed).integers(0, 256, (48, 64), np.uint8)


class HeldClock:
    """
    Stands still until a picture comes; tells when somebody else than the reader's thread has looked at it.

    Attributes:
        pace_us: goes on by this each time that somebody looks.
    """

    def __init__(self) -> None:
        self.us = 50_000_000
        self.pace_us = 0
        self.looked_at = threading.Event()

    def now_us(self) -> int:
        if not threading.current_thread().name.startswith("reader-"):
            self.us += self.pace_us
            self.looked_at.set()
        return self.us

    def utc_us(self) -> int:
        return self.us


class Live:
    """
    Stands in for cv2.VideoCapture, and for all handles it makes.

    Args:
        properties: what can be read back; those in *settable* take what is set.
    """

    def __init__(self, properties: dict[int, float] | None = None, settable: tuple[int, ...] = ()) -> None:
        self.clock = HeldClock()
        size = {cv2.CAP_PROP_FRAME_WIDTH: 64.0, cv2.CAP_PROP_FRAME_HEIGHT: 48.0}
        self.properties = {**size, cv2.CAP_PROP_FRAME_TYPE: float(ord("I")), **(properties or {})}
        self.settable = settable
        self.opened = True
        self.released = threading.Event()
        self._steps: queue.SimpleQueue[Callable[[], tuple[bool, Any]]] = queue.SimpleQueue()
        self._seed = 0

    # ---- for the test ------------------------------------------------------------------------------------------

    def give(self, picture: NDArray[Any] | None = None, after_s: float = PERIOD_S, *, good: bool = True) -> None:
        """Have a picture come so long after the one before: that one, or one of its own."""
        self._seed += 1
        image = noise(self._seed) if picture is None else picture

        def step() -> tuple[bool, Any]:
            self.clock.us += round(1e6 * after_s)
            return good, image if good else None

        self._steps.put(step)

    def give_many(self, count: int, after_s: float = PERIOD_S) -> None:
        for _ in range(count):
            self.give(after_s=after_s)

    def fail(self, error: Exception) -> None:
        def step() -> tuple[bool, Any]:
            raise error

        self._steps.put(step)

    def end(self) -> None:
        self.give(good=False)

    def first(self, read: Callable[[], Frame | Unusable | None], *given: Any) -> Frame | Unusable | None:
        """Return the first read, for which that picture comes: what came before it would be nobody's part."""
        found: list[Frame | Unusable | None] = []
        self.clock.looked_at.clear()
        reading = threading.Thread(target=lambda: found.append(read()))
        reading.start()
        self.clock.looked_at.wait()
        self.give(*given)
        reading.join()
        return found[0]

    # ---- for the camera ----------------------------------------------------------------------------------------

    def __call__(self, *_: Any) -> Live:
        return self

    def isOpened(self) -> bool:
        return self.opened

    def getBackendName(self) -> str:
        return "V4L2"

    def set(self, property_: int, value: float) -> bool:
        if property_ in self.settable:
            self.properties[property_] = value
        return True

    def get(self, property_: int) -> float:
        # A stream's time stamps go with the pictures.
        return self.clock.us / 1000 if property_ == cv2.CAP_PROP_POS_MSEC else self.properties.get(property_, 0.0)

    def read(self) -> tuple[bool, Any]:
        return self._steps.get()()

    def release(self) -> None:
        self.released.set()


def stand_in(monkeypatch: pytest.MonkeyPatch, live: Live) -> Live:
    """Have OpenCV open *live*, whatever the device is called."""
    monkeypatch.setattr(cv2, "VideoCapture", live)
    monkeypatch.setattr(latest, "SYSTEM_CLOCK", live.clock)
    return live
