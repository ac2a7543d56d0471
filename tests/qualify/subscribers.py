"""What many subscribers cost, and one that never reads: published to received, of the slowest of them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.qualify.driver import Driver
from tests.qualify.inspector import Plan
from tests.qualify.process import SOFTWARE, StationProcess
from tests.qualify.report import REPOSITORY, median_and_spread, table, with_spread
from tests.qualify.resources import resources_of

TITLE = "1, 10 and 100 subscribers, and one that never reads"

_ROUNDS = 3
_SECONDS = {30.0: 10.0, 300.0: 6.0}
_END_S = 20.0
# More than may wait for one reader (20,000) and in the sockets on the way.
_FLOOD = 30_000


@dataclass(frozen=True)
class Crowd:
    """So many that read, and so many that subscribe and never read."""

    readers: int
    idle: int
    rate_hz: float

    @property
    def name(self) -> str:
        return f"{self.readers}{' and one that never reads' if self.idle else ''}, {self.rate_hz:g}/s"


CROWDS = (*(Crowd(readers, 0, rate) for readers in (1, 10, 100) for rate in _SECONDS), Crowd(10, 1, 300.0))


def run(out: Path, scale: float) -> dict[str, Any]:
    """Let the crowds take turns on one station."""
    rounds = max(1, round(_ROUNDS * min(scale * 2, 1)))
    shorter = min(1.0, _ROUNDS * scale / rounds)
    p50: dict[str, list[float]] = {crowd.name: [] for crowd in CROWDS}
    slowest: dict[str, list[float]] = {crowd.name: [] for crowd in CROWDS}
    whole: dict[str, list[float]] = {crowd.name: [] for crowd in CROWDS}
    with tempfile.TemporaryDirectory(prefix="edge-s-") as name:
        settings = {"cameras": [SOFTWARE], "budget_ms": 2000}
        with StationProcess(Path(name), settings, Plan()) as station:
            station.wait_ready()
            with Driver(station.results, station.control) as driver:
                for _ in range(rounds):
                    for crowd in CROWDS:
                        took_ms, whole_ms = measure(station, driver, crowd, Path(name) / "took", shorter)
                        p50[crowd.name].append(float(np.median(np.concatenate(took_ms))))
                        slowest[crowd.name].append(max(float(np.percentile(one, 99)) for one in took_ms))
                        whole[crowd.name].append(float(np.percentile(whole_ms, 99)))
                flood = _flooded(station, driver, Path(name) / "took", scale)
    table(
        f"Published to received [ms], stand-in over the real link; median of {rounds} rounds (lowest to highest)",
        ("subscribers, rate", "p50 of all", "p99 of the slowest", "trigger to published p99"),
        [(name, *(with_spread(of[name]) for of in (p50, slowest, whole))) for name in p50],
    )
    table(
        "One that never reads, while 30,000 verdicts pass",
        ("", ""),
        [(key, value) for key, value in flood.items()],
    )
    return {
        "p50 [ms]": {name: median_and_spread(of) for name, of in p50.items()},
        "p99 of the slowest [ms]": {name: median_and_spread(of) for name, of in slowest.items()},
        "trigger to published p99 [ms]": {name: median_and_spread(of) for name, of in whole.items()},
        "never reads": flood,
    }


def measure(
    station: StationProcess, driver: Driver, crowd: Crowd, file: Path, scale: float
) -> tuple[list[list[float]], list[float]]:
    """Return what each subscriber measured, and trigger to published [ms]."""
    with _listening(station, crowd, file):
        seen = driver.run(crowd.rate_hz, max(1.0, _SECONDS[crowd.rate_hz] * scale))
    took_ms = [[us / 1000 for us in one] for one in json.loads(file.read_text(encoding="utf-8"))]
    missing = [len(one) for one in took_ms if len(one) < len(seen)]
    assert not missing, f"of {len(seen)} verdicts some subscribers got {missing}"
    return took_ms, [(one.verdict.published_us - one.verdict.trigger_us) / 1000 for one in seen]


def _flooded(station: StationProcess, driver: Driver, file: Path, scale: float) -> dict[str, Any]:
    """Fill what may wait for a reader that never reads; say what the station pays for it."""
    count = max(500, round(_FLOOD * min(scale, 1.0)))
    before_mb = resources_of(station.pid).rss_mb
    with _listening(station, Crowd(1, 1, 300.0), file):
        took_s, _ = driver.pipelined(count, 128)
        filled_mb = resources_of(station.pid).rss_mb
    driver.run(30.0, 2.0)
    return {
        "verdicts": count,
        "verdicts/s meanwhile": round(count / took_s),
        "station RSS before [MB]": round(before_mb, 1),
        "with all that waits [MB]": round(filled_mb, 1),
        "after it has gone [MB]": round(resources_of(station.pid).rss_mb, 1),
    }


@contextlib.contextmanager
def _listening(station: StationProcess, crowd: Crowd, file: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.qualify.listeners", station.results]
    process = subprocess.Popen(
        [*command, str(crowd.readers), str(crowd.idle), str(file)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        process.terminate()
        assert process.wait(_END_S) == 0
