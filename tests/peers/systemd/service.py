"""The service on the machine in the box: its settings, its state, what it says."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.client import Event, Subscriber
from edge.records import Status, Verdict
from edge.rig import toml_from_tree
from tests.peers.systemd.sandbox import APP, Sandbox

UNIT, UNIT2 = "edge-inspectd@line1", "edge-inspectd@line2"
ETC, STATE, RUN = Path("etc/edge-inspect"), Path("var/lib/edge-inspect"), Path("run/edge-inspect")
DROP_INS = Path("etc/systemd/system")


def reset(machine: Sandbox, name: str) -> None:
    machine.run("systemctl", "stop", f"edge-inspectd@{name}")
    machine.run("systemctl", "reset-failed", f"edge-inspectd@{name}", check=False)
    shutil.rmtree(machine.root / STATE / name, ignore_errors=True)


def configure(machine: Sandbox, name: str, **changes: Any) -> None:
    run_dir = f"/{RUN}/{name}"
    tree = {
        "station": name,
        "budget_ms": 20_000,
        "hang_s": 21.0,
        "start": "wait",
        "run_dir": run_dir,
        # The key is a credential: nothing of that name lies in the working directory.
        "bundle": {"path": APP / "bundle", "trusted_keys": ["release.pub"]},
        "backend": {"threads": 1},
        "picture_rate_hz": 0,
        "endpoints": {end: f"ipc://{run_dir}/{end}" for end in ("results", "masks", "pictures", "control")},
        "cameras": [{"name": "cam1", "height": 100, "width": 170, "source": {"kind": "synthetic", "rate_hz": 20.0}}],
        **changes,
    }
    (machine.root / ETC / f"{name}.toml").write_text(toml_from_tree(tree))


def drop_in(machine: Sandbox, name: str, *lines: str) -> None:
    folder = machine.root / DROP_INS / f"{UNIT}.service.d"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(("[Service]", *lines, "")))
    machine.run("systemctl", "daemon-reload")


def start(machine: Sandbox) -> float:
    """Start the station of line 1, and wait until it inspects; return how long that took [s]."""
    began = time.monotonic()
    machine.run("systemctl", "start", UNIT)
    inspects(machine)
    return time.monotonic() - began


def inspects(machine: Sandbox, unit: str = UNIT) -> float:
    """Wait until a station inspects; return how long that took [s]."""
    return machine.wait("it inspects", lambda: machine.show(unit, "StatusText") == "inspecting")


def listening(machine: Sandbox, name: str = "line1") -> Subscriber:
    return Subscriber(f"ipc://{machine.root / RUN / name}/results")


def until(subscriber: Subscriber, wanted: Callable[[Event], bool], timeout_s: float = 30.0) -> list[Event]:
    seen: list[Event] = []
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        event = subscriber.receive(timeout_s=0.2)
        if event is not None:
            seen.append(event)
            if wanted(event):
                return seen
    raise AssertionError(f"not within {timeout_s:g} s; the last of {len(seen)}: {seen[-1:]}")


def is_verdict(event: Event) -> bool:
    return isinstance(event, Verdict)


def is_ready(event: Event) -> bool:
    return isinstance(event, Status) and event.ready


def child_of(station: int) -> int:
    return int(Path(f"/proc/{station}/task/{station}/children").read_text().split()[0])


def figure(what: str, seconds: float) -> None:
    """Show a figure to who asks for it (pytest -rP)."""
    sys.stdout.write(f"{what}: {seconds:.2f}\n")


def user(machine: Sandbox) -> tuple[int, int]:
    status = (machine.root / STATE / "engines").stat()
    return status.st_uid, status.st_gid


def field(status: str, name: str) -> str:
    return next(line.split(":", 1)[1].strip() for line in status.splitlines() if line.startswith(f"{name}:"))
