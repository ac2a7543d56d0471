"""
The fault table: one row a fault, on the real daemon with the real inspector and a small trained bundle.

Every row is a station of its own before a line whose truth is known; cases.py has what is done to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.qualify.cases import CASES, ENDED, HANG_S, KILLED, STOPS, Case
from tests.qualify.report import CONSOLE, table, with_spread
from tests.qualify.scenes import Outcomes, Scene, counted, played

TITLE = "faults on the real daemon: detected, recovered from, no part without a verdict, none wrongly PASS"

_ROUNDS = 3
_STOP_S = 5.0
_BEFORE_S = 1.0


def run(out: Path, scale: float) -> dict[str, Any]:
    """Let every fault happen three times, then stop the station in the midst of each, then start it 200 times."""
    rounds = max(1, round(_ROUNDS * scale))
    rows = {case.fault.name: measured(case, rounds) for case in CASES}
    rows |= {f"{n} restarts": restarted(n) for n in (max(2, round(200 * scale)),)}
    stops = {case.fault.name: stopped(case) for case in (*STOPS, *CASES) if case.stops}
    _print(rows, stops)
    broken = [f"{name}: {line}" for name, row in (rows | stops).items() for line in row["broken"]]
    return {"rows": rows, "stops": stops, "broken": broken}


def measured(case: Case, rounds: int) -> dict[str, Any]:
    """Let the fault of that case happen so often; return its row."""

    def play(scene: Scene) -> None:
        for _ in range(rounds):
            scene.suffer(case.fault)

    fault, found = case.fault, _played(case, play)
    unknown_s = [_s(found.first_unknown_us(one, fault.reasons), one.injected_us) for one in found.rounds]
    withdrawn_s = [_s(one.withdrawn_us, one.injected_us) for one in found.rounds]
    over_s = [_s(one.over_us, one.mended_us) for one in found.rounds]
    row = _row(found)
    row |= {
        "first UNKNOWN [s]": unknown_s,
        "ready withdrawn [s]": withdrawn_s,
        "over [s]": over_s,
        "by itself": fault.mend is None,
        "window": counted([verdict for one in found.rounds for verdict in found.window(one)]),
    }
    limit_s = fault.withdrawn_in_s
    row["broken"] += ["the station did not recover" for one in over_s if one is None]
    if limit_s is not None:
        row["broken"] += [
            f"seen after {one} s, limit {limit_s:g}" for one in withdrawn_s if one is None or one > limit_s
        ]
    return row


def stopped(case: Case) -> dict[str, Any]:
    """Stop the station in the midst of the fault and start it again; return its row."""
    took: list[tuple[float, int]] = []

    def play(scene: Scene) -> None:
        time.sleep(_BEFORE_S)
        case.fault.inject(scene)
        time.sleep(case.midst_s)
        began = time.monotonic()
        code = scene.station.stop()
        took.append((time.monotonic() - began, code))
        if case.fault.mend is not None:
            case.fault.mend(scene)
        scene.station.start()
        scene.station.wait_ready()

    row = _row(_played(case, play))
    ((seconds, code),) = took
    row |= {"exit [s]": seconds, "code": code}
    if seconds > _STOP_S or code != 0:
        row["broken"].append(f"SIGTERM: exit code {code} after {seconds:.1f} s, expected 0 within {_STOP_S:g} s")
    return row


def restarted(times: int) -> dict[str, Any]:
    """Restart the station so often, by SIGTERM and by SIGKILL in turn; return its row."""

    def play(scene: Scene) -> None:
        for number in range(times):
            scene.suffer(ENDED if number % 2 else KILLED, before_s=0.1)

    found = _played(Case(KILLED), play)
    over_s = [_s(one.over_us, one.mended_us) for one in found.rounds]
    row = _row(found)
    row |= {
        "first UNKNOWN [s]": [],
        "ready withdrawn [s]": [],
        "over [s]": over_s,
        "by itself": False,
        "window": counted([verdict for one in found.rounds for verdict in found.window(one)]),
    }
    row["broken"] += ["the station did not recover" for one in over_s if one is None]
    return row


def _played(case: Case, play: Callable[[Scene], None]) -> Outcomes:
    return played(case.line, play, inspector=case.inspector, under=case.under)


def _row(found: Outcomes) -> dict[str, Any]:
    """Return what holds of every row."""
    broken = [*found.judgement.broken, *found.wrong]
    return {
        "parts": found.judgement.verdicts,
        "without a verdict": found.judgement.lost + found.judgement.frames_lost,
        "wrongly PASS": len(found.wrong),
        "unchecked PASS": found.unchecked,
        "outcomes": found.judgement.outcomes,
        "said": found.said,
        "broken": broken,
    }


def _s(until_us: int | None, since_us: int) -> float | None:
    return None if until_us is None else (until_us - since_us) / 1e6


# ---- printed


def _print(rows: dict[str, dict[str, Any]], stops: dict[str, dict[str, Any]]) -> None:
    table(
        f"Faults: seconds, median (lowest to highest) of the rounds; {HANG_S:g} s is hang_s. Over: from the fault's"
        " end (*: from its beginning, nobody ends it) until the station is ready and has judged a part",
        (
            "fault",
            "first UNKNOWN",
            "ready withdrawn, or alarm",
            "over",
            "parts meanwhile",
            "without a verdict",
            "wrongly PASS",
        ),
        [
            (
                name,
                _spread(row["first UNKNOWN [s]"]),
                _spread(row["ready withdrawn [s]"]),
                _spread(row["over [s]"]) + ("*" if row["by itself"] else ""),
                row["window"],
                row["without a verdict"],
                row["wrongly PASS"],
            )
            for name, row in rows.items()
        ],
    )
    table(
        "SIGTERM to the station in the midst of a fault",
        ("in the midst of", "exit after [s]", "exit code", "parts", "without a verdict", "wrongly PASS"),
        [
            (name, row["exit [s]"], row["code"], row["parts"], row["without a verdict"], row["wrongly PASS"])
            for name, row in stops.items()
        ],
    )
    for name, row in rows.items():
        CONSOLE.print(
            f"\nWhat the station said, {name}:", *(f"    {line}" for line in row["said"]), sep="\n", markup=False
        )


def _spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return with_spread(known) if known else "-"
