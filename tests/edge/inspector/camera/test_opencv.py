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

from edge.errors import CameraError
from edge.inspector.camera import Frame, Unusable
from edge.inspector.camera.opencv import OpenCVCamera
from edge.records import Reason
from edge.settings import OpenCVSource
from engines.contract import PixelFormat


def camera(device: str | int, format_: PixelFormat = "bgr8", *, convert: bool = False, **source: Any) -> OpenCVCamera:
    return OpenCVCamera(OpenCVSource(kind="opencv", device=device, **source), format_, convert=convert)


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
    """Frames are numbered from where it resumes; it tells size, rate and backend as read back."""
    source = camera(video)
    actual = source.open(7)
    assert not actual.numbered
    assert "64x48, 10 Hz" in actual.description
    frames = [source.read() for _ in range(4)]
    assert [(frame.number, frame.source) for frame in frames] == [(7, "7"), (8, "8"), (9, "9"), (10, "10")]
    for step, frame in enumerate(frames, start=1):
        assert isinstance(frame, Frame)
        assert frame.image.shape == (48, 64, 3)
        assert abs(int(frame.image.mean()) - 40 * step) <= 2
    with pytest.raises(CameraError, match="no frame"):
        source.read()
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


@pytest.mark.parametrize("device", ["/dev/video-none", 97, "missing.avi"])
def test_a_device_that_is_not_there_does_not_open(device: str | int) -> None:
    """One line with the device and what to look at."""
    with pytest.raises(CameraError, match=rf"{device}: does not open") as caught:
        camera(device).open(1)
    assert "\n" not in str(caught.value)


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
        image = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
        self.jpeg = cv2.imencode(".jpg", image)[1].tobytes()
        self.go_away = threading.Event()

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
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(self.server.jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + self.server.jpeg + b"\r\n")

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


def test_an_address_without_a_stream_does_not_open(server: MotionJpeg) -> None:
    """A server that answers 404, and a port where nobody listens."""
    for url in (server.url.replace("stream", "other"), "http://127.0.0.1:9/stream"):
        with pytest.raises(CameraError, match="does not open"):
            camera(url, open_timeout_ms=10_000).open(1)
