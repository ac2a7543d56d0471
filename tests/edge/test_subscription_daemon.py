"""Subscriptions to the real station, which is killed under them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import edge
from edge.rig import toml_from_tree
from edge.subscription import Delivered, Subscription

PATIENCE_S = 60.0


class Killed:
    """edge-inspectd on a strip without end, in one folder over all its starts."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.results, self.control = f"ipc://{folder}/results", f"ipc://{folder}/control"
        endpoints = {"results": self.results, "control": self.control, "masks": f"ipc://{folder}/masks"}
        camera = {"name": "cam1", "height": 100, "width": 170, "source": {"kind": "synthetic", "rate_hz": 50.0}}
        tree = {
            "station": "line1",
            "budget_ms": 2000,
            "state_dir": folder / "state",
            "bundle": {"path": bundle, "allow_unsigned": True},
            "backend": {"threads": 1},
            "cameras": [camera],
            "endpoints": {**endpoints, "pictures": f"ipc://{folder}/pictures"},
        }
        self._config = folder / "station.toml"
        self._config.write_text(toml_from_tree(tree), encoding="utf-8")
        self._log = (folder / "station.log").open("wb")
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-I", "-m", "edge.station.daemon", str(self._config)]
        self._process = subprocess.Popen(command, stderr=self._log, stdin=subprocess.DEVNULL)

    def end(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)
        self._process.wait(PATIENCE_S)

    def close(self) -> None:
        if self._process.poll() is None:
            self.end(signal.SIGKILL)
        self._log.close()

    def subscribe(self, consumer: str) -> Subscription:
        return edge.subscribe(self.results, self.control, consumer, origin="oldest", ack_every=10, take_over=True)


@pytest.fixture
def station(tmp_path: Path, tiny_bundle: Path) -> Iterator[Killed]:
    """Return a station that has been started."""
    station = Killed(tmp_path, tiny_bundle)
    yield station
    station.close()


def taken(subscription: Subscription, n: int) -> list[Delivered]:
    """Take *n* verdicts and acknowledge them."""
    found = []
    for _ in range(n):
        item = subscription.next(PATIENCE_S)
        assert isinstance(item, Delivered), item
        found.append(item)
        subscription.acknowledge(item)
    return found


def test_what_is_acknowledged_is_the_journal_over_kills_of_either_side(station: Killed) -> None:
    """Two stations are killed, one ends in order, a consumer dies: its successors get the rest, all of it, once."""
    first = station.subscribe("mes")
    found = taken(first, 40)
    station.end(signal.SIGKILL)
    station.start()
    found += taken(first, 40)
    assert first.flush(PATIENCE_S)
    # What it is given now, and does not acknowledge, comes again.
    assert isinstance(first.next(PATIENCE_S), Delivered)
    first.abandon()
    with station.subscribe("mes") as second:
        found += taken(second, 20)
        station.end(signal.SIGKILL)
        station.start()
        found += taken(second, 20)
        station.end(signal.SIGTERM)
        station.start()
        found += taken(second, 20)
        assert second.flush(PATIENCE_S)
    with station.subscribe("books") as books:
        kept = taken(books, len(found) + 1)
    journal = [(one.verdict.epoch, one.verdict.seq) for one in kept]
    given = [(one.verdict.epoch, one.verdict.seq) for one in found]
    lost = set(given) - set(journal)
    # Only what was never journaled may be given and not be in the books.
    assert all(not one.verdict.journaled for one in found if (one.verdict.epoch, one.verdict.seq) in lost)
    assert [place for place in given if place not in lost] == journal[: len(given) - len(lost)]
    assert len({one.verdict.part for one in kept}) == len(kept)
    assert [seq for _, seq in journal] == list(range(1, len(journal) + 1))
    assert any(one.live for one in found)
