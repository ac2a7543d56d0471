"""Random stories of a station and its consumers: what is acknowledged is the journal, in its order, each once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from edge.requests import Ack, Attach, Replay
from edge.subscription import Delivered, Subscription
from tests.support.standin import PATIENCE_S, StandIn

STEPS = 60
_Place = tuple[int, int]


class Story:
    """A station, one consumer at a time, and a sink that is rolled back to the cursor when a consumer dies."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.station = StandIn(folder)
        self.station.page = 7
        self.sink: list[_Place] = []
        self.subscribe()

    def subscribe(self) -> None:
        self.consumer = Subscription(
            self.station.results, self.station.control, "mes", origin="oldest", take_over=True, ack_every=3
        )
        self.seen: set[_Place] = set()

    def step(self) -> None:
        deeds = [self.publish, self.publish, self.write, self.restart, self.take, self.take, self.replace, self.swallow]
        self.random.choice(deeds)()

    def publish(self) -> None:
        for _ in range(self.random.randint(1, 6)):
            self.station.publish(journaled=self.random.random() < 0.6, lost=self.random.random() < 0.25)

    def write(self) -> None:
        self.station.write(self.random.randint(1, 4))

    def restart(self) -> None:
        self.station.crash()
        self.station.start()

    def swallow(self) -> None:
        self.station.swallow[self.random.choice([Attach, Replay, Ack])] = 1

    def take(self) -> None:
        for _ in range(self.random.randint(1, 8)):
            self.take_one(0.02)

    def take_one(self, timeout_s: float) -> None:
        item = self.consumer.next(timeout_s)
        if item is None:
            return
        assert isinstance(item, Delivered), item
        place = (item.verdict.epoch, item.verdict.seq)
        assert place not in self.seen, f"{place} twice in one process"
        self.seen.add(place)
        self.sink.append(place)
        if self.random.random() < 0.7:
            self.consumer.acknowledge(item)

    def replace(self) -> None:
        """Kill the consumer, or let it end; what it had not acknowledged durably comes again."""
        if self.random.random() < 0.3:
            self.consumer.close()
        else:
            self.consumer.abandon()
        cursor = self.station.journal.cursors.get("mes")
        place = (0, 0) if cursor is None else (cursor.epoch, cursor.seq)
        # What was delivered and is in no journal is nobody's any more; a sink keeps it or not.
        self.sink = self.sink[: self.sink.index(place) + 1] if place in self.sink else []
        self.subscribe()

    def end(self) -> list[_Place]:
        """Let everything be journaled and taken; return what the sink has of the journal."""
        self.station.write()
        (last,) = self.station.publish()
        for _ in range(round(PATIENCE_S / 0.02)):
            if self.sink and self.sink[-1] == (last.epoch, last.seq):
                break
            self.take_one(0.02)
        journaled = set(self.station.positions)
        return [place for place in self.sink if place in journaled]

    def close(self) -> None:
        self.consumer.close()
        self.station.close()


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 200))])
def test_the_sink_has_the_journal_once_and_in_order(tmp_path: Path, seed: int) -> None:
    """Over lost messages and answers, crashes with an unwritten tail, and consumers that are killed."""
    story = Story(tmp_path, seed)
    try:
        for _ in range(STEPS):
            story.step()
        assert story.end() == story.station.positions
    finally:
        story.close()
