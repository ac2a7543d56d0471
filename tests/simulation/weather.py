"""How bad it gets: the share of each kind of trouble, and the station it meets. Everything follows from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from edge.settings import Station

RECIPES = {"station": 0.8, "fine": 0.5, "coarse": 0.9, "refused": 0.99}
"""Severity above which each recipe rejects a view; the trial refuses the last one."""


@dataclass(frozen=True)
class Weather:
    """Probabilities per part, frame, result or cycle, as the name says; times between rare events [s]."""

    frame_lost: float = 0.01
    frame_faulty: float = 0.01
    frame_reported_late: float = 0.005
    frame_repeated: float = 0.02
    result_unknown: float = 0.02
    result_unreasoned: float = 0.005
    result_poisoned: float = 0.005
    result_slow: float = 0.02
    result_never: float = 0.01
    result_repeated: float = 0.02
    result_stray: float = 0.01
    message_stale: float = 0.05
    cycle_stalled: float = 0.001
    commit_slow: float = 0.02
    request_lost: float = 0.05
    answer_lost: float = 0.1
    start_fails: float = 0.2
    selftest_fails: float = 0.3
    change_refused: float = 0.1
    inspector_dies_s: float = 20.0
    camera_fails_s: float = 15.0
    camera_blinks_s: float = 8.0
    disk_fails_s: float = 25.0
    people_ask_s: float = 4.0
    station_ends_s: float = 12.0


FINE = Weather(
    **{name: 0.0 for name in Weather.__dataclass_fields__ if not name.endswith("_s")},
    **{name: 1e9 for name in Weather.__dataclass_fields__ if name.endswith("_s")},
)
"""Nothing goes wrong: what is judged then is judged."""


STORM = Weather(
    message_stale=0.2,
    start_fails=0.1,
    inspector_dies_s=4.0,
    camera_fails_s=6.0,
    camera_blinks_s=4.0,
    disk_fails_s=8.0,
    people_ask_s=0.7,
    station_ends_s=4.0,
)
"""Nothing lasts: many lives in few parts."""


@dataclass(frozen=True)
class Site:
    """
    A station and its line.

    Attributes:
        interval_us: from one part to the next.
        backlog: entries the journal may hold while the disk fails.
    """

    station: Station
    interval_us: int
    backlog: int


def site_from_seed(rng: Random, folder: Path) -> Site:
    """Draw a kind of line: cameras that run by themselves, joined or not, cameras that are fired, or both."""
    kind = rng.choice(("each", "tag", "counter", "time", "software", "mixed"))
    interval_ms = rng.choice((60, 80)) if kind == "time" else rng.choice((20, 40, 60))
    parts: dict[str, Any] = {"join": kind if kind in ("tag", "counter", "time") else "each"}
    parts["window_ms"] = rng.choice((10, 20))
    if kind in ("each", "software") and rng.random() < 0.5:
        parts["debounce_ms"] = 5
    if kind in ("each", "software", "mixed") and rng.random() < 0.3:
        parts["min_interval_ms"] = interval_ms - 5
    tree = {
        "station": "line1",
        "cameras": _cameras(rng, kind, interval_ms),
        "parts": parts,
        "recipes": _recipes(folder),
        "budget_ms": 100,
        "hang_s": 1.0,
        "start": "wait",
        "retry_s": 0.2,
        "retry_limit_s": 2.0,
        "journal": {"commit_reserve_ms": rng.choice((0, 2, 5))},
        "selftest_every_s": rng.choice((None, 10)),
    }
    return Site(Station.model_validate(tree), 1000 * interval_ms, rng.choice((400, 50_000)))


def _cameras(rng: Random, kind: str, interval_ms: int) -> list[dict[str, Any]]:
    triggers = {
        "each": ["free-run"] * rng.choice((1, 2)),
        "software": ["software"] * rng.choice((1, 2)),
        "mixed": ["free-run", "software"],
    }.get(kind, ["camera"] * rng.choice((2, 3)))
    numbered = kind in ("tag", "counter", "time") or rng.random() < 0.7
    source = {"kind": "synthetic"} if numbered else {"kind": "opencv", "device": 0, "rate_hz": 1000 / interval_ms}
    return [
        {
            "name": f"cam{i}",
            "source": source,
            "trigger": trigger,
            "counter_offset": 10 * i,
            "expect_every_ms": rng.choice((None, 2000)) if trigger != "software" else None,
        }
        for i, trigger in enumerate(triggers)
    ]


def _recipes(folder: Path) -> str:
    recipes = folder / "recipes"
    recipes.mkdir()
    for name in RECIPES:
        (recipes / f"{name}.toml").write_text(f'name = "{name}"\nauthor = "quality"\n')
    (recipes / "broken.toml").write_text('name = "other"\n')
    return str(recipes)
