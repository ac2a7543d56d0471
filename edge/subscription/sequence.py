"""
Which verdict comes next: what was delivered, what of it is proven to be in the journal, what may be acknowledged.

    proven      delivered and in the journal (or given by it): a replay goes on from the last of them
    tentative   delivered live with ``journaled: false``: their numbers are given anew if the station dies now

Pure. Epochs are told apart, never compared: which one follows which is the station's to say.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from edge.requests import Missing


@dataclass(frozen=True)
class Position:
    """A place in the stream: behind the verdict *seq* of *epoch*."""

    epoch: int
    seq: int


@dataclass(frozen=True)
class Missed:
    """Verdicts that can no longer be given; told once, in their place. Their parts are not good."""

    epoch: int
    first: int
    last: int | None
    """None when it is not known how many there were."""
    why: Literal["retention", "unknown_epoch", "lost"]


@dataclass
class _Run:
    """Verdicts delivered one after the other: *first* to *last* of *epoch*; the first was the number-th of all."""

    epoch: int
    first: int
    last: int
    number: int

    def holds(self, epoch: int, seq: int) -> bool:
        return epoch == self.epoch and self.first <= seq <= self.last

    def number_of(self, seq: int) -> int:
        return self.number + seq - self.first


class Sequence:
    """
    The place of one consumer in the stream, from *start* on.

    Each delivery has a number, 1, 2, 3, ...: an order that holds over epochs, by which acknowledgements are kept.
    """

    def __init__(self, start: Position) -> None:
        self.position = start
        """Behind the last proven verdict: replays go on from here."""
        self.delivered = 0
        self._tentative: _Run | None = None
        self._told: Missing | None = None
        # Proven, from the one acknowledged last on; few: a new one begins with a new epoch or a hole only.
        self._runs: deque[_Run] = deque()
        self.acknowledged = 0
        """Number of the last delivery that is dealt with."""

    def last_seq(self, epoch: int) -> int:
        """Return behind which seq the next live verdict of the present *epoch* lies."""
        if self._tentative is not None and self._tentative.epoch == epoch:
            return self._tentative.last
        return self.position.seq

    def had(self, epoch: int, seq: int) -> bool:
        """Say whether this verdict, or one behind it in its epoch, was delivered or lies before the start."""
        if self._tentative is not None and self._tentative.epoch == epoch:
            return seq <= self._tentative.last
        return epoch == self.position.epoch and seq <= self.position.seq

    def follows(self, epoch: int, seq: int) -> bool:
        """
        Say whether this live verdict is the next one.

        Seq goes on over epochs, so across one this holds only for the present epoch and behind a replay that was
        asked for after it began and ran to the journal's end.
        """
        return seq == self.last_seq(epoch) + 1

    def deliver_live(self, epoch: int, seq: int, journaled: bool) -> int:
        """Take the next live verdict and return its number."""
        self.delivered += 1
        if self._tentative is not None and self._tentative.epoch != epoch:
            self._tentative = None  # Of a run that died before it could journal them.
        if self._tentative is None:
            self._tentative = _Run(epoch, seq, seq, self.delivered)
        else:
            self._tentative.last = seq
        if journaled:
            self.prove(epoch, seq)
        return self.delivered

    def deliver_replayed(self, epoch: int, seq: int) -> int | None:
        """Take the next verdict of the journal; return its number, or None when it was delivered live before."""
        if self._tentative is not None and self._tentative.holds(epoch, seq):
            self.prove(epoch, seq)
            return None
        self._tentative = None  # The journal goes on elsewhere: what is not in it yet never will be.
        self.delivered += 1
        self._prove_run(_Run(epoch, seq, seq, self.delivered))
        return self.delivered

    def deliver_missing(self, missing: Missing) -> Missed | None:
        """Return what of a hole in the journal was neither delivered live nor told before; None when all of it was."""
        first, told = missing.first, self._told
        self._told = missing
        if told is not None and (told.epoch, told.first) == (missing.epoch, missing.first):
            if told.last is None or told.last == missing.last:
                return None
            first = told.last + 1
        if self._tentative is not None and self._tentative.holds(missing.epoch, first):
            first = self._tentative.last + 1
        if missing.last is not None and first > missing.last:
            return None
        return Missed(missing.epoch, first, missing.last, missing.why)

    def prove(self, epoch: int, seq: int) -> None:
        """Learn that the verdicts of *epoch* up to *seq* are in the journal."""
        run = self._tentative
        if run is None or run.epoch != epoch or seq < run.first:
            return
        last = min(seq, run.last)
        self._prove_run(_Run(epoch, run.first, last, run.number))
        self._tentative = _Run(epoch, last + 1, run.last, run.number_of(last + 1)) if last < run.last else None

    def stand(self, position: Position) -> None:
        """Take the station's word for where the next verdict of the journal will follow."""
        self.prove(position.epoch, position.seq)
        if self._tentative is not None and self._tentative.epoch != position.epoch:
            self._tentative = None
        self.position = position

    def acknowledge(self, number: int) -> None:
        """Note that every delivery up to this number is dealt with."""
        self.acknowledged = max(self.acknowledged, number)

    def acknowledgeable(self) -> Position | None:
        """
        Return the last proven position that is dealt with; None when there is none since the start.

        A tentative verdict that its station lost counts for what was proven before it.
        """
        while len(self._runs) > 1 and self._runs[1].number <= self.acknowledged:
            self._runs.popleft()
        if not self._runs or self._runs[0].number > self.acknowledged:
            return None
        run = self._runs[0]
        return Position(run.epoch, min(run.last, run.first + self.acknowledged - run.number))

    def _prove_run(self, run: _Run) -> None:
        self.position = Position(run.epoch, run.last)
        newest = self._runs[-1] if self._runs else None
        goes_on = newest is not None and newest.epoch == run.epoch and newest.last + 1 == run.first
        if newest is not None and goes_on and newest.number_of(run.first) == run.number:
            newest.last = run.last
        else:
            self._runs.append(run)
