"""The consumer in C, written from docs/protocol.md alone, against a station that is killed; needs a compiler."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import pytest

from edge.rig import toml_from_tree
from tests.support.bundles import picture

SOURCE = Path(__file__).parent / "protocol_client"
PATIENCE_S = 60.0
PARTS = 60


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the two programs."""
    tools = [shutil.which(tool) for tool in ("cc", "make", "pkg-config")]
    known = all(tools) and subprocess.run(["pkg-config", "--exists", "libzmq", "jansson"], check=False).returncode == 0
    if not known:
        # Also in CI: nothing that is installed or shipped needs these.
        pytest.skip("needs cc, make, pkg-config and the headers of libzmq and jansson")
    folder = tmp_path_factory.mktemp("client")
    subprocess.run(["make", "-s", "-C", str(SOURCE), f"OUT={folder}"], check=True)
    return folder


class Line:
    """A station in one folder over all its starts, and the two programs beside it."""

    def __init__(self, folder: Path, bundle: Path, programs: Path) -> None:
        self.folder, self._programs = folder, programs
        self.record = folder / "record.jsonl"
        ends = {name: f"ipc://{folder}/{name}" for name in ("results", "masks", "pictures", "control")}
        self.results, self.control = ends["results"], ends["control"]
        source = {"kind": "replay", "path": folder / "shots"}
        camera = {"name": "cam1", "height": 100, "width": 170, "trigger": "software", "source": source}
        tree: dict[str, Any] = {
            "station": "line1",
            "budget_ms": 2000,
            "state_dir": folder / "state",
            "bundle": {"path": bundle, "allow_unsigned": True},
            "backend": {"threads": 1},
            "cameras": [camera],
            "endpoints": ends,
        }
        (folder / "station.toml").write_text(toml_from_tree(tree), encoding="utf-8")
        self._started: list[subprocess.Popen[bytes]] = []
        self._files = ExitStack()

    def _start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        log = self._files.enter_context((self.folder / f"{name}.log").open("ab"))
        self._started.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return self._started[-1]

    def station(self) -> subprocess.Popen[bytes]:
        return self._start(
            "station", sys.executable, "-I", "-m", "edge.station.daemon", str(self.folder / "station.toml")
        )

    def consumer(self) -> subprocess.Popen[bytes]:
        program = str(self._programs / "consume")
        return self._start("consume", program, self.results, self.control, "line1", "mes", str(self.record))

    def trigger(self) -> subprocess.Popen[bytes]:
        return self._start("trigger", str(self._programs / "trigger"), self.control, "A", "1", str(PARTS), "40")

    def recorded(self) -> list[dict[str, Any]]:
        if not self.record.exists():
            return []
        whole, _, _ = self.record.read_text(encoding="utf-8").rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def wait_for(self, parts: int) -> None:
        end_s, pause = time.monotonic() + PATIENCE_S, threading.Event()
        while len({one.get("part_id") for one in self.recorded()}) < parts:
            assert time.monotonic() < end_s, "the client recorded nothing further"
            pause.wait(0.05)

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE_S)
        self._files.close()


def end(process: subprocess.Popen[bytes], number: signal.Signals) -> int:
    process.send_signal(number)
    return process.wait(PATIENCE_S)


@pytest.fixture
def line(tmp_path: Path, tiny_bundle: Path, built: Path) -> Iterator[Line]:
    """Return a line of which nothing is started."""
    (tmp_path / "shots").mkdir()
    for number in range(2 * PARTS):
        shown = (1,) if number % 2 else ()
        cv2.imwrite(str(tmp_path / "shots" / f"{number:03}.png"), picture(number, *shown))
    line = Line(tmp_path, tiny_bundle, built)
    yield line
    line.close()


def test_a_client_from_the_document_gets_each_verdict_once_over_kills_of_either_side(line: Line) -> None:
    """The station is killed, then the client; each part's verdict is recorded, in order, and nothing twice."""
    station, consumer, sender = line.station(), line.consumer(), line.trigger()
    line.wait_for(15)
    end(station, signal.SIGKILL)
    station = line.station()
    line.wait_for(30)
    end(consumer, signal.SIGKILL)
    consumer = line.consumer()
    assert sender.wait(PATIENCE_S) == 0
    line.wait_for(PARTS)
    assert end(consumer, signal.SIGTERM) == 0
    assert end(station, signal.SIGTERM) == 0
    recorded = line.recorded()
    assert not [one for one in recorded if "seq" not in one], "something was told as missing"
    assert len({(one["epoch"], one["seq"]) for one in recorded}) == len(recorded)
    proven = [one["seq"] for one in recorded if one["proven"]]
    assert proven == sorted(set(proven))
    assert {one["part_id"] for one in recorded} == {f"A-{k}" for k in range(1, PARTS + 1)}
    assert any(one["act"] for one in recorded)
    assert all(one["outcome"] == "PASS" for one in recorded if one["act"])
