"""
How exactly a part whose inspector fails is answered at its deadline, seen from outside.

The stand-in over the real link: stopped (SIGSTOP), spinning in Python, in C calls that hold the interpreter lock, and
killed. Parts by request, and parts of a camera that triggers by itself: their deadline counts from the moment the
camera stamped, and they are first heard of when its thread gets the interpreter lock.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.clock import SYSTEM_CLOCK
from edge.records import Reason
from tests.qualify.driver import Driver, Seen, driven
from tests.qualify.inspector import Plan
from tests.qualify.process import NUMBERED, SOFTWARE, StationProcess
from tests.qualify.report import CONSOLE, oversleep, percentiles, table

TITLE = "UNKNOWN(late) against its deadline, with an inspector that is stopped, spins, holds the lock, or is killed"

LIMIT_US = 2000
_RATE_HZ = 50.0
_BUDGET_MS = 200
# A hung inspector is to hang, not to be replaced.
_HANG_S = 600.0
_IN_HAND = 20
_CAMERAS = {"software": SOFTWARE, "camera": NUMBERED}

Kind = str
"""``software`` or ``camera``: what triggers."""


@dataclass(frozen=True)
class Failure:
    """
    Attributes:
        promised: False where a part of a camera may be first heard of after its deadline.
    """

    name: str
    plan: Plan
    stopped: bool = False
    promised: bool = True


def _mute(**values: Any) -> Plan:
    return Plan(service_us=None, rate_hz=_RATE_HZ, **values)


FAILURES = (
    Failure("alive, no result", _mute()),
    Failure("stopped (SIGSTOP)", _mute(), stopped=True),
    Failure("spinning in Python", _mute(engine="spins")),
    Failure("C calls of 50 ms that hold the lock", _mute(engine="holds", hold_us=50_000)),
    Failure("C calls of 300 ms that hold the lock", _mute(engine="holds", hold_us=300_000), promised=False),
)


def run(out: Path, scale: float) -> dict[str, Any]:
    """Measure each way of failing for both kinds of triggers, 500 parts each at scale 1."""
    parts = max(25, round(500 * scale))
    machine = oversleep()
    late = {f"{kind}: {failure.name}": measure(failure, kind, parts) for failure in FAILURES for kind in _CAMERAS}
    killed = {kind: measure_killed(kind, max(2, round(25 * scale))) for kind in _CAMERAS}
    _print(late, killed, machine)
    return {
        "machine": machine,
        "late": late,
        "killed": killed,
        "broken": [line for name, of in late.items() for line in _broken(name, of)],
    }


def measure(failure: Failure, kind: Kind, parts: int) -> dict[str, Any]:
    """Return how far from their deadlines the parts' verdicts were published, and seen."""
    with _driven(failure.plan, kind, _BUDGET_MS) as (station, driver):
        driving = _own if kind == "camera" else _fired
        seen = driving(station, driver, parts, failure.stopped)
    late = [one for one in seen if one.verdict.reason is Reason.LATE]
    return {
        "parts": len(seen),
        "late": len(late),
        "journaled": sum(one.verdict.journaled for one in late),
        "promised": failure.promised or kind == "software",
        "published [us]": percentiles([one.verdict.published_us - one.verdict.deadline_us for one in late]),
        "seen [us]": percentiles([one.received_us - one.verdict.deadline_us for one in late]),
    }


def measure_killed(kind: Kind, kills: int) -> dict[str, Any]:
    """Return the time from SIGKILL to the verdicts of the parts that the inspector had in hand."""
    published: list[float] = []
    seen: list[float] = []
    with _driven(_mute(), kind, budget_ms=20_000) as (station, driver):
        for _ in range(kills):
            station.wait_ready()
            if kind == "software":
                driver.trigger(_IN_HAND)
            driver.listen(_IN_HAND / _RATE_HZ)
            killed_us = SYSTEM_CLOCK.now_us()
            _signal(station, signal.SIGKILL)
            in_hand = [one for one in driver.listen(0.5) if one.verdict.trigger_us < killed_us]
            assert all(one.verdict.reason is Reason.ENGINE for one in in_hand), in_hand
            published += [one.verdict.published_us - killed_us for one in in_hand]
            seen += [one.received_us - killed_us for one in in_hand]
    return {"kills": kills, "published [us]": percentiles(published), "seen [us]": percentiles(seen)}


@contextlib.contextmanager
def _driven(plan: Plan, kind: Kind, budget_ms: int) -> Iterator[tuple[StationProcess, Driver]]:
    settings = {
        "cameras": [_CAMERAS[kind]],
        "budget_ms": budget_ms,
        "hang_s": _HANG_S,
        "retry_s": 0.1,
        "retry_limit_s": 0.1,
    }
    with driven(settings, plan) as (station, driver):
        yield station, driver
        # One that is stopped or hangs would keep the station waiting for its end.
        _signal(station, signal.SIGKILL)


def _fired(station: StationProcess, driver: Driver, parts: int, stopped: bool) -> list[Seen]:
    if stopped:
        _signal(station, signal.SIGSTOP)
    return driver.run(_RATE_HZ, parts / _RATE_HZ)


def _own(station: StationProcess, driver: Driver, parts: int, stopped: bool) -> list[Seen]:
    counted: list[Seen] = []
    while not stopped and len(counted) < parts:
        counted += driver.listen(0.5)
    while len(counted) < parts:
        # Again and again: what it had reported by then counts, if its deadline comes before it goes on.
        driver.listen(2 * _BUDGET_MS / 1000)
        stopped_us = SYSTEM_CLOCK.now_us()
        _signal(station, signal.SIGSTOP)
        seen = driver.listen(2 * _BUDGET_MS / 1000)
        _signal(station, signal.SIGCONT)
        counted += [one for one in seen if one.verdict.deadline_us >= stopped_us]
    return counted


def _signal(station: StationProcess, number: signal.Signals) -> None:
    inspector = station.inspector()
    if inspector is None:
        raise RuntimeError(f"the station has no inspector; see {station.log}")
    os.kill(inspector, number)


def _broken(name: str, of: dict[str, Any]) -> Iterator[str]:
    if of["late"] != of["parts"]:
        yield f"{name}: {of['late']} of {of['parts']} parts are UNKNOWN(late)"
    if of["promised"] and of["published [us]"]["p99"] > LIMIT_US:
        yield f"{name}: published {of['published [us]']['p99']:.0f} us after the deadline at p99, limit {LIMIT_US}"


def _print(late: dict[str, dict[str, Any]], killed: dict[str, dict[str, Any]], machine: dict[str, float]) -> None:
    names = ("p50", "p99", "p99.9", "max")
    table(
        f"UNKNOWN(late): after the deadline [ms]; budget {_BUDGET_MS} ms, {_RATE_HZ:g} parts/s; stand-in",
        ("inspector", "parts", *(f"published {n}" for n in names), *(f"seen {n}" for n in names)),
        [
            (name, of["parts"], *(of[what][n] / 1000 for what in ("published [us]", "seen [us]") for n in names))
            for name, of in late.items()
        ],
    )
    table(
        f"UNKNOWN(engine): after SIGKILL of the inspector with {_IN_HAND} parts in hand [ms]",
        ("triggers", "parts", *(f"published {n}" for n in names), *(f"seen {n}" for n in names)),
        [
            (
                kind,
                of["seen [us]"]["n"],
                *(of[what][n] / 1000 for what in ("published [us]", "seen [us]") for n in names),
            )
            for kind, of in killed.items()
        ],
    )
    CONSOLE.print(
        "\nFor comparison, how late this machine wakes a process that does nothing else: "
        + ", ".join(f"{name} {machine[name] / 1000:.2f} ms" for name in names),
        markup=False,
    )
