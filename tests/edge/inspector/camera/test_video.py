"""OpenCV's handles: what was asked is what is got, and what does not open says why."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import Any

import cv2
import pytest

from edge.errors import CameraError
from edge.inspector.camera import video
from edge.inspector.camera.video import opened, port_of, shown
from edge.settings import OpenCVSource
from tests.support.live import Live

SIZE = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)


def source(device: str | int = 0, **asked: Any) -> OpenCVSource:
    return OpenCVSource(kind="opencv", device=device, **asked)


def refused(source_: OpenCVSource) -> str:
    with pytest.raises(CameraError) as caught:
        opened(source_)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class V4L2(Live):
    """Applies a size only when both of it were set, and only one that it has; takes formats it has."""

    def __init__(self, sizes: tuple[tuple[int, int], ...], formats: tuple[str, ...] = ("YUYV",)) -> None:
        super().__init__(dict(zip(SIZE, map(float, sizes[0]), strict=True)))
        self._sizes, self._codes = sizes, [float(cv2.VideoWriter.fourcc(*name)) for name in formats]
        self._asked: dict[int, float] = {}
        self.properties[cv2.CAP_PROP_FOURCC] = self._codes[0]

    def set(self, property_: int, value: float) -> bool:
        self._asked[property_] = value
        size = tuple(self._asked.get(p) for p in SIZE)
        if size in self._sizes:
            self.properties.update(zip(SIZE, size, strict=True))
        if property_ == cv2.CAP_PROP_FOURCC and value in self._codes:
            self.properties[property_] = value
        return True


# ---- settings --------------------------------------------------------------------------------------------------


def test_a_size_is_read_back_after_all_of_it_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """V4L2 changes the mode only when width and height were both set; half of it would read back as the old mode."""
    monkeypatch.setattr(cv2, "VideoCapture", V4L2(((640, 480), (1600, 256))))
    assert opened(source(width=1600, height=256)).get(cv2.CAP_PROP_FRAME_WIDTH) == 1600
    device = V4L2(((640, 480),))
    monkeypatch.setattr(cv2, "VideoCapture", device)
    assert "width requested 1600, actual 640" in refused(source(width=1600, height=256))
    assert device.released.is_set()


def test_a_pixel_format_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """USB cameras give their rates in one format alone; another than was asked for is refused with both names."""
    monkeypatch.setattr(cv2, "VideoCapture", V4L2(((640, 480),), ("YUYV", "MJPG")))
    opened(source(pixel_format="MJPG"))
    assert "pixel_format requested GREY, actual MJPG" in refused(source(pixel_format="GREY"))


def test_a_rate_is_not_asked_of_a_network_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg says 25 Hz of every motion JPEG."""
    live = Live({cv2.CAP_PROP_FPS: 25.0})
    monkeypatch.setattr(cv2, "VideoCapture", live)
    opened(source("rtsp://camera/stream", rate_hz=30.0))
    assert "rate_hz requested 30, actual 25" in refused(source(0, rate_hz=30.0))


def test_time_outs_and_one_decoder_thread_are_there_before_a_stream_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set later they have no effect; and each further thread delays pictures by a period."""
    given: list[Any] = []

    def capture(*arguments: Any) -> Live:
        given.extend(arguments)
        return Live()

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    opened(source("rtsp://camera/1", open_timeout_ms=300, read_timeout_ms=200))
    address, backend, parameters = given
    assert (address, backend) == ("rtsp://camera/1", cv2.CAP_FFMPEG)
    assert dict(zip(parameters[::2], parameters[1::2], strict=True)) == {
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: 300,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC: 200,
        cv2.CAP_PROP_N_THREADS: 1,
    }
    assert os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] == "rtsp_transport;tcp"


@pytest.mark.parametrize(
    ("device", "backend"), [(0, cv2.CAP_V4L2), ("/dev/null", cv2.CAP_V4L2), ("strip.avi", cv2.CAP_ANY)]
)
def test_a_device_is_opened_as_a_device(monkeypatch: pytest.MonkeyPatch, device: str | int, backend: int) -> None:
    """Also by the name of its node: FFmpeg would read that as a file."""
    given: list[Any] = []

    def capture(*arguments: Any) -> Live:
        given.extend(arguments)
        return Live()

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    opened(source(device))
    assert given == [device, backend]


# ---- why it does not open --------------------------------------------------------------------------------------


def test_a_stream_whose_probe_timed_out_is_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV says that it is; its time stamps are wrong then."""
    live, times = Live(), iter((100.0, 102.9))
    monkeypatch.setattr(cv2, "VideoCapture", live)
    monkeypatch.setattr(video.time, "monotonic", lambda: next(times))
    assert "no stream within open_timeout_ms = 3000" in refused(source("rtsp://camera/1"))
    assert live.released.is_set()


@pytest.mark.parametrize("device", ["/dev/video-none", 97, "missing.avi"])
def test_a_device_that_is_not_there_does_not_open(device: str | int) -> None:
    """One line with the device, and what there is."""
    text = refused(source(device))
    assert f"camera {device}: does not open: there is no" in text
    assert "devices present:" in text


def test_what_is_no_camera_is_named(tmp_path: Path) -> None:
    """Some other device, a folder, and a file that is no video."""
    (tmp_path / "text.avi").write_text("no video")
    for device in ("/dev/null", str(tmp_path / "text.avi")):
        assert f"{device} is no camera and no video file" in refused(source(device))
    assert "Is a directory" in refused(source(str(tmp_path)))


@pytest.fixture
def closed_live(monkeypatch: pytest.MonkeyPatch) -> Live:
    """OpenCV fails, and says nothing."""
    live = Live()
    live.opened = False
    monkeypatch.setattr(cv2, "VideoCapture", live)
    return live


@pytest.mark.usefixtures("closed_live")
@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EACCES, "no right to read and write /dev/video3: make this user a member of the group"),
        (errno.EPERM, "no right to read and write"),
        (errno.EBUSY, "/dev/video3 is in use by another program, or it hangs: fuser -v /dev/video3"),
        (errno.ENODEV, "there is no /dev/video3"),
        (errno.EIO, "/dev/video3: Input/output error"),
    ],
)
def test_the_node_says_what_opencv_does_not(monkeypatch: pytest.MonkeyPatch, number: int, told: str) -> None:
    """Missing rights, a camera in use and no camera are different lines."""

    def refuse(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    assert told in refused(source(3))


@pytest.mark.usefixtures("closed_live")
@pytest.mark.parametrize(
    ("capabilities", "number", "told"),
    [
        (0x00800000, 0, "gives no pictures: many cameras have a second node"),
        (0x00000001, errno.EBUSY, "is in use by another program, or it hangs"),
        (0x00000001, errno.EIO, "Input/output error"),
        (0x00000001, 0, "is there and free, but OpenCV cannot stream from it"),
    ],
)
def test_the_driver_says_who_streams(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capabilities: int, number: int, told: str
) -> None:
    """V4L2 lets everybody open a node; only who asks for its buffers learns that another program has them."""

    def ioctl(_: int, request: int, __: bytes) -> bytes:
        if len(__) == 104:
            return bytes(88) + struct.pack("<4I", capabilities, 0, 0, 0)
        assert request & 0xFF == 8
        if number:
            raise OSError(number, os.strerror(number))
        return __

    node = tmp_path / "video3"
    node.touch()
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    assert told in refused(source(str(node)))


def test_an_address_where_nobody_answers_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection, a name that nobody knows, a server that does not speak RTSP; no password is shown."""
    assert "Connection refused" in refused(source("rtsp://user:secret@127.0.0.1:9/cam"))
    assert "secret" not in refused(source("rtsp://user:secret@127.0.0.1:9/cam"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = refused(source(f"rtsp://127.0.0.1:{server.getsockname()[1]}/cam", open_timeout_ms=200))
        assert "no stream within open_timeout_ms = 200" in text
        monkeypatch.setattr(cv2, "VideoCapture", _closed)
        assert "it answers but gives no stream" in refused(source(f"rtsp://127.0.0.1:{server.getsockname()[1]}/cam"))
    assert "no host" in refused(source("rtsp://:5x/cam")) or "check cable, address and port" in refused(
        source("rtsp://:5x/cam")
    )


def _closed(*_: Any) -> Live:
    live = Live()
    live.opened = False
    return live


@pytest.mark.parametrize(
    ("device", "seen"),
    [
        ("rtsp://u:p@cam/1", "rtsp://***@cam/1"),
        ("rtsp://u:p@q@cam/1", "rtsp://***@cam/1"),
        ("rtsp://cam/a@b", "rtsp://cam/a@b"),
        ("http://cam/v.cgi?user=me&pwd=my&fps=5", "http://cam/v.cgi?user=***&pwd=***&fps=5"),
        ("rtsp://cam/user=me&password=my&channel=1", "rtsp://cam/user=***&password=***&channel=1"),
        ("rtsp://cam/user=me_password=my_channel=1", "rtsp://cam/user=***"),
        ("http://cam/v?Auth_Token=my", "http://cam/v?Auth_Token=***"),
        (0, "0"),
    ],
)
def test_no_password_is_shown(device: str | int, seen: str) -> None:
    """Messages end in journals and on screens."""
    assert shown(source(device)) == seen


@pytest.mark.parametrize("options", ["", "rtsp_transport;udp", "rtsp_transport;tcp,udp"])
def test_rtsp_is_refused_when_the_variable_lacks_tcp(monkeypatch: pytest.MonkeyPatch, options: str) -> None:
    """Somebody has set it before us, for the whole process: what UDP loses would be painted over."""
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", options)
    monkeypatch.setattr(cv2, "VideoCapture", Live())
    assert "expected rtsp_transport;tcp among it" in refused(source("rtsp://camera/1"))
    opened(source(0))
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "max_delay;5|rtsp_transport;tcp")
    opened(source("rtsp://camera/1"))


def test_a_bare_number_says_which_camera_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver tells name and plug; a name of /dev/v4l says it already."""
    answer = struct.pack("<16s32s32s", b"uvcvideo", b"Line camera", b"usb-0000:00:14.0-3") + bytes(24)
    monkeypatch.setattr(fcntl, "ioctl", lambda *_: answer)
    monkeypatch.setattr(os, "open", lambda *_: 1000)
    monkeypatch.setattr(os, "close", lambda _: None)
    assert port_of(source(3)) == port_of(source("/dev/video3")) == "Line camera at usb-0000:00:14.0-3"
    assert port_of(source("/dev/v4l/by-path/pci-1")) is None
    assert port_of(source("rtsp://camera/1")) is None


def test_a_number_that_is_not_there_has_no_camera() -> None:
    """Its open says why, better than this could."""
    assert port_of(source(97)) is None
