"""Who is attached, under which session, and where the cursors are. Asks the journal, sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from edge.clock import Clock
from edge.records import VERSION
from edge.requests import (
    LEASE_S,
    Ack,
    Acknowledged,
    AnyAnswer,
    AnyRequest,
    Attach,
    Attached,
    Detach,
    Done,
    Missing,
    Refusal,
    Refused,
    Replay,
    Replayed,
)
from edge.station.entries import BEGINNING, Gap, Page, Position
from edge.wire import replayed_from_header

MOST_CONSUMERS = 256
"""Cursors are kept for ever: names that somebody makes up must not fill the disk."""


class Cursors(Protocol):
    """What is asked of the journal."""

    @property
    def epoch(self) -> int: ...

    @property
    def epochs(self) -> Sequence[tuple[int, int]]:
        """(epoch, its first seq) of every run that is known, the present one last."""
        ...

    @property
    def durable_seq(self) -> int: ...

    @property
    def failing(self) -> str: ...

    @property
    def cursors(self) -> Mapping[str, Position]:
        """Where they are; ``cursor`` moves them here at once, and on the disk by its ticket."""
        ...

    def cursor(self, consumer: str, position: Position | None) -> int: ...


@dataclass(frozen=True)
class Due:
    """An answer that may be sent as soon as the journal's ``durable`` has reached *ticket*; 0 = now."""

    ticket: int
    answer: AnyAnswer


@dataclass(frozen=True)
class _Lease:
    session: str
    until_us: int


class Consumers:
    """
    Names, leases and cursors.

    Args:
        journal: where the cursors are kept; None = it is off, and nobody can attach.
    """

    def __init__(self, journal: Cursors | None, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        # Of the last change of each cursor: what it says is told when it is durable, to whoever asks.
        self._tickets: dict[str, int] = {}

    def attach(self, request: Attach, live: Position) -> Due | Refused:
        """
        Give a name to who asks for it.

        Args:
            live: the last verdict that was published; a new consumer with origin ``now`` begins behind it.
        """
        journal = self._journal
        if journal is None:
            return _off(request)
        if (taken := self._taken(request)) is not None:
            return taken
        new = request.consumer not in journal.cursors
        if new and (refused := self._begin(journal, request, live)) is not None:
            return refused
        position = journal.cursors[request.consumer]
        self._renew(request)
        answer = Attached(
            version=VERSION,
            id=request.id,
            now_us=0,
            epoch=position.epoch,
            seq=position.seq,
            new=new,
            live_epoch=live.epoch,
            live_seq=live.seq,
        )
        return Due(self._tickets.get(request.consumer, 0), answer)

    def ack(self, request: Ack) -> Due | Refused:
        """Move a cursor forward; one that stands further on already stays there, and the answer says where."""
        journal = self._journal
        if journal is None:
            return _off(request)
        if not self._holds(request):
            return _not_attached(request)
        self._renew(request)
        asked = _place(journal, Position(request.epoch, request.seq))
        if asked is None:
            text = f"epoch = {request.epoch}: the journal does not know it; replay from your cursor"
            return _refused(request, Refusal.UNKNOWN_EPOCH, text)
        if asked > journal.durable_seq:
            text = f"seq = {request.seq}: the journal ends at {journal.durable_seq} of epoch {journal.epoch}"
            return _refused(request, Refusal.AHEAD, f"{text}; acknowledge what is journaled")
        cursor = journal.cursors.get(request.consumer, BEGINNING)
        if asked <= (_place(journal, cursor) or 0):
            return Due(self._tickets.get(request.consumer, 0), _acknowledged(request, cursor))
        if journal.failing:
            return _failing(request, journal)
        position = Position(request.epoch, request.seq)
        ticket = self._tickets[request.consumer] = journal.cursor(request.consumer, position)
        return Due(ticket, _acknowledged(request, position))

    def detach(self, request: Detach) -> Due | Refused:
        """Give a name back, and with *forget* its cursor too."""
        journal = self._journal
        if journal is None:
            return _off(request)
        if not self._holds(request):
            return _not_attached(request)
        if request.forget and journal.failing:
            return _failing(request, journal)
        del self._leases[request.consumer]
        ticket = 0
        if request.forget:
            self._tickets.pop(request.consumer, None)
            ticket = journal.cursor(request.consumer, None)
        text = f"{request.consumer} detached, its cursor is {'forgotten' if request.forget else 'kept'}"
        return Due(ticket, Done(version=VERSION, id=request.id, now_us=0, text=text))

    def _begin(self, journal: Cursors, request: Attach, live: Position) -> Refused | None:
        """Give a new name its cursor; durable before it is told, so that a crash cannot let it begin further on."""
        if journal.failing:
            return _failing(request, journal)
        if len(journal.cursors) >= MOST_CONSUMERS:
            text = f"consumer = {request.consumer}: {MOST_CONSUMERS} have a cursor; detach one with forget = true"
            return _refused(request, Refusal.TOO_MANY, text)
        position = live if request.origin == "now" else BEGINNING
        self._tickets[request.consumer] = journal.cursor(request.consumer, position)
        return None

    def _taken(self, request: Attach) -> Refused | None:
        lease = self._leases.get(request.consumer)
        if lease is None or lease.session == request.session or request.take_over:
            return None
        left_us = lease.until_us - self._clock.now_us()
        if left_us <= 0:
            return None
        text = f"consumer = {request.consumer}: taken for another {left_us / 1e6:.1f} s at least"
        return _refused(request, Refusal.NAME_TAKEN, f"{text}; choose another name, or take_over")

    def _holds(self, request: Ack | Detach) -> bool:
        lease = self._leases.get(request.consumer)
        # An expired lease holds until somebody else takes the name: being slow is no loss by itself.
        return lease is not None and lease.session == request.session

    def _renew(self, request: Attach | Ack) -> None:
        until_us = self._clock.now_us() + round(LEASE_S * 1e6)
        self._leases[request.consumer] = _Lease(request.session, until_us)


def replay_from_page(request: Replay, page: Page) -> tuple[Replayed | Refused, list[bytes]]:
    """
    Return the answer to a replay and its payload: each verdict says that it is journaled and replayed.

    Raises:
        WireError: the journal holds what no station wrote.
    """
    if page.ahead:
        text = f"seq = {request.seq}: the journal ends at {page.last.seq} of epoch {page.last.epoch}"
        return _refused(request, Refusal.AHEAD, f"{text}; ask for what was given"), []
    answer = Replayed(
        version=VERSION,
        id=request.id,
        now_us=0,
        count=len(page.records),
        epoch=page.last.epoch,
        seq=page.last.seq,
        end=page.end,
        missing=None if page.gap is None else _missing(request, page.gap),
    )
    return answer, [replayed_from_header(record) for record in page.records]


def _missing(request: Replay, gap: Gap) -> Missing:
    return Missing(
        epoch=request.epoch,
        first=request.seq + 1 if gap.first is None else gap.first,
        last=gap.last,
        why="unknown_epoch" if gap.why == "unknown epoch" else gap.why,
    )


def _place(journal: Cursors, position: Position) -> int | None:
    """Return the seq behind which *position* lies today, None when its epoch is unknown; seq goes on over epochs."""
    if position == BEGINNING:
        return 0
    if position.epoch == journal.epoch:
        return position.seq
    following = [first for (epoch, _), (_, first) in pairwise(journal.epochs) if epoch == position.epoch]
    # A verdict that a crash kept out of the journal: the next epoch gave its number anew, so one stands before that.
    return min(position.seq, following[0] - 1) if following else None


def _acknowledged(request: Ack, position: Position) -> Acknowledged:
    return Acknowledged(version=VERSION, id=request.id, now_us=0, epoch=position.epoch, seq=position.seq)


def _off(request: AnyRequest) -> Refused:
    return _refused(request, Refusal.NOT_JOURNALED, "the journal is off: set journal.sync to normal or full")


def _failing(request: AnyRequest, journal: Cursors) -> Refused:
    return _refused(request, Refusal.NOT_JOURNALED, f"{journal.failing}; repeat it later")


def _not_attached(request: Ack | Detach) -> Refused:
    text = f"consumer = {request.consumer}: session {request.session} does not hold it; attach first"
    return _refused(request, Refusal.NOT_ATTACHED, text)


def _refused(request: AnyRequest, code: Refusal, text: str) -> Refused:
    return Refused(version=VERSION, id=request.id, now_us=0, code=code, text=text)
