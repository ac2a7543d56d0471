"""
From published to seen by a subscriber, and what the station itself takes from trigger to published.

Stand-in over the real link, which answers at once: what is left is the station, the journal and the hops. The
configurations take turns, round by round; a round's figure is of that round alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.qualify.driver import Seen, driven
from tests.qualify.inspector import Plan
from tests.qualify.process import DEMO, SOFTWARE
from tests.qualify.report import percentiles, table, with_spread

TITLE = "published to seen, and the station's own time, by journal and rate"

JOURNALS = ("normal", "full", "off")
_ROUNDS = 5
_SECONDS = {30.0: 12.0, 300.0: 8.0}
_WARM_UP_S = 1.0
_STAGES = ("handover", "publish", "journal")
# What the demo bundle manages on one core without parts waiting for each other.
_REAL_RATE_HZ = 5.0
_REAL_S = 40.0


def run(out: Path, scale: float) -> dict[str, Any]:
    """Measure each journal at 30 and 300 verdicts/s, and the hand-over from the real inspector."""
    rounds = max(1, round(_ROUNDS * min(scale * 2, 1)))
    shorter = min(1.0, _ROUNDS * scale / rounds)
    runs: dict[tuple[str, float], list[list[Seen]]] = {(sync, rate): [] for sync in JOURNALS for rate in _SECONDS}
    for _ in range(rounds):
        for sync in JOURNALS:
            for rate, seen in measure(sync, shorter).items():
                runs[sync, rate].append(seen)
    real = _real(max(4.0, _REAL_S * scale))
    _print(runs, real)
    return {
        "rounds": rounds,
        **{f"{sync}, {rate:g}/s": _summed_up(seen) for (sync, rate), seen in runs.items()},
        "real inspector, normal": _summed_up([real]),
    }


def measure(sync: str, scale: float) -> dict[float, list[Seen]]:
    """Run a new station at each rate; return what was seen."""
    settings = {"cameras": [SOFTWARE], "journal": {"sync": sync}, "budget_ms": 1000}
    with driven(settings, Plan()) as (_, driver):
        driver.run(100.0, _WARM_UP_S)
        return {rate: driver.run(rate, max(1.0, seconds * scale)) for rate, seconds in _SECONDS.items()}


def _real(seconds: float) -> list[Seen]:
    settings = {"cameras": [SOFTWARE], "budget_ms": 2000, **DEMO}
    with driven(settings, None) as (_, driver):
        driver.run(_REAL_RATE_HZ, _WARM_UP_S)
        return driver.run(_REAL_RATE_HZ, seconds)


def _summed_up(rounds: Sequence[Sequence[Seen]]) -> dict[str, Any]:
    every = [one for seen in rounds for one in seen]
    return {
        "seen [us]": percentiles([one.seen_us for one in every]),
        "seen p99 by round [us]": [percentiles([one.seen_us for one in seen])["p99"] for seen in rounds],
        "trigger to published [us]": percentiles([_whole_us(one) for one in every]),
        "unjournaled": sum(not one.verdict.journaled for one in every),
        **{f"{name} [us]": percentiles([one.verdict.timings_us.get(name, 0) for one in every]) for name in _STAGES},
    }


def _whole_us(one: Seen) -> int:
    return one.verdict.published_us - one.verdict.trigger_us


def _print(runs: dict[tuple[str, float], list[list[Seen]]], real: list[Seen]) -> None:
    rows = [(f"{sync}, {rate:g}/s", seen) for (sync, rate), seen in runs.items()]
    table(
        "Published to seen by one subscriber [ms]; stand-in over the real link, ipc; median of the rounds (lowest to "
        "highest), p99.9 and max of all",
        ("journal, rate", "n", "p50", "p99", "p99.9", "max"),
        [(name, *_seen_row(rounds)) for name, rounds in rows],
    )
    table(
        "The station's own time [ms], stand-in that answers at once: trigger to published, and the stages of it",
        ("journal, rate", "whole p50", "whole p99", *(f"{stage} {p}" for stage in _STAGES for p in ("p50", "p99"))),
        [(name, *_stage_row(_summed_up(rounds))) for name, rounds in rows],
    )
    of = _summed_up([real])
    table(
        f"The real inspector (demo bundle, normal, {_REAL_RATE_HZ:g}/s) [ms]",
        ("", "n", "p50", "p99", "max"),
        [
            (name, of[key]["n"], *(of[key][p] / 1000 for p in ("p50", "p99", "max")))
            for name, key in (("handover", "handover [us]"), ("published to seen", "seen [us]"))
        ],
    )


def _seen_row(rounds: Sequence[Sequence[Seen]]) -> tuple[object, ...]:
    by_round = [percentiles([one.seen_us / 1000 for one in seen]) for seen in rounds]
    every = percentiles([one.seen_us / 1000 for seen in rounds for one in seen])
    spread = (with_spread([of[name] for of in by_round]) for name in ("p50", "p99"))
    return every["n"], *spread, every["p99.9"], every["max"]


def _stage_row(of: dict[str, Any]) -> list[float]:
    keys = ("trigger to published [us]", *(f"{stage} [us]" for stage in _STAGES))
    return [of[key][name] / 1000 for key in keys for name in ("p50", "p99")]
