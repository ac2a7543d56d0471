"""
The outside witness: under load, station, inspector and consumer are killed at random and started again.

A generator that forgets no trigger and a consumer that writes down what it gets are processes of their own; at the end
their files, the journal and the ledger are compared. Software triggers from the generator, and in the same station a
camera of the stand-in that triggers by itself.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tests.qualify.books import Books
from tests.qualify.inspector import Plan
from tests.qualify.judgement import Judgement
from tests.qualify.process import DEMO, NUMBERED, SOFTWARE, StationProcess
from tests.qualify.report import percentiles, table

TITLE = "200 random SIGKILLs of station, inspector and consumer under load"

_VICTIMS = ("station", "inspector", "consumer")
_TINY_S = 0.02
_NEVER_HZ = 1e-4


@dataclass
class Scene:
    """What is killed, and what was seen of it."""

    station: StationProcess
    books: Books
    rng: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    ready_ms: dict[str, list[float]] = field(default_factory=lambda: {"station": [], "inspector": []})

    def kill_one(self, patient: bool) -> None:
        """Kill one of them and play the service manager; *patient*: wait until the station is ready again."""
        victim = self.rng.choice(_VICTIMS)
        inspector = self.station.inspector()
        if victim == "inspector" and inspector is None:
            victim = "station"
        self.kills[victim] += 1
        killed_s = time.monotonic()
        if victim == "consumer":
            self.books.require_consumer()
            self.books.kill_consumer()
            self.books.start_consumer()
            return
        if victim == "station":
            self.station.kill()
            self.station.start()
        else:
            assert inspector is not None
            # It may have ended by itself since; then the station notices that.
            with contextlib.suppress(ProcessLookupError):
                os.kill(inspector, signal.SIGKILL)
        if patient:
            time.sleep(_TINY_S)  # The heartbeat before the station has noticed does not count.
            ready_us = self.station.wait_ready()
            self.ready_ms[victim].append(ready_us / 1000 - 1000 * killed_s)


@dataclass(frozen=True)
class Load:
    """
    One run of the witness.

    Attributes:
        pause_s: shortest and longest time between two kills.
        impatience: share of kills that do not wait until the station is ready.
    """

    kills: int
    rate_hz: float
    pause_s: tuple[float, float]
    impatience: float
    plan: Plan | None
    settings: dict[str, Any]


STAND_IN = {"cameras": [SOFTWARE, NUMBERED], "budget_ms": 500, "start": "wait", "retry_s": 0.1, "retry_limit_s": 1.0}
REAL = {"cameras": [SOFTWARE], "budget_ms": 1000, "start": "wait", "retry_s": 0.1, "retry_limit_s": 1.0, **DEMO}


def run(out: Path, scale: float) -> dict[str, Any]:
    """Run with the stand-in, then with the real inspector; return both judgements."""
    real_kills = max(2, round(24 * scale))
    kills = max(6, round(200 * scale) - real_kills)
    loads = {
        "stand-in": Load(kills, 80, (0.1, 1.2), 0.25, Plan(service_us=3000, rate_hz=30), STAND_IN),
        "real": Load(real_kills, 8, (1.0, 4.0), 0.1, None, REAL),
    }
    judged = {name: witness(load, seed=20) for name, load in loads.items()}
    table(
        "Outside witness (seed 20). Stand-in over the real link: 80 software triggers/s and a self-triggering camera at"
        " 30/s; real: the real inspector, demo bundle, 8 software triggers/s.",
        ["", *judged],
        [
            (name, *(_said(of[name]) for of in judged.values()))
            for name in next(iter(judged.values()))
            if name != "broken"
        ],
    )
    return {"runs": judged, "broken": [f"{name}: {line}" for name, of in judged.items() for line in of["broken"]]}


def witness(load: Load, seed: int) -> dict[str, Any]:
    """Kill and start again under load; return what was proven, with ``broken``."""
    with tempfile.TemporaryDirectory(prefix="edge-w-") as name:
        folder = Path(name)
        with StationProcess(folder, load.settings, load.plan) as station:
            station.wait_ready()
            scene = Scene(station, Books(station, folder), random.Random(seed))
            scene.books.start_consumer()
            try:
                with scene.books.generating(load.rate_hz):
                    _kill(scene, load)
                    station.wait_ready()
                _restart_in_order(station)
                judgement = scene.books.closed()
            finally:
                scene.books.kill_consumer()
    return _figures(judgement, scene)


def _kill(scene: Scene, load: Load) -> None:
    for _ in range(load.kills):
        time.sleep(scene.rng.uniform(*load.pause_s))
        scene.kill_one(patient=scene.rng.random() >= load.impatience)


def _restart_in_order(station: StationProcess) -> None:
    """The stand-in's own camera goes on for ever: a last clean restart brings one that sees nothing more."""
    code = station.stop()
    if code != 0:
        raise RuntimeError(f"the station ended with code {code}; see {station.log}")
    station.plan = None if station.plan is None else msgspec.structs.replace(station.plan, rate_hz=_NEVER_HZ)
    station.start()
    station.wait_ready()


def _figures(judgement: Judgement, scene: Scene) -> dict[str, Any]:
    return {
        "kills": dict(scene.kills),
        "triggers": judgement.triggers,
        "verdicts": judgement.verdicts,
        "lost": judgement.lost,
        "two verdicts": judgement.twice,
        "repeated to the consumer": judgement.repeated,
        "out of order": judgement.disordered,
        "missed": judgement.missed,
        "frames of the camera without a verdict": judgement.frames_lost,
        "acknowledged without journal": judgement.unkept,
        "refused": judgement.refused,
        "superseded": judgement.superseded,
        "ledger": judgement.ledger or "balanced",
        "outcomes": judgement.outcomes,
        "station ready [ms]": percentiles(scene.ready_ms["station"]),
        "inspector ready [ms]": percentiles(scene.ready_ms["inspector"]),
        "broken": judgement.broken,
    }


def _said(value: object) -> str:
    if isinstance(value, dict):
        shown = {key: value[key] for key in ("n", "p50", "max")} if "p50" in value else value
        return ", ".join(f"{key} {figure:.0f}" for key, figure in shown.items())
    return str(value)
