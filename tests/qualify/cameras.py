"""
Lines before real cameras, whose pictures tell their own truth: the time of exposure as a barcode, a defect by turns.

RTSP from gst-rtsp-server, GigE Vision from Aravis' fake camera, both processes of their own (tests/peers).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.peers.gige.fake import FakeCamera
from tests.peers.rtsp.scene import read_barcode, square_at
from tests.qualify.report import REPOSITORY
from tests.qualify.scenes import Line, Truth

RTSP_HZ, GIGE_HZ = 30, 25.0
_RTSP_SIZE, _GIGE_SIZE = (200, 336), (128, 128)
_TRIGGERS_HZ = 8.0
_EXPECT_MS = 500
_LOST_PER_1000 = 300
_SYSTEM_PYTHON = "/usr/bin/python3"


class RtspServer:
    """A network camera that can be killed, stopped and started again on its port."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Return when it listens."""
        height, width = _RTSP_SIZE
        size = ("--height", str(height), "--width", str(width), "--rate", str(RTSP_HZ))
        server = REPOSITORY / "tests" / "peers" / "rtsp" / "server.py"
        command = [_SYSTEM_PYTHON, str(server), str(self.port), *size]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "up\n":
            raise RuntimeError(f"{' '.join(command)}: does not listen")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def hang(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it does not run"
        os.kill(self._process.pid, number)


@contextlib.contextmanager
def rtsp_line(folder: Path) -> Iterator[Line]:
    """Yield a line before a network camera that triggers by itself."""
    server = RtspServer()
    server.start()
    try:
        source = {"kind": "opencv", "device": f"rtsp://127.0.0.1:{server.port}/cam", "rate_hz": float(RTSP_HZ)}
        camera = {**_camera(_RTSP_SIZE), "convert_to": "mono8", "expect_every_ms": _EXPECT_MS, "source": source}
        yield Line(camera, None, _truth, peer=server, still=server.kill)
    finally:
        server.kill()


@contextlib.contextmanager
def gige_line(folder: Path) -> Iterator[Line]:
    """Yield a line before a GigE Vision camera that triggers by itself and numbers its frames."""
    with FakeCamera(scene=True) as fake:
        camera = {**_gige(), "expect_every_ms": _EXPECT_MS}
        camera["source"] = {**camera["source"], "rate_hz": GIGE_HZ}
        yield Line(camera, None, _truth, peer=fake, still=fake.kill)


@contextlib.contextmanager
def fired_gige_line(folder: Path) -> Iterator[Line]:
    """Yield a line before a GigE Vision camera that is fired by request."""
    with FakeCamera(scene=True, lost_later=_LOST_PER_1000) as fake:
        # The fake looks for its trigger now and then only: 30 ms, on a busy machine 90.
        camera = {**_gige(), "trigger": "software", "max_trigger_delay_ms": 200}
        yield Line(camera, _TRIGGERS_HZ, _truth, peer=fake)


def _gige() -> dict[str, Any]:
    # Packets as large as they can be: few make a picture, so that with losses some are whole.
    source = {"kind": "genicam", "device": "Aravis-Fake-GV01", "exposure_us": 1000.0, "packet_size": 16_000}
    return {**_camera(_GIGE_SIZE), "source": source}


def _camera(size: tuple[int, int]) -> dict[str, Any]:
    return {"name": "cam1", "height": size[0], "width": size[1], "slots": 8}


def _truth(image: NDArray[np.uint8]) -> Truth | None:
    try:
        ms = read_barcode(image)
    except ValueError:
        return None
    return Truth(defect=square_at(ms, *image.shape) is not None, taken_us=1000 * ms)
