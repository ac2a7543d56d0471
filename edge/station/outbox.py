"""
What is decided and waits for the journal: verdicts in their order, answers to requests each for itself.

Journal before publish, but bounded: what is not durable when its time is up goes out all the same and says so.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from edge.clock import Clock
from edge.records import MaskHeader, Verdict


class Kept(Protocol):
    """What the outbox asks of the journal."""

    @property
    def durable(self) -> int:
        """All tickets up to this one are settled: kept, or refused for good."""
        ...

    def kept(self, ticket: int) -> bool: ...

    @property
    def failing(self) -> str: ...


class Sink(Protocol):
    """What the outbox asks of the publisher."""

    def verdict(self, verdict: Verdict) -> None: ...

    def mask(self, header: MaskHeader, payload: bytes) -> None: ...


@dataclass(frozen=True)
class Waiting:
    """
    A verdict that has its number.

    Attributes:
        ticket: the journal's; durable when the journal is so far.
        due_us: it leaves by then, durable or not.
        published: called when it has left.
    """

    verdict: Verdict
    masks: tuple[tuple[MaskHeader, bytes], ...]
    ticket: int
    queued_us: int
    due_us: int
    published: Callable[[Verdict], None]


class _Order:
    """Things by a rank (a time, a ticket), lowest first; what is gone meanwhile is passed over when it comes up."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []

    def add(self, rank: int, number: int) -> None:
        heapq.heappush(self._heap, (rank, number))

    def first(self, waits: Callable[[int], bool]) -> int | None:
        """Return the lowest rank of what still waits."""
        while self._heap and not waits(self._heap[0][1]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, up_to: float, waits: Callable[[int], bool]) -> list[int]:
        """Return the numbers of all that wait up to that rank, and forget them."""
        taken = []
        while (rank := self.first(waits)) is not None and rank <= up_to:
            taken.append(heapq.heappop(self._heap)[1])
        return taken


class Outbox:
    """
    Attributes:
        seq: number of the last verdict that was published.
    """

    def __init__(self, journal: Kept, sink: Sink, clock: Clock, seq: int) -> None:
        self._journal = journal
        self._sink = sink
        self._clock = clock
        self._verdicts: deque[Waiting] = deque()
        self._verdict_dues = _Order()
        self._answers: dict[int, tuple[int, Callable[[bool], None]]] = {}
        self._answer_dues = _Order()
        self._answer_tickets = _Order()
        self._numbered = 0
        self.seq = seq

    @property
    def empty(self) -> bool:
        return not self._verdicts and not self._answers

    def put(self, waiting: Waiting) -> None:
        self._verdicts.append(waiting)
        self._verdict_dues.add(waiting.due_us, waiting.verdict.seq)

    def when_durable(self, ticket: int, due_us: int, then: Callable[[bool], None]) -> None:
        """Call *then* with True when the ticket is durable, with False when it is not by *due_us*."""
        self._numbered += 1
        self._answers[self._numbered] = (ticket, then)
        self._answer_dues.add(due_us, self._numbered)
        self._answer_tickets.add(ticket, self._numbered)

    def due_us(self) -> int | None:
        """Return when something has to leave even if the journal says nothing."""
        dues = (self._verdict_dues.first(self._verdict_waits), self._answer_dues.first(self._answer_waits))
        return min((due_us for due_us in dues if due_us is not None), default=None)

    def flush(self) -> None:
        """Let go what is durable or due. A verdict never overtakes another: those before one that is due go with it."""
        now_us = self._clock.now_us()
        last_due = max(self._verdict_dues.take(now_us, self._verdict_waits), default=0)
        while self._verdicts:
            settled = self._journal.durable >= self._verdicts[0].ticket
            if not (settled or self._journal.failing or self._verdicts[0].verdict.seq <= last_due):
                break
            self._publish(self._verdicts.popleft())
        self._answer(now_us)

    def flush_all(self) -> None:
        """Let everything go: the station ends."""
        while self._verdicts:
            self._publish(self._verdicts.popleft())
        self._answer(2**62)

    def _publish(self, waiting: Waiting) -> None:
        now_us = self._clock.now_us()
        verdict = msgspec.structs.replace(
            waiting.verdict,
            journaled=self._journal.kept(waiting.ticket),
            published_us=now_us,
            timings_us={**waiting.verdict.timings_us, "journal": now_us - waiting.queued_us},
        )
        self.seq = verdict.seq
        self._sink.verdict(verdict)
        for header, payload in waiting.masks:
            self._sink.mask(header, payload)
        waiting.published(verdict)

    def _answer(self, now_us: int) -> None:
        """Answer what is settled, in the order of the tickets, then what is due."""
        settled = math.inf if self._journal.failing else self._journal.durable
        for number in self._answer_tickets.take(settled, self._answer_waits):
            self._answer_one(number)
        for number in self._answer_dues.take(now_us, self._answer_waits):
            self._answer_one(number)

    def _answer_one(self, number: int) -> None:
        ticket, then = self._answers.pop(number)
        # Ticket 0 is of what needed no journal.
        then(ticket == 0 or self._journal.kept(ticket))

    def _verdict_waits(self, seq: int) -> bool:
        return bool(self._verdicts) and seq >= self._verdicts[0].verdict.seq

    def _answer_waits(self, number: int) -> bool:
        return number in self._answers
