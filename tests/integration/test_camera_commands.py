"""edge-inspectd camera, as a process, against a real RTSP server and a real GigE Vision camera."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.peers.gige.fake import FakeCamera
from tests.peers.rtsp.scene import read_barcode
from tests.support.cameras import write_station

SERVER = Path(__file__).parents[1] / "peers" / "rtsp" / "server.py"
HEIGHT, WIDTH, RATE_HZ = 200, 344, 30
COMMAND = (sys.executable, "-I", "-m", "edge.inspectd", "camera")
PATIENCE_S = 60.0
# What is shown was there a moment ago, on a machine that does much else.
FRESH_MS = 2000
HOLDER = """
import sys, time
from edge.inspector.camera.aravis import open_handle
handle = open_handle(sys.argv[1])
print("held", flush=True)
time.sleep(600)
"""


class RtspCamera:
    """A network camera as a process."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{port}/cam"
        flags = ("--height", str(HEIGHT), "--width", str(WIDTH), "--rate", str(RATE_HZ))
        command = ["/usr/bin/python3", str(SERVER), str(port), *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def rtsp() -> Iterator[RtspCamera]:
    camera = RtspCamera()
    yield camera
    camera.end()


@pytest.fixture(scope="module")
def gige() -> Iterator[FakeCamera]:
    with FakeCamera(scene=True) as camera:
        yield camera


def run(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run([*COMMAND, *args], capture_output=True, text=True, timeout=PATIENCE_S, env=env)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def told(*args: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(*args, "--json").stdout)
    return answer


def refused(*args: str) -> str:
    """Return the one line on stderr of a camera that cannot be had."""
    said = run(*args, code=4).stderr
    assert said.startswith("edge-inspectd camera: ")
    assert said.count("\n") == 1, said
    return said


def age_ms(picture: Path) -> float:
    return time.monotonic_ns() / 1e6 - read_barcode(
        np.asarray(cv2.imread(str(picture), cv2.IMREAD_UNCHANGED), np.uint8)
    )


def test_a_network_camera_is_shown_as_it_is(rtsp: RtspCamera) -> None:
    """Mode, rate and steadiness as measured; nothing else is said on any channel."""
    shown = told("show", "--device", rtsp.url, "--frames", "60")
    assert shown["size"] == f"{WIDTH}x{HEIGHT} px, 3 channels (bgr8)"
    assert RATE_HZ * 0.9 < shown["rate_hz"] < RATE_HZ * 1.1
    assert shown["intervals_ms"]["p50"] == pytest.approx(1000 / RATE_HZ, rel=0.2)
    assert (shown["numbered"], shown["triggerable"], shown["counts"]) == (False, False, False)
    said = run("show", "--device", rtsp.url, "--frames", "5")
    assert said.stderr == ""
    assert max(len(line) for line in said.stdout.splitlines()) <= 100


def test_a_snap_is_of_this_moment(rtsp: RtspCamera, tmp_path: Path) -> None:
    """The time of exposure stands in the picture as a barcode: it is whole, and not an old one of some buffer."""
    run("snap", "--device", rtsp.url, "--out", str(tmp_path / "a.png"))
    assert 0 <= age_ms(tmp_path / "a.png") < FRESH_MS


def test_focus_goes_on_until_ctrl_c(rtsp: RtspCamera) -> None:
    """A line for each picture; the interrupt is its end, not a failure."""
    process = subprocess.Popen(
        [*COMMAND, "focus", "--device", rtsp.url, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline()) for _ in range(20)]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (0, "")
    assert all(line["sharpness"] > 0 and line["peak"] >= line["sharpness"] for line in lines)
    assert lines[-1]["rate_hz"] == pytest.approx(RATE_HZ, rel=0.3)


def test_a_hung_camera_does_not_hang_the_command(rtsp: RtspCamera) -> None:
    """One line, within its time-outs."""
    rtsp.process.send_signal(signal.SIGSTOP)
    began_s = time.monotonic()
    assert "does not open" in refused("show", "--device", rtsp.url)
    assert time.monotonic() - began_s < 15


def test_a_stations_cameras_are_listed(rtsp: RtspCamera, gige: FakeCamera, tmp_path: Path) -> None:
    """Of each kind one that opens, and a dead one; the GenICam camera is listed by itself, too, and is free again."""
    dead = {"kind": "opencv", "device": "rtsp://127.0.0.1:9/cam"}
    cameras = (
        {"name": "net", "height": HEIGHT, "width": WIDTH, "source": {"kind": "opencv", "device": rtsp.url}},
        {"name": "gige", "height": 128, "width": 256, "source": {"kind": "genicam", "device": gige.id}},
        {"name": "dead", "source": dead},
    )
    listed = told("list", "--config", str(write_station(tmp_path / "line1.toml", *cameras)))
    assert {camera["name"]: camera["opens"] for camera in listed["station"]} == {
        "net": True,
        "gige": True,
        "dead": False,
    }
    assert [(device["id"], device["state"]) for device in listed["genicam"]] == [(gige.id, "free")]
    said = run("list", "--no-genicam", "--config", str(tmp_path / "line1.toml"))
    assert max(len(line) for line in said.stdout.splitlines()) <= 100


def test_a_genicam_camera_is_shown_by_its_id_and_left_as_it_was(gige: FakeCamera, tmp_path: Path) -> None:
    """Its region stays; what it is set to stands below; a snap is of this moment."""
    shown = told("show", "--device", gige.id, "--width", "256", "--height", "128", "--rate-hz", "50", "--frames", "30")
    assert (shown["size"], shown["numbered"]) == ("256x128 px, grey (mono8)", True)
    assert 40 < shown["rate_hz"] < 60
    again = told("show", "--device", gige.id, "--frames", "10")
    assert again["size"] == shown["size"]
    assert again["settings"]["region [px]"] == "256x128 at (0, 0)"
    run("snap", "--device", gige.id, "--out", str(tmp_path / "a.png"))
    assert 0 <= age_ms(tmp_path / "a.png") < FRESH_MS


def test_a_camera_in_use_is_told(gige: FakeCamera) -> None:
    """Listed as such; shown to nobody else, and said as what it looks like: in use, or gone."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, gige.id], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            assert [device["state"] for device in told("list")["genicam"]] == ["in use"]
            assert "is in use by another program or host, or gone" in refused("show", "--device", gige.id)
        finally:
            holder.kill()


def test_an_id_that_is_not_there_is_told_with_those_that_are(gige: FakeCamera) -> None:
    """Nothing is opened."""
    assert gige.id in refused("show", "--device", "Somebody-Else-1")
