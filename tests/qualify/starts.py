"""How long a station takes from its start to its first verdict: with an empty engine cache, and with its own proof."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from edge.inspector.backend import Precision
from edge.records import Status, Verdict
from edge.rig import Rig, bundle_table
from edge.settings import DEMO_BUNDLE
from tests.qualify.report import table, with_spread

TITLE = "start of a station: engine cache empty and full"

_ROUNDS = 5
_PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
_STAGES = ("load", "compile", "parity", "warm-up", "recipe")


def run(out: Path, scale: float) -> dict[str, Any]:
    """Start stations by turns, each pair on a cache of its own."""
    folder = out / "starts"
    found: dict[str, list[dict[str, float]]] = {}
    for number in range(max(1, round(_ROUNDS * scale))):
        for precision in _PRECISIONS:
            cache = folder / f"{precision}-{number}"
            shutil.rmtree(cache, ignore_errors=True)
            for state in ("empty", "full"):
                found.setdefault(f"{precision}, cache {state}", []).append(_start(precision, cache.absolute()))
    table(
        "From the start of the process to the first verdict, and its stages [s], median (lowest to highest)",
        ("", "first verdict", *_STAGES),
        [
            (what, *(with_spread([of[stage] for of in starts], 2) for stage in ("first verdict", *_STAGES)))
            for what, starts in found.items()
        ],
    )
    return found


def _start(precision: Precision, cache: Path) -> dict[str, float]:
    """Start a station on one frame; return its times [s]."""
    began = time.monotonic()
    took: dict[str, float] = {}
    settings = {
        "station": "starts",
        "budget_ms": 10_000,
        "hang_s": 30,
        "picture_rate_hz": 0,
        "bundle": bundle_table(DEMO_BUNDLE),
        "backend": {"precision": precision},
        "engine_cache": cache,
        "cameras": [{"name": "strip", "source": {"kind": "synthetic", "frames": 1}}],
    }
    with Rig(settings) as rig:
        for event in rig.events():
            if isinstance(event, Status) and event.start_ms:
                took.update({stage: ms / 1000 for stage, ms in event.start_ms.items()})
            if isinstance(event, Verdict):
                took["first verdict"] = time.monotonic() - began
    return took
