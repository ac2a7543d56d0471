"""
A million triggers in simulated worlds: the daemon's loop and journal, all around them drawn from a seed.

Each world has its own line, weather and folder; a broken promise names its invariant and its seed.
"""

from __future__ import annotations

import functools
import logging
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.qualify.report import table
from tests.simulation.invariants import InvariantBroken
from tests.simulation.world import Summary, play

TITLE = "deterministic simulation of the loop"

_TRIGGERS = 1_000_000
_SEED = 20_261_122
# A world's whole file is checked at each of its starts: larger worlds spend their time there.
_A_WORLD = 2_500
_PROCESSES = 2


@dataclass
class Report:
    """
    Attributes:
        took_s: by the wall, all processes together.
        broken: a line for each world in which a promise was broken.
    """

    triggers: int = 0
    worlds: int = 0
    runs: int = 0
    took_s: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


def run(out: Path, scale: float) -> dict[str, Any]:
    """Play so many worlds, two at a time; print what they held."""
    report = simulate(round(_TRIGGERS * scale), _SEED)
    rate = report.triggers / report.took_s
    table(
        f"Simulated worlds, seeds from {_SEED}; {report.took_s:.0f} s, {rate:.0f} triggers/s, {_PROCESSES} processes",
        ("what", "how many"),
        [
            ("triggers", report.triggers),
            ("worlds", report.worlds),
            ("runs of the station", report.runs),
            ("promises broken", len(report.broken)),
        ],
    )
    table("Verdicts", ("outcome and reason", "how many"), sorted(report.outcomes.items()))
    table("Troubles made", ("what", "how often"), sorted(report.troubles.items()))
    return {
        "triggers": report.triggers,
        "worlds": report.worlds,
        "runs": report.runs,
        "seconds": report.took_s,
        "triggers_per_s": rate,
        "outcomes": dict(report.outcomes),
        "troubles": dict(report.troubles),
        "broken": report.broken,
    }


def simulate(triggers: int, seed: int) -> Report:
    """Play worlds of consecutive seeds until they have had so many triggers; a broken one ends and is told."""
    report = Report()
    began_s = time.monotonic()
    for told in _played(range(seed, seed + -(-triggers // _A_WORLD)), min(triggers, _A_WORLD)):
        report.worlds += 1
        if isinstance(told, str):
            report.broken.append(told)
            continue
        report.triggers += told.triggers
        report.runs += told.runs
        report.outcomes.update(told.outcomes)
        report.troubles.update(told.troubles)
    report.took_s = time.monotonic() - began_s
    return report


def _played(seeds: range, triggers: int) -> Iterator[Summary | str]:
    # Not forked: the one who forks may have threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, mp_context=context) as pool:
        yield from pool.map(functools.partial(_play, triggers), seeds, chunksize=4)


def _play(triggers: int, seed: int) -> Summary | str:
    """Play one world; return what it held, or what was broken in it."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="edge-world-") as folder:
        try:
            return play(Path(folder), seed, triggers)
        except InvariantBroken as broken:
            return f"seed {seed}: {broken}"
