"""What the camera commands look at: pictures in a folder, a network camera of our own, a station's file."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from edge.rig import toml_from_tree

HEIGHT, WIDTH = 48, 64


def blurred(radius: int) -> NDArray[np.uint8]:
    """Return noise of 64x48 px, the less sharp the larger the radius is."""
    noise = np.random.default_rng(1).integers(60, 200, (HEIGHT, WIDTH), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (2 * radius + 1, 2 * radius + 1), 0), np.uint8) if radius else noise


def write_pictures(folder: Path, *pictures: NDArray[np.uint8]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, picture in enumerate(pictures):
        assert cv2.imwrite(str(folder / f"{number:03}.png"), picture)
    return folder


def write_station(path: Path, *cameras: dict[str, Any], **more: Any) -> Path:
    """Write a station's file with sockets of its own."""
    endpoints = {name: f"ipc://{path.parent}/{name}" for name in ("results", "masks", "pictures", "control")}
    tree = {"station": "line1", "cameras": list(cameras), "endpoints": endpoints, **more}
    path.write_text(toml_from_tree(tree), encoding="utf-8")
    return path


class NetworkCamera(ThreadingHTTPServer):
    """Motion JPEG over HTTP: another noise each time, at 50 Hz."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.noise = np.random.default_rng(1)
        self.go_away = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/stream"

    def jpeg(self) -> bytes:
        picture = self.noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        return cv2.imencode(".jpg", picture)[1].tobytes()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that hangs up is no error of the server."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(  # type: ignore[override]  # the base class takes anything
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_away.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: NetworkCamera

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        while not self.server.go_away.wait(0.02):
            jpeg = self.server.jpeg()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
