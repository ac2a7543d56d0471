"""A real RTSP server, and a line that reads it: every picture tells its own age."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError
from edge.inspector.camera import Frame, Unusable
from edge.inspector.camera.opencv import OpenCVCamera
from edge.records import Reason
from edge.settings import OpenCVSource
from tests.peers.rtsp.scene import fault_of, plate, read_barcode

_SERVER = Path(__file__).parents[1] / "peers" / "rtsp" / "server.py"
RATE_HZ = 30
PERIOD_MS = 1000 / RATE_HZ
# A picture is 37 ms old when it comes: one period in FFmpeg's parser. The rest is for a machine that does much else. An
# old one, of OpenCV's queues or decoder, is older than a second in each of these tests.
FRESH_MS = 250
PAUSE_S = 0.25


class Server:
    """One network camera, as a process of its own."""

    def __init__(self, size: tuple[int, int], *flags: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._flags = ("--height", str(size[0]), "--width", str(size[1]), "--rate", str(RATE_HZ), *flags)
        self.start()

    def start(self) -> None:
        command = ["/usr/bin/python3", str(_SERVER), str(self.port), *self._flags]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "up\n"

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def source(port: int, **settings: Any) -> OpenCVSource:
    return OpenCVSource(kind="opencv", device=f"rtsp://127.0.0.1:{port}/cam", **settings)


@dataclass(frozen=True)
class Seen:
    """
    One read.

    Attributes:
        age_ms: of a frame, when the read returned; infinite when it is damaged; None = the part is UNKNOWN.
        detail: why it is UNKNOWN, or what is damaged.
    """

    at_s: float
    number: int
    age_ms: float | None
    reason: Reason | None = None
    detail: str = ""


@dataclass
class Line:
    """
    Reads one camera as its thread in the inspector does: reports each part, opens again what fails.

    Attributes:
        busy_s: spent on each picture.
    """

    source: OpenCVSource
    size: tuple[int, int]
    busy_s: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    opens_s: list[float] = field(default_factory=list)
    faults: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._camera = OpenCVCamera(self.source, "bgr8", self.size)
        self._background = plate(*self.size)
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._camera.open(1 + len(self.seen))
                self._note(self.opens_s, time.monotonic())
                while not self._stop.is_set():
                    seen = _seen(self._camera.read(), self._background)
                    self._note(self.seen, seen)
                    if seen.age_ms is not None:
                        self._stop.wait(self.busy_s)
            except CameraError as error:
                self._note(self.faults, (time.monotonic(), str(error)))
            finally:
                self._camera.close()
            self._stop.wait(PAUSE_S)

    def _note(self, where: list[Any], what: Any) -> None:
        with self._changed:
            where.append(what)
            self._changed.notify_all()

    @contextmanager
    def running(self) -> Iterator[Line]:
        self._thread.start()
        try:
            self.wait_for_frames(10)
            yield self
        finally:
            self._stop.set()
            self._thread.join(30)
        assert not self._thread.is_alive()

    def wait_for_frames(self, count: int, timeout_s: float = 30) -> None:
        """Return when so many more frames were read."""
        wanted = len(self.frames()) + count
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.frames()) >= wanted, timeout_s), self.faults

    def wait_for_fault(self, after_s: float, timeout_s: float = 30) -> float:
        """Return when the first fault after then was told [s]."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.faults and self.faults[-1][0] > after_s, timeout_s)
        return next(told_s for told_s, _ in self.faults if told_s > after_s)

    def frames(self) -> list[Seen]:
        return [one for one in self.seen if one.age_ms is not None]

    def unknown(self) -> list[Seen]:
        return [one for one in self.seen if one.age_ms is None]

    def ages_ms(self) -> list[float]:
        """Return how old each frame was."""
        return [one.age_ms for one in self.seen if one.age_ms is not None]

    def stale(self) -> list[Seen]:
        """Return the old and the damaged pictures that were given as good."""
        return [one for one in self.seen if one.age_ms is not None and one.age_ms > FRESH_MS]

    def require_fresh(self) -> None:
        """No picture that was given as good is an old or a damaged one, and each part has its number."""
        assert self.stale() == []
        assert [one.number for one in self.seen] == list(range(1, 1 + len(self.seen)))


def _seen(taken: Frame | Unusable, background: NDArray[np.uint8]) -> Seen:
    now_us = SYSTEM_CLOCK.now_us()
    if isinstance(taken, Unusable):
        return Seen(now_us / 1e6, taken.number, None, taken.reason, taken.detail)
    damage = fault_of(taken.image, background)
    if damage is not None:
        return Seen(now_us / 1e6, taken.number, math.inf, None, damage)
    return Seen(now_us / 1e6, taken.number, now_us / 1000 - read_barcode(taken.image))
