"""Motion JPEG over HTTP: each part whole, or a part without a picture."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
import pytest

from edge.errors import CameraError
from edge.inspector.camera.multipart import MultipartJpeg
from edge.settings import OpenCVSource

Write = Callable[[bytes], Any]


def jpeg(seed: int) -> bytes:
    picture = np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def part(data: bytes, head: str | None = None) -> bytes:
    head = f"Content-Length: {len(data)}\r\n" if head is None else head
    return b"--b\r\nContent-Type: image/jpeg\r\n" + head.encode() + b"\r\n" + data + b"\r\n"


class Server(ThreadingHTTPServer):
    """
    Answers each request with *body*.

    Attributes:
        user: who may have it, as "name:password"; "" = everybody.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = b""
        self.content = "multipart/x-mixed-replace; boundary=b"
        self.user = ""
        self.status = 200
        self.more = threading.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that hangs up is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = "Basic " + b64encode(server.user.encode()).decode()
        allowed = not server.user or self.headers.get("Authorization") == wanted
        self.send_response(server.status if allowed else 401)
        self.send_header("Content-Type", server.content)
        if not allowed:
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.end_headers()
        if allowed:
            self.wfile.write(server.body)
            self.wfile.flush()
            server.more.wait(10)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.more.set()
        server.shutdown()
        thread.join()


def opened(server: Server, *, user: str = "", **settings: Any) -> MultipartJpeg:
    device = f"http://{user}{server.address}/v?user=me&pwd=my"
    return MultipartJpeg(OpenCVSource(kind="opencv", device=device, read_timeout_ms=300, **settings))


def read_all(stream: MultipartJpeg) -> list[str]:
    """Return "" for each further picture, else what is wrong with it; until the stream has ended."""
    found = []
    while (read := stream.read()) is not None:
        assert (read.picture is None) == bool(read.damage)
        assert read.picture is None or read.picture.shape == (48, 64, 3)
        found.append(read.damage)
    stream.release()
    return found


@pytest.mark.parametrize("head", [None, "", "X-Timestamp: 12.5\r\ncontent-length: %d\r\n"])
@pytest.mark.parametrize("content", ["boundary=b", 'boundary="b"', "boundary=--b", "boundary = b; charset=x"])
def test_whole_pictures_come_whole(server: Server, head: str | None, content: str) -> None:
    """With and without a length, however the boundary is written; the last one at once and not with the next."""
    server.content = "multipart/x-mixed-replace; " + content
    head = head.replace("%d", str(len(jpeg(1)))) if head else head
    server.body = part(jpeg(1), head) * 4
    assert read_all(opened(server)) == ["", "", ""]


def test_a_picture_is_the_one_that_was_sent(server: Server) -> None:
    """Decoded as OpenCV does it, with the time stamp that some servers give."""
    server.body = part(jpeg(1)) + part(jpeg(2), f"X-Timestamp: 12.5\r\nContent-Length: {len(jpeg(2))}\r\n")
    stream = opened(server)
    read = stream.read()
    assert read is not None
    assert np.array_equal(read.picture, cv2.imdecode(np.frombuffer(jpeg(2), np.uint8), cv2.IMREAD_COLOR))
    assert read.stamp_s == 12.5
    assert stream.described(25.0) == f"http://{server.address}/v?user=***&pwd=*** by HTTP, 64x48, 25 Hz"
    stream.release()


HALF = jpeg(3)[: len(jpeg(3)) // 2]


@pytest.mark.parametrize(
    "damaged",
    [
        part(HALF),
        part(HALF + bytes(len(HALF))),
        part(HALF, ""),
        part(HALF, f"Content-Length: {len(jpeg(3))}\r\n"),
        part(jpeg(3), f"Content-Length: {len(HALF)}\r\n"),
        part(HALF + jpeg(3)),
        part(HALF + jpeg(3), ""),
        part(jpeg(3) + b"garbage"),
        part(b"garbage"),
        part(b"garbage", ""),
        part(b"\xff\xd8\xff\xd9"),
    ],
)
def test_a_damaged_one_is_never_a_picture(server: Server, damaged: bytes) -> None:
    """Cut, filled up, of a wrong length, of two halves, with garbage; those before and behind it are good."""
    server.body = part(jpeg(1)) * 2 + damaged + part(jpeg(2)) * 2
    first, *found, last = read_all(opened(server))
    assert (first, last) == ("", "")
    assert any(found)
    assert all(text == "" or text.startswith("a damaged picture: ") for text in found)
    assert found.count("") <= 1


@pytest.mark.parametrize("length", ["-1", "0", "99999999", "many", "1e3"])
def test_a_length_that_is_none_ends_the_stream(server: Server, length: str) -> None:
    """Nobody waits for gigabytes."""
    server.body = part(jpeg(1)) * 2 + part(jpeg(1), f"Content-Length: {length}\r\n")
    assert read_all(opened(server)) == [""]


def test_a_stream_ends_with_its_last_delimiter_and_when_nothing_comes(server: Server) -> None:
    """Both are the end of this handle: another one may do better."""
    server.body = part(jpeg(1)) * 2 + b"--b--\r\n"
    assert read_all(opened(server)) == [""]
    server.body = part(jpeg(1)) * 2
    assert read_all(opened(server)) == [""]


def test_what_lies_there_already_was_not_waited_for(server: Server) -> None:
    """A queue on this machine shows, whatever the rate is; of the end of one picture nothing follows."""
    server.body = part(jpeg(1)) * 5
    stream = opened(server)
    reads = [stream.read() for _ in range(4)]
    assert [read.waited for read in reads if read] == [False] * 4
    stream.release()


@pytest.mark.parametrize("content", ["video/mp4", "application/vnd.apple.mpegurl", "image/jpeg", "multipart/mixed", ""])
def test_what_is_no_motion_jpeg_is_refused(server: Server, content: str) -> None:
    """One line that says what it is and what was expected."""
    server.content, server.body = content, b"x" * 1000
    with pytest.raises(CameraError, match=r"it sends '.*', expected multipart/x-mixed-replace \(motion JPEG\)") as told:
        opened(server)
    assert "\n" not in str(told.value)
    assert "pwd=my" not in str(told.value)


def test_user_and_password_are_sent_and_not_shown(server: Server) -> None:
    """Also such as have to be written in an address by their codes."""
    server.user, server.body = "me:p@ss", part(jpeg(1)) * 2
    stream = opened(server, user="me:p%40ss@")
    assert "//***@" in stream.described(None)
    stream.release()
    with pytest.raises(CameraError, match=r"HTTP 401 .*; check user and password") as told:
        opened(server, user="me:wrong@")
    assert "wrong" not in str(told.value)


def test_what_cannot_be_opened_says_why(server: Server) -> None:
    """Another path, nothing that comes, and settings that nobody can ask for or that are not so."""
    server.body = part(jpeg(1)) * 2
    with pytest.raises(CameraError, match="width requested 640, actual 64"):
        opened(server, width=640)
    with pytest.raises(CameraError, match="gain cannot be asked of a camera over HTTP"):
        opened(server, gain=1.0)
    server.status = 404
    with pytest.raises(CameraError, match="HTTP 404 Not Found; check path"):
        opened(server)
    server.status, server.body = 200, b""
    with pytest.raises(CameraError, match="no picture came"):
        opened(server)
    with pytest.raises(CameraError, match=r"does not open: .*check cable, address and port"):
        MultipartJpeg(OpenCVSource(kind="opencv", device="http://127.0.0.1:9/x"))
