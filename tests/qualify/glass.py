"""
From the exposure in a real camera's peer to the verdict, on one machine: how much is the camera's, how much is ours.

Each picture carries the time of its exposure (CLOCK_MONOTONIC, whole milliseconds). Ours is the sum of the stages from
the picture in its slot to the verdict at the socket; the camera's is the rest: sensor, encoder, network, decoder, the
library that takes the frames.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from edge.records import Verdict
from tests.qualify.cameras import GIGE_HZ, RTSP_HZ, fired_gige_line, gige_line, rtsp_line
from tests.qualify.report import percentiles, table, with_spread
from tests.qualify.scenes import Line, Scene, played

TITLE = "glass to verdict over RTSP and GigE Vision"

_ROUNDS, _SECONDS = 3, 20.0
_LINES: dict[str, Callable[[Path], AbstractContextManager[Line]]] = {
    f"RTSP, H.264, {RTSP_HZ} frames/s": rtsp_line,
    f"GigE Vision, free-run, {GIGE_HZ:g} frames/s": gige_line,
    "GigE Vision, fired by request": fired_gige_line,
}
_BEFORE = {"trigger", "capture"}
"""Stages before the picture lies in its slot."""
_SHARES = ("glass to verdict", "the camera's", "ours")
# Of the three: p99 of ours, on a machine that does much else.
_MOST_OURS_MS = 100.0


def run(out: Path, scale: float) -> dict[str, Any]:
    """Watch each camera in turn, so often."""
    rounds = max(1, round(_ROUNDS * min(scale, 1.0)))
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in _LINES}
    for _ in range(rounds):
        for name, line in _LINES.items():
            found[name].append(watched(line, max(4.0, _SECONDS * scale)))
    _print(found)
    return {"rounds": found, "broken": [f"{name}: {line}" for name, of in found.items() for line in _broken(of)]}


def watched(line: Callable[[Path], AbstractContextManager[Line]], seconds: float) -> dict[str, Any]:
    """Return how long it took from glass to verdict, and whose time it was [ms]."""

    def play(scene: Scene) -> None:
        time.sleep(seconds)

    outcomes = played(line, play)
    shares = [_shared(verdict, taken_us) for verdict, taken_us in outcomes.taken]
    return {
        **{name: percentiles([of[name] for of in shares]) for name in _SHARES},
        "outcomes": outcomes.judgement.outcomes,
        "broken": [*outcomes.judgement.broken, *outcomes.wrong],
    }


def _shared(verdict: Verdict, taken_us: int) -> dict[str, float]:
    ours_us = sum(us for stage, us in verdict.timings_us.items() if stage not in _BEFORE)
    whole_us = verdict.published_us - taken_us
    return dict(zip(_SHARES, (us / 1000 for us in (whole_us, whole_us - ours_us, ours_us)), strict=True))


def _broken(rounds: list[dict[str, Any]]) -> list[str]:
    lines = [line for of in rounds for line in of["broken"]]
    slowest_ms = max(of["ours"]["p99"] for of in rounds)
    if not slowest_ms <= _MOST_OURS_MS:
        lines.append(f"ours: {slowest_ms:.0f} ms at p99, limit {_MOST_OURS_MS:g} ms")
    return lines


def _print(found: dict[str, list[dict[str, Any]]]) -> None:
    table(
        "From exposure to verdict on loopback [ms], median of the rounds (lowest to highest); small bundle, one thread",
        ("", "pictures", *(f"{share} {p}" for share in _SHARES for p in ("p50", "p99"))),
        [
            (
                name,
                sum(of[_SHARES[0]]["n"] for of in rounds),
                *(with_spread([of[share][p] for of in rounds], 1) for share in _SHARES for p in ("p50", "p99")),
            )
            for name, rounds in found.items()
        ],
    )
