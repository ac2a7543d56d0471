"""The outbox: verdicts in their order, kept before they leave, but never beyond their time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edge.records import MaskHeader, Verdict
from edge.station.outbox import Outbox, Waiting
from tests.support import records
from tests.support.station import FakeClock


@dataclass
class FakeJournal:
    durable: int = 0
    failing: str = ""
    refused: set[int] = field(default_factory=set)

    def kept(self, ticket: int) -> bool:
        return ticket <= self.durable and ticket not in self.refused


@dataclass
class FakeSink:
    said: list[Verdict | MaskHeader] = field(default_factory=list)

    def verdict(self, verdict: Verdict) -> None:
        self.said.append(verdict)

    def mask(self, header: MaskHeader, payload: bytes) -> None:
        self.said.append(header)


class Box:
    """An outbox between a journal, a sink and a clock that do as they are told."""

    def __init__(self) -> None:
        self.journal, self.sink, self.clock = FakeJournal(), FakeSink(), FakeClock()
        self.outbox = Outbox(self.journal, self.sink, self.clock, seq=0)
        self.begun_us = self.clock.now_us()
        self.published: list[Verdict] = []

    def put(self, seq: int, due_in_us: int = 100, masks: int = 0) -> None:
        self.outbox.put(
            Waiting(
                verdict=records.verdict(seq, journaled=True),
                masks=tuple(records.mask(seq, np.eye(3, dtype=np.uint8)) for _ in range(masks)),
                ticket=seq,
                queued_us=self.clock.now_us(),
                due_us=self.clock.now_us() + due_in_us,
                published=self.published.append,
            )
        )

    def left(self) -> list[tuple[int, bool]]:
        """Let go what may, and return which verdicts have left so far, and whether each was kept."""
        self.outbox.flush()
        return [(v.seq, v.journaled) for v in self.sink.said if isinstance(v, Verdict)]


def test_a_verdict_leaves_when_it_is_kept() -> None:
    """Not before; then at once, with its masks behind it, and whoever waits for it is told."""
    box = Box()
    box.put(1, masks=2)
    assert box.left() == []
    assert not box.outbox.empty
    box.clock.us += 30
    box.journal.durable = 1
    assert box.left() == [(1, True)]
    assert [type(said) for said in box.sink.said] == [Verdict, MaskHeader, MaskHeader]
    [verdict] = box.published
    assert verdict.published_us == box.begun_us + 30
    assert verdict.timings_us["journal"] == 30
    assert verdict.timings_us["publish"] == 40, "stages of before stay"
    assert box.outbox.empty
    assert box.outbox.seq == 1


def test_a_verdict_leaves_when_it_is_due() -> None:
    """Not a microsecond before, and it says that it is not kept."""
    box = Box()
    box.put(1)
    assert box.outbox.due_us() == box.begun_us + 100
    box.clock.us += 99
    assert box.left() == []
    box.clock.us += 1
    assert box.left() == [(1, False)]
    assert box.outbox.due_us() is None


def test_no_verdict_overtakes_another() -> None:
    """One that is due takes those before it along; those behind it wait on."""
    box = Box()
    box.put(1, due_in_us=500)
    box.put(2, due_in_us=100)
    box.put(3, due_in_us=500)
    box.journal.durable = 1
    assert box.left() == [(1, True)]
    box.put(4, due_in_us=100)
    box.put(5, due_in_us=500)
    box.clock.us += 100
    assert box.left() == [(1, True), (2, False), (3, False), (4, False)]
    assert box.outbox.due_us() == box.begun_us + 500


def test_a_failing_journal_holds_up_nothing() -> None:
    """Verdicts leave at once and say so; what it had kept before it failed is still said to be kept."""
    box = Box()
    box.put(1)
    box.put(2)
    box.journal.durable, box.journal.failing = 1, "disk full"
    assert box.left() == [(1, True), (2, False)]
    box.journal.failing = ""
    box.put(3)
    assert len(box.left()) == 2


def test_the_end_lets_everything_go() -> None:
    """Verdicts and answers, each saying whether it was kept."""
    box = Box()
    answered: list[bool] = []
    box.put(1)
    box.put(2)
    box.outbox.when_durable(1, box.begun_us + 1000, answered.append)
    box.outbox.when_durable(2, box.begun_us + 1000, answered.append)
    box.journal.durable = 1
    box.outbox.flush_all()
    assert [(v.seq, v.journaled) for v in box.published] == [(1, True), (2, False)]
    assert answered == [True, False]
    assert box.outbox.empty


def test_answers_wait_each_for_itself() -> None:
    """One that is kept does not wait for an earlier one that is not; one that is due says that it is not kept."""
    box = Box()
    answered: list[tuple[str, bool]] = []
    box.outbox.when_durable(7, box.begun_us + 100, lambda kept: answered.append(("late", kept)))
    box.outbox.when_durable(3, box.begun_us + 900, lambda kept: answered.append(("kept", kept)))
    assert box.outbox.due_us() == box.begun_us + 100
    box.journal.durable = 3
    box.outbox.flush()
    assert answered == [("kept", True)]
    box.clock.us += 100
    box.outbox.flush()
    assert answered == [("kept", True), ("late", False)]
    box.outbox.flush()
    assert len(answered) == 2


def test_an_answer_may_lead_to_another() -> None:
    """What is asked for while answers are given is answered in the next round, not lost."""
    box = Box()
    answered: list[bool] = []
    box.outbox.when_durable(0, box.begun_us, lambda _: box.outbox.when_durable(0, box.begun_us, answered.append))
    box.outbox.flush()
    box.outbox.flush()
    assert answered == [True]


def test_what_the_journal_refused_does_not_wait_and_is_not_called_kept() -> None:
    """Its ticket is settled, for good, and it is not there."""
    box = Box()
    box.put(1)
    box.put(2)
    box.journal.refused.add(1)
    box.journal.durable = 2
    assert box.left() == [(1, False), (2, True)]
