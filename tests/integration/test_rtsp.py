"""OpenCV's cameras against a real RTSP server: every picture tells its own age, and none may pass for a newer one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError
from edge.inspector.camera import Frame, Unusable
from edge.inspector.camera.opencv import OpenCVCamera
from edge.records import Reason
from edge.settings import OpenCVSource
from tests.peers.rtsp.network import Network
from tests.peers.rtsp.scene import read_barcode

SERVER = Path(__file__).parents[1] / "peers" / "rtsp" / "server.py"
SIZE = (200, 344)
RATE_HZ = 30
PERIOD_MS = 1000 / RATE_HZ
# A picture is 37 ms old when it comes: one period in FFmpeg's parser. The rest is for a machine that does much else. An
# old one, of OpenCV's queues or decoder, is older than a second in each of these tests.
FRESH_MS = 250
PAUSE_S = 0.25


class Server:
    """One network camera, as a process of its own."""

    def __init__(self, *flags: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._flags = flags
        self.start()

    def start(self) -> None:
        size = ("--height", str(SIZE[0]), "--width", str(SIZE[1]), "--rate", str(RATE_HZ))
        command = ["/usr/bin/python3", str(SERVER), str(self.port), *size, *self._flags]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "up\n"

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.end()


def source(port: int, **settings: object) -> OpenCVSource:
    return OpenCVSource(kind="opencv", device=f"rtsp://127.0.0.1:{port}/cam", **settings)


@dataclass(frozen=True)
class Seen:
    """One read. age_ms: of a frame, when the read returned; None = the part is UNKNOWN."""

    at_s: float
    number: int
    age_ms: float | None
    reason: Reason | None = None
    detail: str = ""


@dataclass
class Line:
    """Reads one camera as its thread in the inspector does: reports each part, opens again what fails."""

    source: OpenCVSource
    busy_s: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    opens_s: list[float] = field(default_factory=list)
    faults: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._camera = OpenCVCamera(self.source, "bgr8", SIZE)
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._camera.open(1 + len(self.seen))
                self._note(self.opens_s, time.monotonic())
                while not self._stop.is_set():
                    seen = _seen(self._camera.read())
                    self._note(self.seen, seen)
                    if seen.age_ms is not None:
                        self._stop.wait(self.busy_s)
            except CameraError as error:
                self._note(self.faults, (time.monotonic(), str(error)))
            finally:
                self._camera.close()
            self._stop.wait(PAUSE_S)

    def _note(self, where: list[object], what: object) -> None:
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

    def require_fresh(self) -> None:
        """No picture that was given as good is an old one, and each part has its number."""
        assert [one for one in self.frames() if one.age_ms is not None and one.age_ms > FRESH_MS] == []
        assert [one.number for one in self.seen] == list(range(1, 1 + len(self.seen)))


def _seen(taken: Frame | Unusable) -> Seen:
    now_us = SYSTEM_CLOCK.now_us()
    if isinstance(taken, Unusable):
        return Seen(now_us / 1e6, taken.number, None, taken.reason, taken.detail)
    return Seen(now_us / 1e6, taken.number, now_us / 1000 - read_barcode(taken.image))


def test_every_picture_is_of_the_present(server: Server) -> None:
    """From the first one on: what FFmpeg kept while it probed the stream, for a second, is not among them."""
    with Line(source(server.port)).running() as line:
        line.wait_for_frames(60)
    line.require_fresh()
    assert not line.faults
    assert len(line.unknown()) <= 3


def test_a_slow_consumer_gets_the_latest(server: Server) -> None:
    """Four of five pictures pass it by; each of those is a part of its own, UNKNOWN(overload)."""
    with Line(source(server.port), busy_s=5 * PERIOD_MS / 1000).running() as line:
        line.wait_for_frames(10)
    line.require_fresh()
    assert not line.faults
    lost = [one.reason for one in line.unknown()]
    assert lost.count(Reason.OVERLOAD) > 3 * len(line.frames())


def test_a_server_that_hangs_gives_no_old_picture(server: Server) -> None:
    """SIGSTOP: the camera is gone after 15 periods and not after the read time-out; SIGCONT: it is back by itself."""
    other = Server()
    try:
        with Line(source(server.port)).running() as line, Line(source(other.port)).running() as undisturbed:
            server.send(signal.SIGSTOP)
            stopped_s = time.monotonic()
            gone_s = line.wait_for_fault(stopped_s)
            line.wait_for_fault(stopped_s + 6)
            server.send(signal.SIGCONT)
            going_s = time.monotonic()
            line.wait_for_frames(10)
            back_s = line.frames()[-10].at_s
    finally:
        server.send(signal.SIGCONT)
        other.end()
    line.require_fresh()
    assert [one for one in line.frames() if stopped_s + FRESH_MS / 1000 < one.at_s < going_s] == []
    assert gone_s - stopped_s < (15 + 2) * PERIOD_MS / 1000 + 0.5
    # A time-out of open, one back-off, and the second for which FFmpeg probes the stream.
    assert back_s - going_s < 6
    undisturbed.require_fresh()
    assert not undisturbed.faults
    assert max(b.at_s - a.at_s for a, b in pairwise(undisturbed.frames())) < 1
    print(f"SIGSTOP detected after {gone_s - stopped_s:.2f} s, back {back_s - going_s:.2f} s after SIGCONT")  # noqa: T201


def test_a_short_stop_taints_what_was_read_slowly(server: Server) -> None:
    """Less than 15 periods: the parts around it are UNKNOWN(camera), then frames come again on the same handle."""
    with Line(source(server.port)).running() as line:
        server.send(signal.SIGSTOP)
        time.sleep(0.3)
        server.send(signal.SIGCONT)
        line.wait_for_frames(20)
    line.require_fresh()
    assert not line.faults
    assert Reason.CAMERA in {one.reason for one in line.unknown()}


def test_a_server_that_is_killed_and_comes_back(server: Server) -> None:
    """The loss is told at once; while it is away each try fails with its reason; then frames come again."""
    with Line(source(server.port)).running() as line:
        killed_s = time.monotonic()
        server.end()
        gone_s = line.wait_for_fault(killed_s)
        line.wait_for_fault(gone_s)
        server.start()
        started_s = time.monotonic()
        line.wait_for_frames(10)
        back_s = line.frames()[-10].at_s
    line.require_fresh()
    assert gone_s - killed_s < 1
    assert any("Connection refused" in text for _, text in line.faults)
    assert back_s - started_s < 6
    print(f"SIGKILL detected after {gone_s - killed_s:.3f} s, back {back_s - started_s:.2f} s after the start")  # noqa: T201


def test_an_open_of_a_hung_server_ends_in_time(server: Server) -> None:
    """The kernel accepts for it; nothing else answers. The process that looks has an error within the time-out."""
    server.send(signal.SIGSTOP)
    camera = OpenCVCamera(source(server.port, open_timeout_ms=1000), "bgr8", SIZE)
    began_s = time.monotonic()
    with pytest.raises(CameraError, match="open_timeout_ms = 1000"):
        camera.open(1)
    assert time.monotonic() - began_s < 2.5
    server.send(signal.SIGCONT)


def test_a_network_that_delays_gives_no_old_picture(server: Server) -> None:
    """
    One read is slow, then they come in their rhythm, all of them late. The stream's time stamps tell; in the end the
    camera is opened again.
    """
    with Network(server.port) as network, Line(source(network.port)).running() as line:
        line.wait_for_frames(30)
        network.delay_s = 0.3
        line.wait_for_fault(time.monotonic())
        network.delay_s = 0.0
        line.wait_for_frames(10)
    line.require_fresh()
    assert {one.reason for one in line.unknown()} == {Reason.CAMERA}
    assert "no frame that is surely fresh; the last comes 3" in line.faults[0][1]


def test_a_delay_that_grows_is_noticed(server: Server) -> None:
    """A network a little too slow for the stream: no read is slow, all are late in the end."""
    with Network(server.port) as network, Line(source(network.port)).running() as line:
        for step in range(40):
            network.delay_s = 0.015 * step
            line.wait_for_frames(1) if step < 8 else time.sleep(0.05)
        network.delay_s = 0.0
    line.require_fresh()
    assert any("late by its stream's time stamps" in one.detail for one in line.unknown())


def test_a_camera_without_tcp_is_refused() -> None:
    """What UDP loses would be painted over from the picture before, and nothing would tell."""
    udp = Server("--udp")
    try:
        with pytest.raises(CameraError, match="RTSP: over TCP"):
            OpenCVCamera(source(udp.port), "bgr8", SIZE).open(1)
    finally:
        udp.end()


def test_an_unsuitable_mode_is_told(server: Server) -> None:
    """Another size than asked for, and pictures of another size than the canvas."""
    with pytest.raises(CameraError, match="width requested 1600, actual 344"):
        OpenCVCamera(source(server.port, width=1600), "bgr8", SIZE).open(1)
    camera = OpenCVCamera(source(server.port), "bgr8", (480, 640))
    camera.open(1)
    taken = camera.read()
    camera.close()
    assert isinstance(taken, Unusable)
    assert (taken.reason, "344x200 px, the canvas is 640x480" in taken.detail) == (Reason.GEOMETRY, True)
