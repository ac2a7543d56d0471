"""OpenCV's cameras against a real RTSP server: every picture tells its own age, and none may pass for a newer one."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from edge.errors import CameraError
from edge.inspector.camera import Unusable
from edge.inspector.camera.opencv import OpenCVCamera
from edge.records import Reason
from tests.peers.rtsp.network import Network
from tests.support.rtsp import FRESH_MS, PERIOD_MS, Line, Server, source

SIZE = (200, 344)


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server(SIZE)
    yield one
    one.end()


def test_every_picture_is_of_the_present(server: Server) -> None:
    """From the first one on: what FFmpeg kept while it probed the stream, for a second, is not among them."""
    with Line(source(server.port), SIZE).running() as line:
        line.wait_for_frames(60)
    line.require_fresh()
    assert not line.faults
    assert len(line.unknown()) <= 3


def test_a_slow_consumer_gets_the_latest(server: Server) -> None:
    """Four of five pictures pass it by; each of those is a part of its own, UNKNOWN(overload)."""
    with Line(source(server.port), SIZE, busy_s=5 * PERIOD_MS / 1000).running() as line:
        line.wait_for_frames(10)
    line.require_fresh()
    assert not line.faults
    lost = [one.reason for one in line.unknown()]
    assert lost.count(Reason.OVERLOAD) > 3 * len(line.frames())


def test_a_server_that_hangs_gives_no_old_picture(server: Server) -> None:
    """SIGSTOP: the camera is gone after 15 periods and not after the read time-out; SIGCONT: it is back by itself."""
    other = Server(SIZE)
    try:
        with Line(source(server.port), SIZE).running() as line, Line(source(other.port), SIZE).running() as undisturbed:
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
    with Line(source(server.port), SIZE).running() as line:
        server.send(signal.SIGSTOP)
        time.sleep(0.3)
        server.send(signal.SIGCONT)
        line.wait_for_frames(20)
    line.require_fresh()
    assert not line.faults
    assert Reason.CAMERA in {one.reason for one in line.unknown()}


def test_a_server_that_is_killed_and_comes_back(server: Server) -> None:
    """The loss is told at once; while it is away each try fails with its reason; then frames come again."""
    with Line(source(server.port), SIZE).running() as line:
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
    with Network(server.port) as network, Line(source(network.port), SIZE).running() as line:
        line.wait_for_frames(30)
        network.delay_s = 0.3
        line.wait_for_fault(time.monotonic())
        network.delay_s = 0.0
        line.wait_for_frames(10)
    line.require_fresh()
    assert Reason.CAMERA in {one.reason for one in line.unknown()}
    assert any("no frame that is surely fresh; the last comes" in text for _, text in line.faults)


def test_a_delay_that_grows_is_noticed(server: Server) -> None:
    """A network a little too slow for the stream: no read is slow, all are late in the end."""
    with Network(server.port) as network, Line(source(network.port), SIZE).running() as line:
        for step in range(40):
            network.delay_s = 0.015 * step
            if step < 8:
                line.wait_for_frames(1)
            else:
                time.sleep(0.05)
        network.delay_s = 0.0
    line.require_fresh()
    assert any("late by its stream's time stamps" in one.detail for one in line.unknown())


def test_a_camera_without_tcp_is_refused() -> None:
    """What UDP loses would be painted over from the picture before, and nothing would tell."""
    udp = Server(SIZE, "--udp")
    try:
        with pytest.raises(CameraError, match="RTSP: over TCP"):
            OpenCVCamera(source(udp.port), "bgr8", SIZE).open(1)
    finally:
        udp.end()


def test_a_camera_that_asks_who_looks() -> None:
    """Digest, with a colon in the password: who knows it gets fresh pictures, who does not is told, and not quoted."""
    server = Server(SIZE, "--login", "op:s3:cret")
    try:
        known = source(server.port).model_copy(update={"device": f"rtsp://op:s3:cret@127.0.0.1:{server.port}/cam"})
        with Line(known, SIZE).running() as line:
            line.wait_for_frames(10)
        wrong = known.model_copy(update={"device": f"rtsp://op:wr0ng@127.0.0.1:{server.port}/cam"})
        stranger = OpenCVCamera(wrong, "bgr8", SIZE)
        with pytest.raises(CameraError, match="check path, user, password") as told:
            stranger.open(1)
        stranger.close()
    finally:
        server.end()
    line.require_fresh()
    assert "wr0ng" not in str(told.value)


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


def test_pictures_are_whole_as_long_as_nothing_is_lost(server: Server) -> None:
    """Barcode, square and plate are as the camera saw them, in each picture; the relay counts no loss."""
    with Line(source(server.port), SIZE).running() as line:
        line.wait_for_frames(90)
    line.require_fresh()
    assert not line.faults
    assert not any("lost" in one.detail for one in line.unknown())


def test_a_lost_picture_taints_what_is_built_on_it(server: Server) -> None:
    """Whole pictures are dropped: the parts up to a later key frame are UNKNOWN(camera), then frames come again."""
    with Network(server.port) as network, Line(source(network.port), SIZE).running() as line:
        for _ in range(3):
            network.loss.pictures = 1
            line.wait_for_frames(30)
    assert network.loss.dropped >= 3
    line.require_fresh()
    assert any("lost" in one.detail for one in line.unknown())


def test_packets_lost_within_pictures_are_noticed(server: Server) -> None:
    """FFmpeg paints over what is missing and says nothing; the gap in the packets' numbers tells."""
    with Network(server.port) as network, Line(source(network.port), SIZE).running() as line:
        for _ in range(5):
            before = len(line.unknown())
            network.loss.packets = 1
            line.wait_for_frames(20)
            assert any("packets of the stream were lost" in one.detail for one in line.unknown()[before:])
    assert network.loss.dropped == 5
    line.require_fresh()
    assert not line.faults
