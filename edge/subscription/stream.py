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
from types import TracebackType
from typing import Literal, TypeAlias

import zmq
from typing_extensions import Self

from edge.clock import SYSTEM_CLOCK, Clock
from edge.control import Offset, new_id
from edge.errors import ConfigurationError, NameTaken, RequestRefused
from edge.records import Status, Verdict
from edge.requests import LONGEST_PAGE, Ack, Acknowledged, Attached, Refusal, Refused, Replay, Replayed
from edge.subscription.cursor import Cursor
from edge.subscription.delivered import Delivered
from edge.subscription.epochs import Epochs
from edge.subscription.inquiry import Answered, Inquiry
from edge.subscription.lease import LEASE_US, Lease
from edge.subscription.listener import Listener
from edge.subscription.page import Page
from edge.subscription.sequence import Missed, Position, Sequence
from edge.wire import verdicts_from_payload

State: TypeAlias = Literal["seeking", "attaching", "replaying", "live"]

# Three heartbeats.
_SILENCE_US = 3_000_000
# What is lost and not journaled yet is there when it is: ask again so often.
_REPLAY_AGAIN_US = 100_000
_REFUSED_AGAIN_US = 500_000
_TICK_MS = 50
# Two starts of a machine are further apart; what the wall clock is corrected by in a run seldom is.
_SAME_START_US = 1_000_000
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
        self._station = station
        self._clock = clock
        session = new_id()
        self._lease = Lease(consumer, session, origin, take_over, clock)
        self._cursor = Cursor(consumer, session, ack_every, clock)
        self._sequence: Sequence | None = None
        self._epochs = Epochs()
        self._page = Page()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
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
                self._lease.give_back(self._inquiry)
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
        self._held: Verdict | None = None
        self._sought = False
        self._epochs.begin()
        self._page.drop()
        self._lease.begin()
        self._heard_us = self._replayed_us = self._clock.now_us()
        results, control = self._endpoints
        try:
            self._listener = Listener(results, self._station, self._context)
            self._inquiry = Inquiry(control, self._context, self._clock)
        except ConfigurationError:
            self._context.destroy(linger=0)
            raise

    def _begin_again(self) -> None:
        """Take new sockets: what waits in the old ones may be as old as our absence or the station's."""
        self._close_sockets()
        self._open()

    def _close_sockets(self) -> None:
        self._listener.close()
        self._inquiry.close()

    def _come_back(self) -> None:
        """Begin again after an absence longer than the lease; a shorter one is no silence of the station."""
        away_us = self._clock.now_us() - self._left_us
        self._left_us += away_us
        self._heard_us += away_us
        if away_us > LEASE_US and self.state != "seeking":
            self._begin_again()

    def _attend(self, at_once: bool = False) -> None:
        """Take answers, send what is due, and begin again when the station or our lease is gone."""
        while (answered := self._inquiry.answered()) is not None:
            if self.state != "live" or self._held is not None:
                self._heard_us = self._clock.now_us()
            self._take(answered)
        if self.state == "seeking":
            return
        lost = self.state != "attaching" and self._lease.is_over
        if lost or self._clock.now_us() - self._heard_us > _SILENCE_US:
            self._begin_again()
            return
        self._inquiry.repeat()
        if self.state != "attaching":
            self._lease.renew(self._inquiry)
            if self._sequence is not None:
                self._cursor.move(self._sequence, self._inquiry, at_once)

    def _wait(self, left_s: float) -> None:
        poller = zmq.Poller()
        poller.register(self._inquiry.socket, zmq.POLLIN)
        if self.state == "seeking" or (self.state == "live" and self._held is None):
            poller.register(self._listener.socket, zmq.POLLIN)
        poller.poll(min(max(round(left_s * 1000), 1), _TICK_MS))

    # ---- requests and their answers

    def _attach(self) -> None:
        self.state = "attaching"
        self._page.drop()
        self._heard_us = self._clock.now_us()
        self._lease.ask(self._inquiry)

    def _replay(self, sequence: Sequence) -> None:
        self.state = "replaying"
        self._heard_us = self._clock.now_us()
        position = sequence.position
        self._inquiry.ask(Replay(version=1, id=new_id(), epoch=position.epoch, seq=position.seq, limit=LONGEST_PAGE))

    def _take(self, answered: Answered) -> None:
        answer = answered.answer
        if isinstance(answer, Refused):
            self._take_refusal(answered, answer)
        elif isinstance(answer, Attached):
            self._lease.granted(answered.sent_us)
            self._take_name(answer)
        elif isinstance(answer, Replayed) and self._sequence is not None and self.state == "replaying":
            self.refused = None
            self._page.take(self._sequence.position, answer, verdicts_from_payload(answer, answered.payload))
        elif isinstance(answer, Acknowledged):
            self._lease.granted(answered.sent_us)
            self._cursor.stored(answer)

    def _take_refusal(self, answered: Answered, refused: Refused) -> None:
        if refused.code is Refusal.NOT_ATTACHED and isinstance(answered.request, Ack):
            self._attach()  # The station was restarted; it knows cursors, but no sessions.
        elif refused.code is Refusal.UNKNOWN_EPOCH and isinstance(answered.request, Ack):
            self._cursor.unknown()
        elif refused.code in _FOR_NOW or (refused.code is Refusal.NAME_TAKEN and self._lease.is_patient):
            self.refused = refused
            self._inquiry.ask_later(answered.request, _REFUSED_AGAIN_US)
        elif refused.code is Refusal.NAME_TAKEN:
            raise NameTaken(refused.code.value, refused.text)
        else:
            raise RequestRefused(refused.code.value, refused.text)

    def _take_name(self, answer: Attached) -> None:
        if self._sequence is None:
            self._sequence = Sequence(Position(answer.epoch, answer.seq))
            self._cursor.begin(answer)
            self.new = answer.new
        else:
            self._cursor.resume(answer)
        if self.state == "attaching" or answer.live_epoch != self._epochs.present:
            self._epochs.enter(answer.live_epoch)
            self._replay(self._sequence)

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
        while self.state == "seeking" and (message := self._listener.receive()) is not None:
            if isinstance(message, Status):
                self.status = message
                self._attach()

    def _from_page(self, sequence: Sequence) -> Delivered | Missed | None:
        given = self._page.deliver(sequence)
        if given is None and self._page.answer is not None:
            self._end_page(sequence, self._page.answer)
        return self._delivered(*given) if isinstance(given, tuple) else given

    def _delivered(self, given: Verdict, number: int) -> Delivered:
        """Deliver a replayed verdict; the one that showed the hole was heard live, and may still be in time."""
        held = self._held
        heard = held is not None and (held.epoch, held.seq) == (given.epoch, given.seq)
        if held is not None and heard and held.epoch == self._epochs.present:
            self._held = None
            return Delivered(held, number, True, self._inquiry.offset(), self._clock)
        return Delivered(given, number, False, self._offset_of(given), self._clock)

    def _offset_of(self, given: Verdict) -> Offset | None:
        """
        Return the clock's offset, if it holds for a replayed verdict: if its machine has not been started anew since.

        By the wall clock: when the monotonic one was zero differs between two starts. It is only shown, nobody acts by
        it, so that a wall clock that was set in between costs the age and nothing else.
        """
        if self.status is None:
            return None
        apart_us = (given.utc_us - given.published_us) - (self.status.utc_us - self.status.sent_us)
        return self._inquiry.offset() if abs(apart_us) <= _SAME_START_US else None

    def _end_page(self, sequence: Sequence, answer: Replayed) -> None:
        self._page.drop()
        sequence.stand(Position(answer.epoch, answer.seq))
        # A page that ends in an older epoch: only an empty one says where the present one begins.
        if answer.end and (answer.count == 0 or answer.epoch == self._epochs.present):
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
        message = self._listener.receive()
        if message is None:
            return False
        self._heard_us = self._clock.now_us()
        if isinstance(message, Verdict):
            self._held, self._sought = message, False
        elif isinstance(message, Status):
            self._note_status(sequence, message)
        return True

    def _note_status(self, sequence: Sequence, status: Status) -> None:
        self.status = status
        if status.epoch != self._epochs.present:
            if not self._epochs.is_over(status.epoch):
                self._epochs.doubt(status.epoch)
                self._attach()
            return
        sequence.prove(status.epoch, status.journaled_seq)
        if status.seq > sequence.last_seq(status.epoch):
            self._replay(sequence)

    def _try_held(self, sequence: Sequence, verdict: Verdict) -> Delivered | None:
        """Deliver a live verdict if it is the next one, drop it if it is not wanted, or find out what lies between."""
        if verdict.epoch != self._epochs.present:
            if self._epochs.is_over(verdict.epoch):
                self._held = None
            else:
                self._epochs.doubt(verdict.epoch)
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
