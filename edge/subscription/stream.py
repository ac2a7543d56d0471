"""
The iterator itself: from finding the station to its verdicts as they are published, and back whenever something is
not as it should be.

    seeking     nothing is proven: wait for the heartbeat that answers our subscription
    attaching   ask for the name, and learn the present epoch
    replaying   what the journal has behind our position, page by page; what is published meanwhile waits in the socket
    live        as published; what is not the next verdict leads back to replaying, another epoch to attaching

No threads: leases, acknowledgements and repeats are seen to while ``next`` is called. Runs on Linux and macOS.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import pairwise
from types import TracebackType
from typing import Literal, TypeAlias

import zmq
from typing_extensions import Self

from edge.clock import SYSTEM_CLOCK, Clock
from edge.control import new_id
from edge.errors import ConfigurationError, NameTaken, RequestRefused, WireError
from edge.records import Status, Verdict
from edge.requests import (
    LEASE_S,
    LONGEST_PAGE,
    Ack,
    Acknowledged,
    Attach,
    Attached,
    Detach,
    Missing,
    Refusal,
    Refused,
    Replay,
    Replayed,
)
from edge.subscription.cursor import Cursor
from edge.subscription.delivered import Delivered
from edge.subscription.inquiry import Answered, Inquiry
from edge.subscription.sequence import Missed, Position, Sequence
from edge.wire import message_from_frames, verdicts_from_payload

State: TypeAlias = Literal["seeking", "attaching", "replaying", "live"]

_LEASE_US = round(LEASE_S * 1e6)
_RENEW_US = _LEASE_US // 3
# Three heartbeats.
_SILENCE_US = 3_000_000
# What is lost and not journaled yet is there when it is: ask again so often.
_REPLAY_AGAIN_US = 100_000
_REFUSED_AGAIN_US = 500_000
# A predecessor that died without detaching has the name until its lease ends; leases are looked at in whole seconds.
_PATIENCE_US = _LEASE_US + 2_000_000
_TICK_MS = 50
_PAST_EPOCHS = 64
# The station will do it later.
_FOR_NOW = {Refusal.NOT_JOURNALED, Refusal.NOT_READY, Refusal.BUSY, Refusal.STOPPING}


class Subscription:
    """
    One named consumer of one station; one process at a time has a name.

    Verdicts that come while nobody calls ``next()`` wait in memory, some 2 KB each.

    Args:
        results, control: the station's endpoints; it need not be there yet.
        consumer: the name under which the station keeps the cursor.
        station: name of the station; empty = whichever speaks at *results*.
        origin: where a name that is new begins: with the next verdict, or with the oldest that is kept.
        take_over: replace who has the name now.
        ack_every: acknowledgements are sent after so many verdicts, and after 0.1 s at the latest.

    Raises:
        ConfigurationError: an endpoint is no address.
    """

    def __init__(
        self,
        results: str,
        control: str,
        consumer: str,
        *,
        station: str = "",
        origin: Literal["now", "oldest"] = "now",
        take_over: bool = False,
        ack_every: int = 100,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.state: State = "seeking"
        self.status: Status | None = None
        """The last heartbeat."""
        self.new = False
        """The station had no cursor of this name."""
        self.refused: Refused | None = None
        """Why nothing comes at present, if the station said so: its journal fails or is off, it is being stopped."""
        self._endpoints = results, control
        self._prefix = f"{station}/" if station else ""
        self._consumer, self._session = consumer, new_id()
        self._origin, self._take_over = origin, take_over
        self._clock = clock
        self._cursor = Cursor(consumer, self._session, ack_every, clock)
        self._sequence: Sequence | None = None
        self._past: deque[int] = deque(maxlen=_PAST_EPOCHS)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._patient_until_us = clock.now_us() + _PATIENCE_US
        self._left_us = clock.now_us()
        self._open()

    # ---- what a consumer calls

    def next(self, timeout_s: float) -> Delivered | Missed | None:
        """
        Return what comes next; None when nothing does for *timeout_s*, as while the station is not there.

        Call it at least every LEASE_S: who was away for longer begins again with attach and replay, losing nothing
        but the liveness of what was published meanwhile.

        Raises:
            NameTaken: another consumer has this name, or had it while we were away.
            RequestRefused: for good, as a position ahead of the station's journal.
            WireError: a message is not what the protocol says.
        """
        give_up = time.monotonic() + timeout_s
        self._come_back()
        while True:
            self._attend()
            item = self._taken()
            left_s = give_up - time.monotonic()
            if item is not None or left_s <= 0:
                self._left_us = self._clock.now_us()
                return item
            self._wait(left_s)

    def acknowledge(self, delivered: Delivered) -> None:
        """
        Say that this verdict and all before it are dealt with: they will not come again, to no process.

        Durable after ``flush``, or by itself a little later; what is not in the station's journal yet waits for that.
        """
        if self._sequence is None or delivered.number > self._sequence.delivered:
            raise ValueError(f"verdict {delivered.verdict.seq} was not delivered by this subscription")
        self._sequence.acknowledge(delivered.number)
        if self.state in ("replaying", "live"):
            self._cursor.move(self._sequence, self._inquiry)

    def flush(self, timeout_s: float) -> bool:
        """Wait until the cursor is durable behind all that is acknowledged and journaled; say whether it is."""
        give_up = time.monotonic() + timeout_s
        self._come_back()
        while not (settled := self._settled()) and (left_s := give_up - time.monotonic()) > 0:
            self._attend(at_once=True)
            self._seek()
            self._wait(left_s)
        self._left_us = self._clock.now_us()
        return settled

    def close(self) -> None:
        """Flush and give the name back, if the station answers within 1 s; close."""
        try:
            if self.state in ("replaying", "live") and self.flush(1.0):
                self._detach()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close as a kill would: what is not durably acknowledged comes again, the name is free when its lease ends."""
        self._close_sockets()
        self._context.destroy(linger=0)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Delivered | Missed:
        while True:
            item = self.next(timeout_s=1.0)
            if item is not None:
                return item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- beginning, and beginning again

    def _open(self) -> None:
        self.state = "seeking"
        self._present: int | None = None
        self._doubted: int | None = None
        self._held: Verdict | None = None
        self._sought = False
        self._page: deque[Missing | Verdict] = deque()
        self._page_answer: Replayed | None = None
        self._leased_us = self._heard_us = self._replayed_us = self._clock.now_us()
        results, control = self._endpoints
        try:
            self._results = _subscribed(self._context, results, self._prefix)
            self._inquiry = Inquiry(control, self._context, self._clock)
        except ConfigurationError:
            self._context.destroy(linger=0)
            raise

    def _begin_again(self) -> None:
        """Take new sockets: what waits in the old ones may be as old as our absence or the station's."""
        self._close_sockets()
        self._open()

    def _close_sockets(self) -> None:
        self._results.close(0)
        self._inquiry.close()

    def _come_back(self) -> None:
        """Begin again after an absence longer than the lease; a shorter one is no silence of the station."""
        away_us = self._clock.now_us() - self._left_us
        self._left_us += away_us
        self._heard_us += away_us
        if away_us > _LEASE_US and self.state != "seeking":
            self._begin_again()

    def _attend(self, at_once: bool = False) -> None:
        """Take answers, send what is due, and begin again when the station or our lease is gone."""
        while (answered := self._inquiry.answered()) is not None:
            if self.state != "live" or self._held is not None:
                self._heard_us = self._clock.now_us()
            self._take(answered)
        if self.state == "seeking":
            return
        now_us = self._clock.now_us()
        leased = self.state == "attaching" or now_us - self._leased_us <= _LEASE_US
        if not leased or now_us - self._heard_us > _SILENCE_US:
            self._begin_again()
            return
        self._inquiry.repeat()
        if self.state != "attaching":
            if now_us - self._leased_us > _RENEW_US and not self._inquiry.asks(Attach):
                self._ask_for_name()
            if self._sequence is not None:
                self._cursor.move(self._sequence, self._inquiry, at_once)

    def _wait(self, left_s: float) -> None:
        poller = zmq.Poller()
        poller.register(self._inquiry.socket, zmq.POLLIN)
        if self.state == "seeking" or (self.state == "live" and self._held is None):
            poller.register(self._results, zmq.POLLIN)
        poller.poll(min(max(round(left_s * 1000), 1), _TICK_MS))

    # ---- requests and their answers

    def _attach(self) -> None:
        self.state = "attaching"
        self._page.clear()
        self._page_answer = None
        self._heard_us = self._clock.now_us()
        self._ask_for_name()

    def _ask_for_name(self) -> None:
        self._inquiry.ask(
            Attach(
                version=1,
                id=new_id(),
                consumer=self._consumer,
                session=self._session,
                # Later the name is new only if the journal was lost: nothing of the new one may be skipped.
                origin=self._origin if self._sequence is None else "oldest",
                take_over=self._take_over and self._sequence is None,  # Once: else two would take it from each other.
            )
        )

    def _replay(self, sequence: Sequence) -> None:
        self.state = "replaying"
        self._heard_us = self._clock.now_us()
        position = sequence.position
        self._inquiry.ask(Replay(version=1, id=new_id(), epoch=position.epoch, seq=position.seq, limit=LONGEST_PAGE))

    def _detach(self) -> None:
        self._inquiry.ask(Detach(version=1, id=new_id(), consumer=self._consumer, session=self._session, forget=False))
        give_up = time.monotonic() + 1.0
        while self._inquiry.asks(Detach) and (left_s := give_up - time.monotonic()) > 0:
            self._inquiry.socket.poll(round(left_s * 1000))
            self._inquiry.answered()

    def _take(self, answered: Answered) -> None:
        answer = answered.answer
        if isinstance(answer, Refused):
            self._take_refusal(answered, answer)
        elif isinstance(answer, Attached):
            self._leased_us = answered.sent_us
            self._take_name(answer)
        elif isinstance(answer, Replayed) and self._sequence is not None and self.state == "replaying":
            self.refused = None
            self._take_page(self._sequence, answer, verdicts_from_payload(answer, answered.payload))
        elif isinstance(answer, Acknowledged):
            self._leased_us = answered.sent_us
            self._cursor.stored(answer)

    def _take_refusal(self, answered: Answered, refused: Refused) -> None:
        if refused.code is Refusal.NOT_ATTACHED and isinstance(answered.request, Ack):
            self._attach()  # The station was restarted; it knows cursors, but no sessions.
        elif refused.code is Refusal.UNKNOWN_EPOCH and isinstance(answered.request, Ack):
            self._cursor.unknown()
        elif refused.code in _FOR_NOW or (refused.code is Refusal.NAME_TAKEN and self._is_patient()):
            self.refused = refused
            self._inquiry.ask_later(answered.request, _REFUSED_AGAIN_US)
        elif refused.code is Refusal.NAME_TAKEN:
            raise NameTaken(refused.code.value, refused.text)
        else:
            raise RequestRefused(refused.code.value, refused.text)

    def _is_patient(self) -> bool:
        return self._sequence is None and self._clock.now_us() < self._patient_until_us

    def _take_name(self, answer: Attached) -> None:
        if self._sequence is None:
            self._sequence = Sequence(Position(answer.epoch, answer.seq))
            self._cursor.begin(answer)
            self.new = answer.new
        else:
            self._cursor.resume(answer)
        if self.state == "attaching" or answer.live_epoch != self._present:
            self._enter(answer.live_epoch)
            self._replay(self._sequence)

    def _enter(self, epoch: int) -> None:
        """Take the present epoch; any other that we heard of is over: what still comes of it is not wanted."""
        for other in (self._present, self._doubted):
            if other is not None and other != epoch and other not in self._past:
                self._past.append(other)
        self._present, self._doubted = epoch, None

    def _take_page(self, sequence: Sequence, answer: Replayed, verdicts: tuple[Verdict, ...]) -> None:
        places = [Position(verdict.epoch, verdict.seq) for verdict in verdicts]
        if answer.missing is None and places and places[0].epoch == sequence.position.epoch:
            places.insert(0, sequence.position)
        for before, after in pairwise(places):
            if after.seq != before.seq + 1:
                raise WireError(
                    f"replay goes from verdict {before.seq} to {after.seq}, expected no hole: do not use it"
                )
        self._page.extend([answer.missing] if answer.missing is not None else [])
        self._page.extend(verdicts)
        self._page_answer = answer

    # ---- what comes next

    def _taken(self) -> Delivered | Missed | None:
        self._seek()
        if self._sequence is None:
            return None
        if self.state == "replaying":
            item = self._from_page(self._sequence)
            if item is not None:
                return item
        return self._from_live(self._sequence) if self.state == "live" else None

    def _seek(self) -> None:
        """Wait for a heartbeat: the station is there, and what it publishes from now on reaches us."""
        while self.state == "seeking" and self._results.poll(0):
            message = message_from_frames(self._results.recv_multipart())
            if isinstance(message, Status):
                self.status = message
                self._attach()

    def _from_page(self, sequence: Sequence) -> Delivered | Missed | None:
        while self._page:
            given = self._page.popleft()
            if isinstance(given, Missing):
                missed = sequence.deliver_missing(given)
                if missed is not None:
                    return missed
            elif (number := sequence.deliver_replayed(given.epoch, given.seq)) is not None:
                return self._delivered(given, number)
        if self._page_answer is not None:
            self._end_page(sequence, self._page_answer)
        return None

    def _delivered(self, given: Verdict, number: int) -> Delivered:
        """Deliver a replayed verdict; the one that showed the hole was heard live, and may still be in time."""
        held = self._held
        if held is not None and (held.epoch, held.seq) == (given.epoch, given.seq) and held.epoch == self._present:
            self._held = None
            return Delivered(held, number, True, self._inquiry.offset(), self._clock)
        return Delivered(given, number, False, None, self._clock)

    def _end_page(self, sequence: Sequence, answer: Replayed) -> None:
        self._page_answer = None
        sequence.stand(Position(answer.epoch, answer.seq))
        # A page that ends in an older epoch: only an empty one says where the present one begins.
        if answer.end and (answer.count == 0 or answer.epoch == self._present):
            self.state = "live"
            self._heard_us = self._replayed_us = self._clock.now_us()
        else:
            self._replay(sequence)

    def _from_live(self, sequence: Sequence) -> Delivered | None:
        while self.state == "live":
            if self._held is None and not self._receive(sequence):
                return None
            if self._held is not None and (delivered := self._try_held(sequence, self._held)) is not None:
                return delivered
            if self._held is not None:
                return None
        return None

    def _receive(self, sequence: Sequence) -> bool:
        """Take one message; False when there is none."""
        if not self._results.poll(0):
            return False
        message = message_from_frames(self._results.recv_multipart())
        self._heard_us = self._clock.now_us()
        if isinstance(message, Verdict):
            self._held, self._sought = message, False
        elif isinstance(message, Status):
            self._note_status(sequence, message)
        return True

    def _note_status(self, sequence: Sequence, status: Status) -> None:
        self.status = status
        if status.epoch != self._present:
            if status.epoch not in self._past:
                self._doubted = status.epoch
                self._attach()
            return
        sequence.prove(status.epoch, status.journaled_seq)
        if status.seq > sequence.last_seq(status.epoch):
            self._replay(sequence)

    def _try_held(self, sequence: Sequence, verdict: Verdict) -> Delivered | None:
        """Deliver a live verdict if it is the next one, drop it if it is not wanted, or find out what lies between."""
        if verdict.epoch != self._present:
            if verdict.epoch in self._past:
                self._held = None
            else:
                self._doubted = verdict.epoch
                self._attach()
        elif sequence.had(verdict.epoch, verdict.seq):
            self._held = None
        elif sequence.follows(verdict.epoch, verdict.seq):
            self._held = None
            number = sequence.deliver_live(verdict.epoch, verdict.seq, verdict.journaled)
            return Delivered(verdict, number, True, self._inquiry.offset(), self._clock)
        elif not self._sought or self._clock.now_us() - self._replayed_us >= _REPLAY_AGAIN_US:
            self._sought = True
            self._replay(sequence)
        return None

    def _settled(self) -> bool:
        return self._sequence is None or self._cursor.settled(self._sequence)


def _subscribed(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, prefix: str) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.SUB)
    # No limit: with one libzmq 4.3.5 can abort the process when the station goes (edge/station/control.py).
    socket.rcvhwm = 0
    for kind in ("verdict", "status"):  # The status last: its answer proves both.
        socket.subscribe(f"{kind}/{prefix}")
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        socket.close(0)
        raise ConfigurationError(
            f"endpoint '{endpoint}': {error.strerror}; expected an address like tcp://127.0.0.1:5556"
        ) from error
    return socket
