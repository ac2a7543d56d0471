"""OpenCV's sources: what was asked is what is got, or it does not open; what is gone is told at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError, SourceEnded
from edge.inspector.camera import Frame, Unusable
from edge.inspector.camera.opencv import OpenCVCamera
from edge.records import Reason
from edge.settings import OpenCVSource
from engines.contract import PixelFormat
from tests.support.live import RATE_HZ, SETTLED, Live, noise, stand_in


def camera(
    device: str | int,
    format_: PixelFormat = "bgr8",
    *,
    size: tuple[int, int] = (48, 64),
    convert: bool = False,
    **source: Any,
) -> OpenCVCamera:
    return OpenCVCamera(OpenCVSource(kind="opencv", device=device, **source), format_, size, convert=convert)


@pytest.fixture
def video(tmp_path: Path) -> str:
    """Write four frames of 64x48 at 10 Hz as motion JPEG."""
    path = tmp_path / "strip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(1, 5):
        writer.write(np.full((48, 64, 3), 40 * number, np.uint8))
    writer.release()
    return str(path)


def test_a_file_is_a_device_that_counts_for_itself(video: str) -> None:
    """It tells size, rate and backend as read back; at its end it has ended, which is no failure."""
    source = camera(video)
    actual = source.open(1)
    assert not actual.numbered
    assert "64x48, 10 Hz" in actual.description
    frames = [source.read() for _ in range(4)]
    assert [(frame.number, frame.source) for frame in frames] == [(1, "1"), (2, "2"), (3, "3"), (4, "4")]
    for frame in frames:
        assert isinstance(frame, Frame)
        assert frame.image.shape == (48, 64, 3)
        assert abs(int(frame.image.mean()) - 40 * frame.number) <= 2
    with pytest.raises(SourceEnded, match="all 4 frames"):
        source.read()
    source.close()


def test_a_file_resumes_after_what_was_reported(video: str) -> None:
    """Frame n is the n-th of the file, also after the inspector was started again."""
    source = camera(video)
    source.open(3)
    frame = source.read()
    assert isinstance(frame, Frame)
    assert frame.number == 3
    assert abs(int(frame.image.mean()) - 120) <= 2
    source.close()


@pytest.mark.parametrize("size", [(48, 640), (480, 64), (24, 32)])
def test_a_picture_of_another_size_is_unusable(video: str, size: tuple[int, int]) -> None:
    """Smaller or larger: a camera that comes back in another mode is not inspected at another scale."""
    source = camera(video, size=size)
    source.open(1)
    found = source.read()
    assert isinstance(found, Unusable)
    assert found.reason is Reason.GEOMETRY
    for part in ("64x48", f"{size[1]}x{size[0]}", "set height and width"):
        assert part in found.detail
    source.close()


def test_a_live_picture_that_repeats_is_unusable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last picture once more is what OpenCV gives for a corrupt one; the next new one is inspected again."""
    live = stand_in(monkeypatch, Live())
    source = camera("rtsp://camera/1", "mono8", rate_hz=RATE_HZ)
    live.give_many(SETTLED)
    source.open(1)
    found = [live.first(source.read, noise(1001))]
    for seed in (1001, 1001, 1002, 1001):
        live.give(noise(seed))
        found.append(source.read())
    assert [type(f) for f in found] == [Frame, Unusable, Unusable, Frame, Frame]
    assert [f.number for f in found if f] == [1, 2, 3, 4, 5]
    assert isinstance(found[1], Unusable)
    assert found[1].reason is Reason.CAMERA
    assert "very picture of the frame before" in found[1].detail
    live.end()
    source.close()


def test_the_first_picture_after_an_open_repeats_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen before the camera was closed is forgotten."""
    live = stand_in(monkeypatch, Live())
    source = camera("rtsp://camera/1", "mono8", rate_hz=RATE_HZ)
    for _ in range(2):
        live.give(noise(1001))
        live.give_many(SETTLED - 1)
        source.open(1)
        assert isinstance(live.first(source.read, noise(1001)), Frame)
        live.end()
        source.close()


def test_a_live_source_counts_for_itself_and_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the camera or the network lost is not in our numbers; what it shows was taken before a request."""
    live = stand_in(monkeypatch, Live())
    source = camera("rtsp://name:secret@camera/1", rate_hz=RATE_HZ)
    live.give_many(SETTLED)
    actual = source.open(1)
    assert (actual.numbered, actual.triggerable, actual.counts) == (False, False, False)
    assert actual.description == "rtsp://***@camera/1 by V4L2, 64x48, 10 Hz"
    live.end()
    source.close()


def test_a_file_may_repeat_its_pictures(tmp_path: Path) -> None:
    """A recorded strip stands still where the line stood still."""
    path = tmp_path / "still.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(3):
        writer.write(np.full((48, 64, 3), 80, np.uint8))
    writer.release()
    source = camera(str(path))
    source.open(1)
    assert [type(source.read()) for _ in range(3)] == [Frame] * 3
    source.close()


def test_it_opens_again_after_it_failed(video: str) -> None:
    """A new open gives frames again."""
    source = camera(video)
    for _ in range(2):
        source.open(1)
        assert isinstance(source.read(), Frame)
        source.close()
    with pytest.raises(CameraError, match="before open"):
        source.read()


@pytest.mark.parametrize(
    ("asked", "actual"),
    [
        ({"width": 640}, "64"),
        ({"width": 65}, "64"),
        ({"height": 49}, "48"),
        ({"rate_hz": 30.0}, "10"),
        ({"exposure": 0.01}, "-?[01]"),
        ({"gain": 3.0}, "-?[01]"),
    ],
)
def test_a_setting_that_reads_back_differently_is_refused(video: str, asked: dict[str, Any], actual: str) -> None:
    """Requested and actual stand in the message, and the camera stays closed."""
    source = camera(video, **asked)
    ((name, value),) = asked.items()
    with pytest.raises(CameraError, match=rf"{name} requested {value:g}, actual {actual}"):
        source.open(1)
    with pytest.raises(CameraError, match="before open"):
        source.read()


def test_settings_that_read_back_as_asked_are_fine(video: str) -> None:
    """What the source has already may be asked for."""
    source = camera(video, width=64, height=48, rate_hz=10.0)
    source.open(1)
    assert isinstance(source.read(), Frame)
    source.close()


def test_colour_for_a_grey_bundle_is_unusable_without_a_setting(video: str) -> None:
    """Each frame is a part with UNKNOWN(geometry); with convert_to it is grey."""
    source = camera(video, "mono8")
    source.open(1)
    found = source.read()
    assert isinstance(found, Unusable)
    assert (found.number, found.reason) == (1, Reason.GEOMETRY)
    assert "convert_to" in found.detail
    source.close()
    source = camera(video, "mono8", convert=True)
    source.open(1)
    frame = source.read()
    assert isinstance(frame, Frame)
    assert frame.image.shape == (48, 64)
    source.close()


def read_until_it_fails(source: OpenCVCamera) -> None:
    for _ in range(1000):  # What is on its way may still come.
        source.read()


class MotionJpeg(ThreadingHTTPServer):
    """A camera on the network: sends frames until it is told to go away."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.noise = np.random.default_rng(1)
        self.go_away = threading.Event()
        self.hang = threading.Event()

    def jpeg(self) -> bytes:
        """Return another picture each time, as a sensor does."""
        return cv2.imencode(".jpg", self.noise.integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/stream"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that hangs up is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    server: MotionJpeg

    def do_GET(self) -> None:
        if self.path != "/stream":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        while not self.server.go_away.wait(0.02):
            if self.server.hang.is_set():
                continue
            jpeg = self.server.jpeg()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[MotionJpeg]:
    with MotionJpeg() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.go_away.set()
        server.shutdown()
        thread.join()


def test_a_network_camera_that_goes_away_is_told(server: MotionJpeg) -> None:
    """It gives frames, then the stream ends: CameraError, also for a new open, since the address answers no more."""
    source = camera(server.url, open_timeout_ms=10_000, read_timeout_ms=5_000)
    source.open(1)
    frames = [source.read() for _ in range(3)]
    assert [frame.number for frame in frames] == [1, 2, 3]
    assert all(isinstance(frame, Frame) and frame.image.shape == (48, 64, 3) for frame in frames)
    server.go_away.set()
    with pytest.raises(CameraError, match="no frame"):
        read_until_it_fails(source)
    source.close()


def test_a_network_camera_that_hangs_is_told(server: MotionJpeg) -> None:
    """The connection stands and nothing comes: CameraError after some periods, long before the read time-out."""
    source = camera(server.url, read_timeout_ms=20_000)
    source.open(1)
    assert isinstance(source.read(), Frame)
    server.hang.set()
    began_us = SYSTEM_CLOCK.now_us()
    with pytest.raises(CameraError, match="no frame for"):
        read_until_it_fails(source)
    assert SYSTEM_CLOCK.now_us() - began_us < 5_000_000
    source.close()


def test_a_network_camera_that_hangs_from_the_start_does_not_open(server: MotionJpeg) -> None:
    """The server accepts, and sends no picture: the open ends within its time-out."""
    server.hang.set()
    began_us = SYSTEM_CLOCK.now_us()
    with pytest.raises(CameraError, match="open_timeout_ms = 300"):
        camera(server.url, open_timeout_ms=300).open(1)
    assert SYSTEM_CLOCK.now_us() - began_us < 3_000_000


def test_an_address_without_a_stream_does_not_open(server: MotionJpeg) -> None:
    """A server that answers 404, and a port where nobody listens."""
    for url in (server.url.replace("stream", "other"), "http://127.0.0.1:9/stream"):
        with pytest.raises(CameraError, match="does not open"):
            camera(url, open_timeout_ms=10_000).open(1)
