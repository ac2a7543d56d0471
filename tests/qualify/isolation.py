"""
Cores and memory of its own: what they bring a station on a machine that does other things too.

The real station and inspector, one part at a time, by request. Every way is tried once in each round, so that what the
machine does meanwhile falls on all of them alike.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.records import Outcome
from tests.qualify.burden import MemoryGroup, resident_bytes, spinning, swap
from tests.qualify.driver import Driver
from tests.qualify.process import DEMO, SOFTWARE, StationProcess
from tests.qualify.report import CONSOLE, percentiles, table

TITLE = "a station with and without cores and memory of its own, beside processes that want both"

_ROUNDS = 5
_RATE_HZ = 5.0
_SECONDS = 12.0
# Long, so that each part shows what it took; what a line of 100 ms would have made of it is counted.
_BUDGET_MS = 5000
_LATE_MS = 100
_HEADROOM_BYTES = 192 << 20
_CROWD_BYTES = 512 << 20
_AS_SERVICE = ("nice", "-n", "-5")
"""What the unit says."""

Burden = Callable[[], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class Way:
    """
    Attributes:
        process: the table [process] of the settings.
        under: command that the station is started under.
        burden: what else the machine does.
    """

    name: str
    process: Mapping[str, Any]
    burden: Burden
    under: tuple[str, ...] = ()


def run(out: Path, scale: float) -> dict[str, Any]:
    """Measure all ways, five rounds of 60 parts each at scale 1."""
    rounds = max(2, round(_ROUNDS * min(2 * scale, 1.0)))
    seconds = max(3.0, _SECONDS * scale)
    cores = measure(_core_ways(), rounds, seconds, out)
    _print("cores", "processes that spin", cores)
    memory = _memory(rounds, seconds, out)
    return {"cores": cores, "memory": memory}


def measure(ways: Sequence[Way], rounds: int, seconds: float, out: Path) -> dict[str, Any]:
    """Return by way: percentiles over all rounds [ms], the median of each round, parts that were late or UNKNOWN."""
    took: dict[str, list[list[float]]] = {way.name: [] for way in ways}
    wrong = dict.fromkeys(took, 0)
    held = dict.fromkeys(took, 0.0)
    for _ in range(rounds):
        for way in ways:
            with _station(way, out) as station, Driver(station.results, station.control) as driver:
                driver.run(_RATE_HZ, 1.0)
                with way.burden():
                    driver.run(_RATE_HZ, 2.0)  # It takes a moment until memory is scarce.
                    seen = driver.run(_RATE_HZ, seconds)
                inspector = station.inspector()
                held[way.name] = resident_bytes(station.pid, inspector or station.pid) / 2**20
            took[way.name].append([(one.verdict.published_us - one.verdict.trigger_us) / 1000 for one in seen])
            wrong[way.name] += sum(one.verdict.outcome is Outcome.UNKNOWN for one in seen)
    return {
        name: {
            "latency [ms]": percentiles([ms for of in in_rounds for ms in of]),
            "medians [ms]": [float(np.median(of)) for of in in_rounds],
            "p99s [ms]": [float(np.percentile(of, 99)) for of in in_rounds],
            "late": sum(ms > _LATE_MS for of in in_rounds for ms in of),
            "memory [MB]": held[name],
            "unknown": wrong[name],
        }
        for name, in_rounds in took.items()
    }


def _core_ways() -> list[Way]:
    cores = sorted(os.sched_getaffinity(0))
    ours, others = cores[-1:], cores[:-1] or cores
    own = {"station_cpus": str(ours[0]), "inspector_cpus": str(ours[0])}
    everywhere: Burden = lambda: spinning(2 * len(cores), cores)  # noqa: E731

    @contextlib.contextmanager
    def elsewhere() -> Iterator[None]:
        os.sched_setaffinity(0, others)  # This process is one of them.
        try:
            with spinning(2 * len(cores), others):
                yield
        finally:
            os.sched_setaffinity(0, cores)

    return [
        Way("quiet", {}, contextlib.nullcontext),
        Way("spinning everywhere", {}, everywhere),
        Way("spinning everywhere; Nice=-5", {}, everywhere, _AS_SERVICE),
        Way("spinning everywhere; a core of its own", own, everywhere),
        Way("spinning everywhere; a core of its own, Nice=-5", own, everywhere, _AS_SERVICE),
        Way("the others kept off its core", own, elsewhere),
    ]


def _memory(rounds: int, seconds: float, out: Path) -> dict[str, Any]:
    group = MemoryGroup()
    if group.why_not:
        CONSOLE.print(f"\nmemory: not measured here: {group.why_not}", markup=False)
        return {}
    with swap() as where, group:
        measured = measure(_memory_ways(group, out), rounds, seconds, out)
    _print("memory", f"a process that goes through more than there is; swap on {where}", measured)
    return measured


def _memory_ways(group: MemoryGroup, out: Path) -> list[Way]:
    with _station(Way("", {}, contextlib.nullcontext), out) as station:
        needed = resident_bytes(station.pid, station.inspector() or station.pid)

    @contextlib.contextmanager
    def scarce() -> Iterator[None]:
        group.limit(needed + _HEADROOM_BYTES)
        with group.crowded(_CROWD_BYTES):
            yield
        group.limit(1 << 40)

    return [
        Way("enough for all", {}, contextlib.nullcontext, group.under),
        Way("scarce", {}, scarce, group.under),
        Way("scarce; lock_memory", {"lock_memory": True}, scarce, group.under),
    ]


@contextlib.contextmanager
def _station(way: Way, out: Path) -> Iterator[StationProcess]:
    # Engines are proven once: a start is no part of this.
    settings = {
        **DEMO,
        "cameras": [SOFTWARE],
        "budget_ms": _BUDGET_MS,
        "hang_s": 60.0,
        "process": dict(way.process),
        "engine_cache": (out / "isolation" / "engines").absolute(),
    }
    with (
        tempfile.TemporaryDirectory(prefix="edge-q-") as folder,
        StationProcess(Path(folder), settings, None, under=way.under) as station,
    ):
        station.wait_ready()
        yield station


def _print(what: str, beside: str, measured: Mapping[str, Mapping[str, Any]]) -> None:
    names = ("p50", "p99", "p99.9", "max")
    first, *_ = measured.values()
    table(
        f"{what}: trigger to published [ms], beside {beside}; {_RATE_HZ:g} parts/s",
        ("", "parts", *names, "p99 / p99 of the first", f"over {_LATE_MS} ms", "UNKNOWN", "memory [MB]"),
        [
            (
                name,
                of["latency [ms]"]["n"],
                *(of["latency [ms]"][n] for n in names),
                float(np.median(of["p99s [ms]"]) / np.median(first["p99s [ms]"])),
                of["late"],
                of["unknown"],
                round(of["memory [MB]"]),
            )
            for name, of in measured.items()
        ],
    )
