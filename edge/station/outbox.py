"""
What is decided and waits for the journal: verdicts in their order, answers to requests each for itself.

Journal before publish, but bounded: what is not durable when its time is up goes out all the same and says so.
"""

from __future__ import annotations

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
    def durable(self) -> int: ...

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
        self._answers: list[tuple[int, int, Callable[[bool], None]]] = []
        self.seq = seq

    @property
    def empty(self) -> bool:
        return not self._verdicts and not self._answers

    def put(self, waiting: Waiting) -> None:
        self._verdicts.append(waiting)

    def when_durable(self, ticket: int, due_us: int, then: Callable[[bool], None]) -> None:
        """Call *then* with True when the ticket is durable, with False when it is not by *due_us*."""
        self._answers.append((ticket, due_us, then))

    def due_us(self) -> int | None:
        """Return when something has to leave even if the journal says nothing."""
        dues = [waiting.due_us for waiting in self._verdicts] + [due_us for _, due_us, _ in self._answers]
        return min(dues, default=None)

    def flush(self) -> None:
        """Let go what is durable or due. A verdict never overtakes another: those before one that is due go with it."""
        now_us = self._clock.now_us()
        last_due = max((i for i, waiting in enumerate(self._verdicts) if waiting.due_us <= now_us), default=-1)
        for i in range(len(self._verdicts)):
            durable = self._journal.durable >= self._verdicts[0].ticket
            if not (durable or self._journal.failing or i <= last_due):
                break
            self._publish(self._verdicts.popleft(), durable)
        self._flush_answers(now_us)

    def flush_all(self) -> None:
        """Let everything go: the station ends."""
        while self._verdicts:
            waiting = self._verdicts.popleft()
            self._publish(waiting, self._journal.durable >= waiting.ticket)
        self._flush_answers(2**62)

    def _publish(self, waiting: Waiting, durable: bool) -> None:
        now_us = self._clock.now_us()
        verdict = msgspec.structs.replace(
            waiting.verdict,
            journaled=durable,
            published_us=now_us,
            timings_us={**waiting.verdict.timings_us, "journal": now_us - waiting.queued_us},
        )
        self.seq = verdict.seq
        self._sink.verdict(verdict)
        for header, payload in waiting.masks:
            self._sink.mask(header, payload)
        waiting.published(verdict)

    def _flush_answers(self, now_us: int) -> None:
        durable, failing = self._journal.durable, self._journal.failing
        waiting = self._answers
        self._answers = []
        for ticket, due_us, then in waiting:
            if ticket <= durable or failing or now_us >= due_us:
                then(ticket <= durable)
            else:
                self._answers.append((ticket, due_us, then))
