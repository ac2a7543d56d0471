"""camera list: what this machine sees, and which of a station's cameras open."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import zmq

from edge.cameras import listing
from edge.cameras.listing import GenicamDevice, Listed, OfStation, _print
from edge.cameras.main import main
from edge.cameras.nodes import Node
from edge.clock import SYSTEM_CLOCK
from edge.records import VERSION, CameraStatus
from edge.requests import StatusAnswer
from edge.settings import Station
from edge.station.control import Control
from tests.support.cameras import write_station
from tests.support.records import status

CAMERA: dict[str, Any] = {"name": "top", "height": 64, "width": 128, "source": {"kind": "synthetic"}}
DEAD: dict[str, Any] = {"name": "side", "source": {"kind": "opencv", "device": "/dev/video77"}}


def listed(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    assert main(["list", "--no-genicam", "--json", *args]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_a_stations_cameras_are_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is opened and closed; one that does not open says why, and the others are tried all the same."""
    top, side = listed(capsys, "--config", str(write_station(tmp_path / "line1.toml", CAMERA, DEAD)))["station"]
    assert (top["name"], top["kind"], top["opens"]) == ("top", "synthetic", True)
    assert "128x64" in top["detail"]
    assert (side["opens"], "there is no /dev/video77" in side["detail"]) == (False, True)


def test_without_a_station_only_the_machine_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """No file is needed."""
    told = listed(capsys)
    assert (told["station"], told["genicam"], told["genicam_fault"]) == ([], [], "not asked for")


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What to install; V4L2 is listed all the same."""
    monkeypatch.setitem(sys.modules, "gi", None)
    monkeypatch.delitem(sys.modules, "edge.inspector.camera.aravis", raising=False)
    assert main(["list"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("genicam: ")]
    assert "edge-inspect[genicam]" in line


def test_a_running_stations_cameras_are_told_by_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has them: nobody opens them beside it, and what it says of them is shown; so it is where one does not open."""
    config = write_station(tmp_path / "line1.toml", CAMERA, DEAD)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    control = Control(context, f"ipc://{tmp_path}/control", SYSTEM_CLOCK)
    over = threading.Event()
    cameras = tuple(
        CameraStatus(name=name, state=state, detail="said it", last_frame=None, numbered=True)
        for name, state in (("top", "open"), ("side", "failed"))
    )
    answer = StatusAnswer(version=VERSION, id="", now_us=0, status=status(0, station="line1", cameras=cameras))

    def serve() -> None:
        while not over.is_set():
            if control.waits or control.socket.poll(20):
                control.read()
                if (asked := control.receive()) is not None:
                    control.answer(asked, answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        top, side = listed(capsys, "--config", str(config))["station"]
        assert main(["show", "side", "--config", str(config)]) == 4
    finally:
        over.set()
        thread.join()
        context.destroy(linger=0)
    assert (top["opens"], top["detail"]) == (True, "open in the running station: said it")
    assert (side["opens"], side["kind"]) == (False, "opencv")
    said = capsys.readouterr().err
    assert "Station line1 is running and has its cameras: this one is in use, or dead" in said
    assert said.count("\n") == 1


def test_tables_are_readable_at_100_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is cut off; only the last column is folded."""
    monkeypatch.setenv("COLUMNS", "100")
    node = Node(
        path="/dev/video0",
        name="HD Pro Webcam C920",
        driver="uvcvideo",
        pictures=True,
        formats=("YUYV", "MJPG", "H264"),
        rights="none: be in group video",
        holders=("edge-inspectd (812)",),
    )
    device = GenicamDevice(
        id="Basler-21234567",
        vendor="Basler",
        model="acA1300-60gm",
        serial="21234567",
        address="192.168.3.12",
        protocol="GigEVision",
        state="in use",
    )
    camera = OfStation(name="top", kind="genicam", opens=False, detail="x" * 90)
    found = Listed(v4l2=(node,), genicam=(device,), genicam_fault="", station=(camera,))
    _print(found, Station.model_validate({"station": "line1", "cameras": [CAMERA]}))
    said = capsys.readouterr().out
    assert max(len(line) for line in said.splitlines()) <= 100
    for part in ("HD Pro Webcam C920", "YUYV MJPG H264", "none: be in group video", "acA1300-60gm", "192.168.3.12"):
        assert part in said


def test_the_daemon_does_not_load_the_commands() -> None:
    """Nor do the commands load an engine: they start at once."""
    unwanted = ("openvino", "edge.station.loop")
    script = f"import sys; import edge.cameras.main; print([n for n in sys.modules if n in {unwanted}])"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
    assert listing.List.model_fields["genicam"].default is True
