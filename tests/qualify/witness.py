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
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from edge.control import Requester, new_id
from edge.records import Verdict
from edge.requests import AskStatus, Ledger, LedgerAnswer, Replay, StatusAnswer
from tests.qualify.inspector import Plan
from tests.qualify.judgement import Judgement, judge, lives_from_file, triggers_from_file
from tests.qualify.process import DEMO, NUMBERED, SOFTWARE, StationProcess
from tests.qualify.report import REPOSITORY, percentiles, table

TITLE = "200 random SIGKILLs of station, inspector and consumer under load"

_PATIENCE_S = 60.0
_VICTIMS = ("station", "inspector", "consumer")
_TINY_S = 0.02
_NEVER_HZ = 1e-4


@dataclass
class Scene:
    """What is killed, and what was seen of it."""

    station: StationProcess
    folder: Path
    rng: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    ready_ms: dict[str, list[float]] = field(default_factory=lambda: {"station": [], "inspector": []})
    consumer: subprocess.Popen[bytes] | None = None

    def start_consumer(self) -> None:
        self.consumer = _python("consumer", self.station.results, self.station.control, str(self.folder / "consumed"))

    def kill_one(self, patient: bool) -> None:
        """Kill one of them and play the service manager; *patient*: wait until the station is ready again."""
        victim = self.rng.choice(_VICTIMS)
        inspector = self.station.inspector()
        if victim == "inspector" and inspector is None:
            victim = "station"
        self.kills[victim] += 1
        killed_s = time.monotonic()
        if victim == "consumer":
            self._require_consumer()
            self.kill_consumer()
            self.start_consumer()
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

    def kill_consumer(self) -> None:
        """Kill it if it runs."""
        if self.consumer is not None:
            self.consumer.kill()
            self.consumer.wait()

    def _require_consumer(self) -> None:
        code = None if self.consumer is None else self.consumer.poll()
        if code is not None:
            raise RuntimeError(f"the consumer ended by itself with code {code}")


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
            scene = Scene(station, folder, random.Random(seed))
            scene.start_consumer()
            try:
                with _generating(station, folder, load.rate_hz) as generator:
                    _kill(scene, load)
                    station.wait_ready()
                    _end(generator)
                journal, ledger = _settle(scene)
            finally:
                scene.kill_consumer()
        judgement = judge(
            triggers_from_file(folder / "triggers"), lives_from_file(folder / "consumed"), journal, ledger
        )
    return _figures(judgement, scene)


def _kill(scene: Scene, load: Load) -> None:
    for _ in range(load.kills):
        time.sleep(scene.rng.uniform(*load.pause_s))
        scene.kill_one(patient=scene.rng.random() >= load.impatience)


def _settle(scene: Scene) -> tuple[list[Verdict], LedgerAnswer]:
    """Let everything be answered and consumed; return the journal and the ledger."""
    station = scene.station
    # The stand-in's own camera goes on for ever: a last clean restart brings one that sees nothing more.
    code = station.stop()
    if code != 0:
        raise RuntimeError(f"the station ended with code {code}; see {station.log}")
    station.plan = None if station.plan is None else msgspec.structs.replace(station.plan, rate_hz=_NEVER_HZ)
    station.start()
    station.wait_ready()
    with Requester(station.control) as requester:
        status = requester.demand(AskStatus(version=1, id=new_id()), StatusAnswer, 5.0).status
        _await_consumed(scene, status.seq)
        assert scene.consumer is not None
        _end(scene.consumer)
        ledger = requester.demand(Ledger(version=1, id=new_id(), shifts=0), LedgerAnswer, 5.0)
        return _journal(requester), ledger


def _await_consumed(scene: Scene, seq: int) -> None:
    consumed = scene.folder / "consumed"
    give_up = time.monotonic() + _PATIENCE_S
    while not any(life.got and life.got[-1].seq >= seq for life in lives_from_file(consumed)[-1:]):
        if time.monotonic() > give_up:
            raise TimeoutError(f"the consumer has not got verdict {seq} after {_PATIENCE_S:g} s")
        time.sleep(0.2)


def _journal(requester: Requester) -> list[Verdict]:
    """Read every verdict, page by page."""
    verdicts: list[Verdict] = []
    epoch = seq = 0
    while True:
        answer, page = requester.replay(Replay(version=1, id=new_id(), epoch=epoch, seq=seq, limit=1000), 10.0)
        verdicts += page
        if answer.end and not answer.count:
            return verdicts
        epoch, seq = answer.epoch, answer.seq


@contextlib.contextmanager
def _generating(station: StationProcess, folder: Path, rate_hz: float) -> Iterator[subprocess.Popen[bytes]]:
    process = _python("generator", station.control, str(folder / "triggers"), str(rate_hz))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _python(module: str, *args: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", f"tests.qualify.{module}", *args], cwd=REPOSITORY)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end by itself, which it does when nothing is left to do."""
    process.terminate()
    code = process.wait(_PATIENCE_S)
    if code != 0:
        raise RuntimeError(f"{process.args!r} ended with code {code}")


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
