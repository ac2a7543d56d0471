"""
How many verdicts a second: by request, by a camera as fast as it is answered, and read again from the journal.

Stand-in over the real link. The asker and the reader run on the same cores as the station.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from edge.control import Requester, new_id
from edge.requests import Replay
from edge.subscription import Delivered, Subscription
from tests.qualify.driver import driven
from tests.qualify.inspector import Plan
from tests.qualify.process import NUMBERED, SOFTWARE, StationProcess
from tests.qualify.publish import JOURNALS
from tests.qualify.report import median_and_spread, table, with_spread

TITLE = "sustained verdicts/s, and replay"

_ROUNDS = 3
_TRIGGERS = 20_000
_FULL_TRIGGERS = 4_000
_IN_HAND = 128
_SECONDS = 8.0
_AIMS = {"normal": 5000, "full": 200, "off": 5000}


def run(out: Path, scale: float) -> dict[str, Any]:
    """Measure each way round by round; the journals take turns."""
    rounds = max(1, round(_ROUNDS * min(scale * 2, 1)))
    shorter = min(1.0, _ROUNDS * scale / rounds)
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        for sync in JOURNALS:
            for name, rate in {**by_request(sync, shorter), **by_camera(sync, shorter)}.items():
                rates.setdefault(f"{sync}: {name}", []).append(rate)
    table(
        f"Verdicts/s, stand-in over the real link, median of {rounds} rounds (lowest to highest)",
        ("journal: what", "verdicts/s", "aim"),
        [
            (name, with_spread(of, 0), "" if "again" in name else _AIMS[name.split(":")[0]])
            for name, of in rates.items()
        ],
    )
    return {name: {**median_and_spread(of), "rounds": of} for name, of in rates.items()}


def by_request(sync: str, scale: float) -> dict[str, float]:
    """Return the rate of triggers with 128 in hand, and of reading their verdicts again."""
    count = max(200, round((_FULL_TRIGGERS if sync == "full" else _TRIGGERS) * scale))
    with driven(_settings(sync, SOFTWARE), Plan()) as (station, driver):
        driver.run(100.0, 1.0)
        took_s, _ = driver.pipelined(count, _IN_HAND)
        rates = {f"by request, {_IN_HAND} in hand": count / took_s}
        if sync == "normal":
            rates["read again, pages"] = _paged(station)
            rates["read again, edge.subscription"] = _subscribed(station)
        return rates


def by_camera(sync: str, scale: float) -> dict[str, float]:
    """Return the rate of a camera that has 64 frames out and takes the next when one is answered."""
    with driven(_settings(sync, NUMBERED), Plan(in_hand=64)) as (_, driver):
        driver.listen(1.0)
        seen = driver.listen(max(1.0, _SECONDS * scale))
    span_us = seen[-1].verdict.published_us - seen[0].verdict.published_us
    return {"camera, 64 in hand": 1e6 * (len(seen) - 1) / span_us}


def _settings(sync: str, camera: dict[str, Any]) -> dict[str, Any]:
    return {"cameras": [camera], "journal": {"sync": sync}, "budget_ms": 5000, "hang_s": 60.0}


def _paged(station: StationProcess) -> float:
    count = epoch = seq = 0
    began = time.monotonic()
    with Requester(station.control) as requester:
        while True:
            answer, page = requester.replay(Replay(version=1, id=new_id(), epoch=epoch, seq=seq, limit=1000), 10.0)
            if not page:
                return count / (time.monotonic() - began)
            count, epoch, seq = count + len(page), answer.epoch, answer.seq


def _subscribed(station: StationProcess) -> float:
    """All of it by a new consumer, from its first verdict to its last, each acknowledged."""
    count, began = 0, 0.0
    with Subscription(station.results, station.control, "again", origin="oldest") as subscription:
        while (item := subscription.next(timeout_s=2.0)) is not None:
            assert isinstance(item, Delivered), item
            began = began or time.monotonic()
            ended = time.monotonic()
            count += 1
            subscription.acknowledge(item)
    return count / (ended - began)
