"""
A station as a service: how soon it is ready, what it uses while no part comes, what it holds before and after parts.

The daemon as it is installed, with a camera that is fired by request: the bundle that ships on frames of 256x1600 px,
and the small trained one of the tests. The machine's page cache is warm: what is empty or full is the engine cache.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge.rig import bundle_table
from edge.settings import DEMO_BUNDLE
from tests.qualify.driver import Driver
from tests.qualify.ear import Ear
from tests.qualify.process import SOFTWARE, START_S, StationProcess
from tests.qualify.report import table, with_spread
from tests.qualify.resources import cpu_s_of, pss_mb_of, resources_of
from tests.support.bundles import HEIGHT, WIDTH
from tests.support.kept import kept_bundle

TITLE = "start to ready, idle load, memory of both processes"

_ROUNDS = 5
_IDLE_S = 60.0
_PARTS, _RATE_HZ = 1000, 20.0
_SETTLING_S = 3.0
_STAGES = ("load", "compile", "parity", "warm-up", "recipe")
_WHEN = ("after start", "idle", "after parts")
_HELD = ("RSS [MB]", "PSS [MB]", "descriptors", "threads")
# Of a core, both processes together, probes of the engines included.
_MOST_IDLE = 0.15
_MOST_GROWN_MB, _MOST_NEW_DESCRIPTORS = 30.0, 2


def run(out: Path, scale: float) -> dict[str, Any]:
    """Start both stations so often with a cold and a warm cache, then leave each alone for a minute, then drive it."""
    stations = {"demo bundle": _demo(), "small bundle": _small(out / "service")}
    starts = {
        f"{name}, engine cache {state}": found
        for name, settings in stations.items()
        for state, found in _starts(settings, max(1, round(_ROUNDS * scale))).items()
    }
    idle = {name: _left_alone(settings, scale) for name, settings in stations.items()}
    _print(starts, idle)
    broken = [f"{name}: {line}" for name, of in idle.items() for line in _broken(of)]
    return {"starts": starts, "idle": idle, "broken": broken}


def _starts(settings: Mapping[str, Any], rounds: int) -> dict[str, list[dict[str, float]]]:
    """Return by state of the cache how long each stage of each start took [s]."""
    found: dict[str, list[dict[str, float]]] = {"empty": [], "full": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="edge-s-") as name:
            for state in found:
                # A journal of its own each time: what a restart has to read is another question.
                shutil.rmtree(Path(name) / "state", ignore_errors=True)
                found[state].append(_start(settings, Path(name)))
    return found


def _start(settings: Mapping[str, Any], folder: Path) -> dict[str, float]:
    station = StationProcess(folder, {**settings, "engine_cache": folder / "engines"}, None)
    with Ear(station.results, station.pictures) as ear:
        began_us = time.monotonic_ns() // 1000
        with station:
            ready = ear.status(lambda status: status.ready, START_S)
            if ready is None:
                raise TimeoutError(f"not ready after {START_S:g} s; see {station.log}")
    return {"ready": (ready.sent_us - began_us) / 1e6, **{stage: ms / 1000 for stage, ms in ready.start_ms.items()}}


def _left_alone(settings: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """Return what a station uses while nobody wants anything of it, and what it holds before and after parts."""
    with _warm(settings) as station:
        time.sleep(_SETTLING_S)
        inspector = station.inspector()
        assert inspector is not None, "there is no inspector"
        pids = {"station": station.pid, "inspector": inspector}
        before = {name: _held(pid) for name, pid in pids.items()}
        share = _shares(pids, max(5.0, _IDLE_S * scale))
        idle = {name: _held(pid) for name, pid in pids.items()}
        parts = max(50, round(_PARTS * scale))
        with Driver(station.results, station.control) as driver:
            seen = driver.run(_RATE_HZ, parts / _RATE_HZ)
        time.sleep(_SETTLING_S)  # Until the driver's connections are gone.
        after = {name: _held(pid) for name, pid in pids.items()}
    return {
        "of a core": share,
        "after start": before,
        "idle": idle,
        "after parts": after,
        "parts": len(seen),
        "UNKNOWN": sum(one.verdict.reason is not None for one in seen),
    }


@contextlib.contextmanager
def _warm(settings: Mapping[str, Any]) -> Iterator[StationProcess]:
    """Yield a station that is ready, on an engine cache that an earlier start has filled."""
    with tempfile.TemporaryDirectory(prefix="edge-s-") as name:
        folder = Path(name)
        with StationProcess(folder, {**settings, "engine_cache": folder / "engines"}, None) as station:
            station.wait_ready()
            station.stop()
            station.start()
            station.wait_ready()
            yield station


def _shares(pids: Mapping[str, int], seconds: float) -> dict[str, float]:
    """Return which share of a core each process uses."""
    used = {name: -cpu_s_of(pid) for name, pid in pids.items()}
    began = time.monotonic()
    time.sleep(seconds)
    took_s = time.monotonic() - began
    return {name: (used[name] + cpu_s_of(pid)) / took_s for name, pid in pids.items()}


def _held(pid: int) -> dict[str, float]:
    held = resources_of(pid)
    return dict(zip(_HELD, (held.rss_mb, pss_mb_of(pid), held.descriptors, held.threads), strict=True))


def _demo() -> dict[str, Any]:
    return {"bundle": bundle_table(DEMO_BUNDLE), "budget_ms": 1000, "cameras": [SOFTWARE]}


def _small(folder: Path) -> dict[str, Any]:
    camera = {**SOFTWARE, "height": HEIGHT, "width": WIDTH}
    return {"bundle": bundle_table(kept_bundle(folder).absolute()), "budget_ms": 1000, "cameras": [camera]}


def _broken(of: Mapping[str, Any]) -> Iterator[str]:
    share = sum(of["of a core"].values())
    if share > _MOST_IDLE:
        yield f"idle: {100 * share:.1f} % of a core, limit {100 * _MOST_IDLE:g} %"
    for name in of["idle"]:
        idle, after = of["idle"][name], of["after parts"][name]
        if after["descriptors"] > idle["descriptors"] + _MOST_NEW_DESCRIPTORS:
            yield f"{name}: {idle['descriptors']} descriptors became {after['descriptors']}"
        if after["PSS [MB]"] > idle["PSS [MB]"] + _MOST_GROWN_MB:
            yield f"{name}: {idle['PSS [MB]']:.0f} MB became {after['PSS [MB]']:.0f} MB, PSS"


def _print(starts: dict[str, list[dict[str, float]]], idle: dict[str, dict[str, Any]]) -> None:
    table(
        "From the start of the process until it is ready, and the inspector's stages [s], median (lowest to highest)",
        ("", "ready", *_STAGES),
        [
            (name, *(with_spread([of.get(stage, 0.0) for of in found]) for stage in ("ready", *_STAGES)))
            for name, found in starts.items()
        ],
    )
    table(
        "Idle, and what both processes hold; after start / idle / after parts",
        ("", "idle, % of a core", *_HELD),
        [
            (
                f"{name}: {process} ({of['parts']} parts)",
                100 * of["of a core"][process],
                *(" / ".join(f"{of[when][process][held]:.0f}" for when in _WHEN) for held in _HELD),
            )
            for name, of in idle.items()
            for process in of["of a core"]
        ],
    )
