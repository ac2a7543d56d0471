"""
Half an hour at 30 frames/s with faults: what grows, and how long parts take.

The real inspector with a bundle trained for it in seconds, a synthetic camera at its own pace. Faults take turns at
even distances; the inspector is killed in the first half only, so that the last one lives long enough to be weighed.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from edge.control import Requester, new_id
from edge.errors import RequestRefused
from edge.records import Outcome
from edge.requests import Done, Ledger, LedgerAnswer, Pause, UseRecipe
from tests.qualify.driver import Driver, Seen
from tests.qualify.process import StationProcess
from tests.qualify.report import percentiles, table
from tests.qualify.resources import Resources, resources_of, slope_per_h
from tests.support.bundles import CLASS_NAMES, HEIGHT, WIDTH, make_bundle

TITLE = "30 minutes at 30 frames/s with faults"

_SECONDS = 1800.0
_RATE_HZ = 30.0
_BUDGET_MS = 300
_FAULTS_IN_ALL = 30
# Imports, caches and the allocator settle; what grows after it grows for days.
_SETTLING = 0.1
_TRIAL_S = 60.0
# More than this is a leak, if there was time enough to tell (20 minutes).
_SLOPE_MB_PER_H = 10.0
_TELLING_S = 1200.0


@dataclass
class Watch:
    """What was seen so far; small for each part, so that it can last for days."""

    whole_us: array[int] = field(default_factory=lambda: array("l"))
    """Trigger to published of the parts that were inspected."""
    reasons: Counter[str] = field(default_factory=Counter)
    gaps: int = 0
    unjournaled: int = 0
    last_seq: int = 0
    samples: dict[int, list[tuple[float, Resources]]] = field(default_factory=dict)
    """By process id: seconds since the begin, and what it held."""
    faults: Counter[str] = field(default_factory=Counter)

    def note(self, seen: list[Seen]) -> None:
        for one in seen:
            verdict = one.verdict
            self.gaps += bool(self.last_seq) and verdict.seq != self.last_seq + 1
            self.last_seq = verdict.seq
            self.unjournaled += not verdict.journaled
            self.reasons[(verdict.reason or verdict.outcome).value] += 1
            if verdict.outcome is not Outcome.UNKNOWN:
                self.whole_us.append(verdict.published_us - verdict.trigger_us)

    def weigh(self, at_s: float, *pids: int | None) -> None:
        """Sample these processes; one that has ended meanwhile is left out."""
        for pid in pids:
            if pid is not None:
                with contextlib.suppress(OSError):
                    self.samples.setdefault(pid, []).append((at_s, resources_of(pid)))


def run(out: Path, scale: float) -> dict[str, Any]:
    """Soak for 30 minutes times *scale*."""
    return soak(out, _SECONDS * scale, max(6, round(_FAULTS_IN_ALL * scale)))


def soak(out: Path, seconds: float, faults: int) -> dict[str, Any]:
    """Run so long with so many faults; return figures, and what is broken."""
    bundle = _bundle(out)
    with tempfile.TemporaryDirectory(prefix="edge-k-") as name:
        folder = Path(name)
        _write_recipes(folder / "recipes")
        with StationProcess(folder, _settings(bundle, folder / "recipes"), None) as station:
            station.wait_ready()
            with Driver(station.results, station.control) as driver, Requester(station.control) as requester:
                watch = _watched(station, driver, requester, seconds, faults)
                ledger = requester.demand(Ledger(version=1, id=new_id(), shifts=0), LedgerAnswer)
            pid = station.pid
    figures = _figures(watch, pid, seconds, ledger)
    _print(figures)
    return figures


def _watched(station: StationProcess, driver: Driver, requester: Requester, seconds: float, faults: int) -> Watch:
    watch = Watch()
    began = time.monotonic()
    plan = _faults(station, requester, faults)
    every_s = seconds / (faults + 1)
    due_s = every_s
    while (at_s := time.monotonic() - began) < seconds:
        watch.note(driver.listen(min(1.0, every_s / 4)))
        watch.weigh(at_s, station.pid, station.inspector())
        if at_s >= due_s:
            due_s += every_s
            name, fault = next(plan)
            watch.faults[name] += 1
            fault()
    watch.note(driver.listen(1.0))
    return watch


# ---- faults


def _faults(station: StationProcess, requester: Requester, count: int) -> Iterator[tuple[str, Callable[[], None]]]:
    harmless: list[tuple[str, Callable[[], None]]] = [
        ("inspector stopped", lambda: _stopped(station)),
        ("paused", lambda: _paused(requester)),
        ("recipe switched", lambda: _switched(requester)),
        ("disk full", lambda: _disk_full(station)),
    ]
    turns = cycle(harmless)
    for i in range(count):
        kills = i < count // 2 and i % 2 == 0
        yield ("inspector killed", lambda: _killed(station)) if kills else next(turns)


def _killed(station: StationProcess) -> None:
    _signal(station, signal.SIGKILL)


def _stopped(station: StationProcess) -> None:
    _signal(station, signal.SIGSTOP)
    time.sleep(3 * _BUDGET_MS / 1000)
    _signal(station, signal.SIGCONT)


def _paused(requester: Requester) -> None:
    requester.demand(Pause(version=1, id=new_id(), role="quality", reason="soak", minutes=1.0), Done)
    time.sleep(1.0)
    requester.demand(Pause(version=1, id=new_id(), role="quality", reason="soak", minutes=0.0), Done)


def _switched(requester: Requester) -> None:
    for name in ("strict", "station"):
        # A trial next to a line at full speed may lose its inspector to the fault before: that is an answer too.
        with contextlib.suppress(RequestRefused):
            requester.demand(UseRecipe(version=1, id=new_id(), name=name), Done, _TRIAL_S)


def _disk_full(station: StationProcess) -> None:
    """No file of the station may grow beyond one byte for a second."""
    before = resource.prlimit(station.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(station.pid, resource.RLIMIT_FSIZE, (1, before[1]))
    time.sleep(1.0)
    resource.prlimit(station.pid, resource.RLIMIT_FSIZE, before)


def _signal(station: StationProcess, number: signal.Signals) -> None:
    inspector = station.inspector()
    if inspector is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(inspector, number)


# ---- what it is made of


def _bundle(out: Path) -> Path:
    """Return the small bundle, made once for a folder of results."""
    folder = out / "bundle"
    if not (folder / "bundle" / "manifest.json").exists():
        make_bundle(folder)
    return (folder / "bundle").absolute()


def _settings(bundle: Path, recipes: Path) -> dict[str, Any]:
    source = {"kind": "synthetic", "seed": 7, "rate_hz": _RATE_HZ}
    return {
        "bundle": {"path": bundle, "allow_unsigned": True},
        "backend": {"threads": 1},
        "budget_ms": _BUDGET_MS,
        "recipes": recipes,
        "selftest_every_s": 60.0,
        "retry_s": 0.1,
        "cameras": [{"name": "cam1", "height": HEIGHT, "width": WIDTH, "slots": 8, "source": source}],
    }


def _write_recipes(folder: Path) -> None:
    folder.mkdir()
    text = f'name = "strict"\nauthor = "soak"\n[classes.{CLASS_NAMES[0]}]\n'
    (folder / "strict.toml").write_text(text, encoding="utf-8")


def _figures(watch: Watch, pid: int, seconds: float, ledger: LedgerAnswer) -> dict[str, Any]:
    station = _held(watch.samples[pid], _SETTLING * seconds)
    inspectors = [samples for other, samples in watch.samples.items() if other != pid]
    inspector = _held(max(inspectors, key=len), _SETTLING * seconds)
    rows = [row for row in ledger.rows if not row.shift]
    triggers, waiting = sum(row.triggers for row in rows), sum(row.open for row in rows)
    passed, rejected = sum(row.passed for row in rows), sum(row.rejected for row in rows)
    unknown = sum(sum(row.unknown.values()) for row in rows)
    figures: dict[str, Any] = {
        "seconds": seconds,
        "verdicts": sum(watch.reasons.values()),
        "outcomes": dict(watch.reasons),
        "faults": dict(watch.faults),
        "gaps in seq": watch.gaps,
        "unjournaled": watch.unjournaled,
        "trigger to published [us]": percentiles(watch.whole_us.tolist()),
        "station": station,
        "longest inspector": inspector,
        "inspectors": len(inspectors),
        "ledger": f"{triggers} = {passed} + {rejected} + {unknown} + {waiting}",
        "ledger off by": triggers - passed - rejected - unknown - waiting,
    }
    figures["broken"] = list(_broken(figures, seconds))
    return figures


def _held(samples: list[tuple[float, Resources]], settling_s: float) -> dict[str, Any]:
    """Sum up one process, from when it had settled."""
    settled = [one for one in samples if one[0] >= samples[0][0] + settling_s] or samples
    first, last = settled[0][1], settled[-1][1]
    return {
        "RSS [MB]": [round(first.rss_mb, 1), round(last.rss_mb, 1)],
        "RSS by minute [MB]": [round(held.rss_mb, 1) for _, held in _each_minute(settled)],
        "RSS slope [MB/h]": slope_per_h([at_s for at_s, _ in settled], [held.rss_mb for _, held in settled]),
        "descriptors": [first.descriptors, last.descriptors, max(held.descriptors for _, held in settled)],
        "threads": [first.threads, last.threads, max(held.threads for _, held in settled)],
        "minutes": (settled[-1][0] - settled[0][0]) / 60,
    }


def _each_minute(samples: list[tuple[float, Resources]]) -> Iterator[tuple[float, Resources]]:
    """Yield the first sample of each minute: whether it grows or has settled is seen in them, not in a slope."""
    minute = -1
    for at_s, held in samples:
        if int(at_s // 60) > minute:
            minute = int(at_s // 60)
            yield at_s, held


def _broken(figures: dict[str, Any], seconds: float) -> Iterator[str]:
    if figures["gaps in seq"]:
        yield f"{figures['gaps in seq']} gaps in seq"
    if figures["ledger off by"]:
        yield f"ledger: {figures['ledger']}"
    for name in ("station", "longest inspector"):
        slope = figures[name]["RSS slope [MB/h]"]
        if figures[name]["minutes"] * 60 >= _TELLING_S / 2 and seconds >= _TELLING_S and slope > _SLOPE_MB_PER_H:
            yield f"{name}: RSS grows by {slope:.1f} MB/h, limit {_SLOPE_MB_PER_H:g}"
    before, after, _ = figures["station"]["descriptors"]
    if after > before + 2:
        yield f"station: {before} descriptors became {after}"


def _print(figures: dict[str, Any]) -> None:
    took = figures["trigger to published [us]"]
    table(
        f"{figures['seconds'] / 60:.1f} minutes at {_RATE_HZ:g} frames/s with faults; real inspector, small bundle "
        f"({HEIGHT}x{WIDTH} px)",
        ("", "station", "longest inspector"),
        [(key, _said(figures["station"][key]), _said(figures["longest inspector"][key])) for key in figures["station"]],
    )
    table(
        "What it did",
        ("", ""),
        [
            ("faults", _counted(figures["faults"])),
            ("inspectors", figures["inspectors"]),
            ("verdicts", figures["verdicts"]),
            ("by outcome or reason", _counted(figures["outcomes"])),
            ("gaps in seq", figures["gaps in seq"]),
            ("published before they were journaled", figures["unjournaled"]),
            ("ledger: triggers = PASS + REJECT + UNKNOWN + open", figures["ledger"]),
            *((f"trigger to published {p} [ms]", took[p] / 1000) for p in ("p50", "p99", "p99.9", "max")),
        ],
    )


def _said(value: Any) -> str:
    return " / ".join(map(str, value)) if isinstance(value, list) else f"{value:.1f}"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
