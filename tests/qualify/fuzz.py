"""
100,000 malformed requests and messages against a station that inspects: it stays, holds no more than before, and
answers its parts as fast.

Undisturbed and disturbed take turns; then a peer floods it with good requests and never reads an answer. Station over
tcp, stand-in over the real link. The peers are niced: on the machine of the line there are none.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import zmq

from edge.control import Requester, new_id
from edge.records import Status
from edge.requests import AskStatus, StatusAnswer
from edge.wire import frame_from_request
from tests.qualify.driver import Driver, Seen
from tests.qualify.inspector import Plan
from tests.qualify.process import SOFTWARE, StationProcess
from tests.qualify.report import REPOSITORY, percentiles, table, with_spread
from tests.qualify.resources import Resources, resources_of

TITLE = "100,000 malformed messages, half-open connections and floods"

_MESSAGES = 100_000
_ROUNDS = 10
_STOCK = 3000
_RATE_HZ = 600.0
_TRIGGERS_HZ = 60.0
_FLOOD_S = 5.0
_FLOOD_PEERS = 3
_END_S = 120.0
# libzmq lets a peer go that says nothing after 5 s.
_LET_GO_S = 8.0
_LIMIT_RATIO = 1.10
_LIMIT_MB = 30.0
_LIMIT_DESCRIPTORS = 3


def run(out: Path, scale: float) -> dict[str, Any]:
    """Fuzz, flood, and compare."""
    rounds = max(1, min(_ROUNDS, round(_ROUNDS * scale * 2)))
    return fuzz(rounds, max(200, round(_MESSAGES * scale / rounds)), max(1.0, _FLOOD_S * min(scale, 1.0)))


def fuzz(rounds: int, count: int, flood_s: float) -> dict[str, Any]:
    """Let rounds of *count* messages and undisturbed ones take turns, then flood; return figures and what is broken."""
    calm: list[list[Seen]] = []
    fuzzed: list[list[Seen]] = []
    sent: Counter[str] = Counter()
    with tcp_station() as (station, driver):
        with fuzzing(station) as fuzzer:
            driver.run(_TRIGGERS_HZ, 2.0)
            send_fuzz(fuzzer, driver, min(count, 1000))  # Caches that any request fills are no leak.
            before, first = resources_of(station.pid), _status(station)
            for _ in range(rounds):
                calm.append(driver.run(_TRIGGERS_HZ, count / _RATE_HZ))
                seen, kinds = send_fuzz(fuzzer, driver, count)
                fuzzed.append(seen)
                sent += kinds
        driver.listen(_LET_GO_S)
        after = resources_of(station.pid)
        flooded = _flooded(station, driver, flood_s)
        driver.listen(_LET_GO_S)
        flood_mb = resources_of(station.pid).rss_mb - after.rss_mb
        last = _status(station)
    figures = _figures(calm, fuzzed, flooded, sent)
    figures |= {"before": vars(before), "after": vars(after), "flood [MB]": flood_mb}
    figures["broken"] = list(_broken(before, after, flood_mb, first, last))
    _print(figures, before, after)
    return figures


@contextlib.contextmanager
def tcp_station() -> Iterator[tuple[StationProcess, Driver]]:
    """Yield a station over tcp that is ready, and its driver."""
    settings = {"cameras": [SOFTWARE], "budget_ms": 2000}
    with tempfile.TemporaryDirectory(prefix="edge-f-") as folder:
        station = StationProcess(Path(folder), settings, Plan(service_us=2000), tcp=True)
        with station:
            station.wait_ready()
            with Driver(station.results, station.control) as driver:
                yield station, driver


@contextlib.contextmanager
def fuzzing(station: StationProcess, stock: int = _STOCK) -> Iterator[subprocess.Popen[str]]:
    """Yield a fuzzer that has made its stock of so many messages, some more."""
    told = station.control, station.results, str(_RATE_HZ), "1", str(stock)
    command = [sys.executable, "-m", "tests.qualify.fuzzer", *told]
    with _niced(command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.communicate(timeout=_END_S)
    assert process.returncode == 0, f"the fuzzer ended with code {process.returncode}"


def send_fuzz(fuzzer: subprocess.Popen[str], driver: Driver, count: int) -> tuple[list[Seen], Counter[str]]:
    """Trigger parts while the other process fuzzes; return their verdicts, and what was sent, by kind."""
    assert fuzzer.stdin is not None
    assert fuzzer.stdout is not None
    fuzzer.stdin.write(f"{count}\n")
    fuzzer.stdin.flush()
    seen = driver.run(_TRIGGERS_HZ, count / _RATE_HZ)
    return seen, Counter(json.loads(fuzzer.stdout.readline()))


def _niced(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["nice", "-n", "10", *command], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _flooded(station: StationProcess, driver: Driver, seconds: float) -> list[Seen]:
    """Some peers send good requests as fast as they can and read nothing."""
    with _niced([sys.executable, "-m", "tests.qualify.fuzz", station.control, str(_FLOOD_PEERS)]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        seen = driver.run(_TRIGGERS_HZ, seconds)
        process.kill()
    return seen


def flood(control: str, peers: int) -> None:
    """Ask for the status for ever, from several connections, and never read an answer."""
    with zmq.Context() as context:
        sockets = [context.socket(zmq.DEALER) for _ in range(peers)]
        for socket in sockets:
            socket.rcvhwm = 1
            socket.connect(control)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            for socket in sockets:
                with contextlib.suppress(zmq.Again):
                    socket.send(frame_from_request(AskStatus(version=1, id=new_id())), zmq.NOBLOCK)


def _status(station: StationProcess) -> Status:
    with Requester(station.control) as requester:
        return requester.demand(AskStatus(version=1, id=new_id()), StatusAnswer).status


def _whole_us(seen: Sequence[Seen]) -> list[int]:
    return [one.verdict.published_us - one.verdict.trigger_us for one in seen]


def _figures(
    calm: list[list[Seen]], fuzzed: list[list[Seen]], flooded: list[Seen], sent: Counter[str]
) -> dict[str, Any]:
    every = {"undisturbed": list(chain(*calm)), "fuzzed": list(chain(*fuzzed)), "flooded": flooded}
    whole = {name: percentiles(_whole_us(seen)) for name, seen in every.items()}
    by_round = [
        percentiles(_whole_us(after))["p99"] / percentiles(_whole_us(before))["p99"]
        for before, after in zip(calm, fuzzed, strict=True)
    ]
    return {
        "sent": dict(sent),
        "trigger to published [us]": whole,
        "p99 ratio by round": by_round,
        "p99 ratio": whole["fuzzed"]["p99"] / whole["undisturbed"]["p99"],
        "unknown": {name: sum(one.verdict.reason is not None for one in seen) for name, seen in every.items()},
    }


def _broken(before: Resources, after: Resources, flood_mb: float, first: Status, last: Status) -> Iterator[str]:
    if (first.epoch, first.inspector) != (last.epoch, last.inspector):
        yield "the station or its inspector was started anew"
    if after.descriptors > before.descriptors + _LIMIT_DESCRIPTORS:
        yield f"{before.descriptors} descriptors became {after.descriptors}"
    if after.rss_mb > before.rss_mb + _LIMIT_MB:
        yield f"RSS {before.rss_mb:.0f} MB became {after.rss_mb:.0f}"
    if flood_mb > _LIMIT_MB:
        yield f"the flood left {flood_mb:.0f} MB behind, limit {_LIMIT_MB:g}"


def _print(figures: dict[str, Any], before: Resources, after: Resources) -> None:
    table(
        f"Trigger to published [ms] at {_TRIGGERS_HZ:g} triggers/s, stand-in (2 ms), tcp; "
        f"{sum(figures['sent'].values())} messages at {_RATE_HZ:g}/s ({figures['sent']})",
        ("", "parts", "p50", "p99", "max", "UNKNOWN"),
        [
            (name, of["n"], of["p50"] / 1000, of["p99"] / 1000, of["max"] / 1000, figures["unknown"][name])
            for name, of in figures["trigger to published [us]"].items()
        ],
    )
    table(
        "Afterwards",
        ("", "before", "after"),
        [
            ("station RSS [MB]", before.rss_mb, after.rss_mb),
            ("descriptors", before.descriptors, after.descriptors),
            ("threads", before.threads, after.threads),
            ("left behind by the flood [MB]", "", figures["flood [MB]"]),
            (f"p99 fuzzed / undisturbed (limit {_LIMIT_RATIO})", "", figures["p99 ratio"]),
            ("the same by round: median (lowest to highest)", "", with_spread(figures["p99 ratio by round"])),
        ],
    )


if __name__ == "__main__":
    flood(sys.argv[1], int(sys.argv[2]))
