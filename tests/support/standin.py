"""A station that keeps its journal in a list, and that crashes, prunes and loses messages when it is told to."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import zmq

from edge.clock import SYSTEM_CLOCK
from edge.records import Outcome, Verdict
from edge.requests import Ack, AnyAnswer, AnyRequest, Attach, Detach, Refusal, Refused, Replay
from edge.station.consumers import Consumers, Due, replay_from_page
from edge.station.entries import BEGINNING, Gap, Page, Position
from edge.wire import Unreadable, frame_from_request, frames_from_answer, frames_from_message, request_from_frame
from tests.support.records import status, verdict
from tests.support.station import FakeClock

PATIENCE_S = 20.0
BUDGET_US = 60_000_000
START_UTC_US = 1_700_000_000_000_000
"""When its machine was started."""


class ListJournal:
    """What Consumers asks of a journal, and pages of it; outlives the station."""

    def __init__(self) -> None:
        self.records: list[Verdict] = []
        self.epochs: list[tuple[int, int]] = []
        self.cursors: dict[str, Position] = {}
        self.lost: list[tuple[int, int]] = []
        self.failing = ""
        self.durable_seq = 0

    @property
    def epoch(self) -> int:
        return self.epochs[-1][0]

    def cursor(self, consumer: str, position: Position | None) -> int:
        if position is None:
            del self.cursors[consumer]
        else:
            self.cursors[consumer] = position
        return 0

    def append(self, given: Verdict) -> None:
        self.records.append(given)
        self.durable_seq = given.seq

    def page(self, after: Position, limit: int, newest_seq: int) -> Page:
        """Return what the real journal does (edge/station/pages.py)."""
        seq, unknown = self._place(after)
        if seq > max(newest_seq, self.durable_seq):
            return Page(last=Position(self.epoch, self.durable_seq), end=True, ahead=True)
        given = [record for record in self.records if record.seq > seq][:limit]
        gap = Gap(None, None, "unknown epoch") if unknown else None
        first = given[0].seq if given else max(self.durable_seq, seq) + 1
        if after != BEGINNING and not unknown and first > seq + 1:
            gap = Gap(seq + 1, first - 1, "retention")
        records = tuple(msgspec.json.encode(record) for record in given)
        last = Position(given[-1].epoch, given[-1].seq) if given else Position(self.epoch, first - 1)
        return Page(records=records, last=last, gap=gap, end=last.seq >= self.durable_seq)

    def _place(self, after: Position) -> tuple[int, bool]:
        if after == BEGINNING:
            return 0, False
        known = [epoch for epoch, _ in self.epochs]
        if after.epoch not in known:
            return 0, True
        following = self.epochs[known.index(after.epoch) + 1 :]
        return (min(after.seq, following[0][1] - 1) if following else after.seq), False


class StandIn:
    """
    Real sockets, served by a thread; every method is carried out by that thread and has happened when it returns.

    Args:
        beat_s: seconds between heartbeats.
    """

    def __init__(self, folder: Path, beat_s: float = 0.05) -> None:
        self.results, self.control = f"ipc://{folder}/results", f"ipc://{folder}/control"
        self.journal = ListJournal()
        self.asked: Counter[type[AnyRequest]] = Counter()
        self.swallow: Counter[type[AnyRequest]] = Counter()
        """So many answers of a kind are not given."""
        self.refuse: dict[type[AnyRequest], Refusal] = {}
        self.silent = False
        self.clock_ahead_us = 0
        self.lease_clock = FakeClock()
        """Leases end when it is moved."""
        self.page = 1000
        self._waiting: list[Verdict] = []
        self._epochs_begun = 0
        self._part = 0
        self._beat_ms = round(beat_s * 1000)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._orders: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]]] = queue.SimpleQueue()
        self._wake, self._woken = self._context.socket(zmq.PAIR), self._context.socket(zmq.PAIR)
        self._woken.bind("inproc://orders")
        self._wake.connect("inproc://orders")
        self._up = self._ended = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.start()

    # ---- what a test tells it

    def start(self, *, continued: bool = False) -> None:
        """Bind, and begin a new epoch, unless the last run ended clean."""
        self._order(lambda: self._start(continued))

    def crash(self, *, journal_lost: bool = False) -> None:
        """Die: what was not journaled is gone; *journal_lost*: all of it."""
        self._order(lambda: self._crash(journal_lost))

    def publish(self, n: int = 1, *, journaled: bool = True, lost: bool = False, **changes: Any) -> list[Verdict]:
        """Give verdicts; *lost*: nobody hears them. Returns them as they are sent."""
        return self._order(lambda: [self._publish(journaled, lost, changes) for _ in range(n)])  # type: ignore[no-any-return]

    def write(self, n: int = 1_000_000) -> None:
        """Journal the oldest *n* of what waits for it."""
        self._order(lambda: self._write(n))

    def forget(self, n: int) -> None:
        """Drop the oldest *n* of the journal."""
        self._order(lambda: self.journal.records.__delitem__(slice(0, n)))

    def send(self, *given: Verdict) -> None:
        """Publish these as they are."""
        self._order(lambda: [self._results.send_multipart(frames_from_message(one)) for one in given])

    def close(self) -> None:
        if self._up:
            self.crash()
        self._ended = True
        self._order(lambda: None)
        self._thread.join()
        self._context.destroy(linger=0)

    @property
    def positions(self) -> list[tuple[int, int]]:
        return [(record.epoch, record.seq) for record in self.journal.records]

    # ---- the thread

    def _order(self, order: Callable[[], Any]) -> Any:
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._orders.put((order, done))
        self._wake.send(b"")
        return done.get(timeout=PATIENCE_S)

    def _serve(self) -> None:
        while not self._ended:
            sockets = [self._woken, *([self._results, self._control] if self._up else [])]
            poller = zmq.Poller()
            for socket in sockets:
                poller.register(socket, zmq.POLLIN)
            ready = dict(poller.poll(self._beat_ms))
            if self._woken in ready:
                self._woken.recv()
                order, done = self._orders.get()
                done.put(order())
            elif not self._up or self.silent:
                continue
            elif self._control in ready:
                self._answer(self._control.recv_multipart())
            else:
                if self._results in ready:
                    self._results.recv()
                self._beat()

    def _start(self, continued: bool) -> None:
        self._results, self._control = self._context.socket(zmq.XPUB), self._context.socket(zmq.ROUTER)
        self._results.xpub_verbose = True
        self._results.bind(self.results)
        self._control.bind(self.control)
        if not continued:
            self._epochs_begun += 1
            # Falling: who compares epochs instead of asking goes wrong.
            self.journal.epochs.append((1000 - self._epochs_begun, self.journal.durable_seq + 1))
        self._seq = self.journal.durable_seq
        self._consumers = Consumers(self.journal, self.lease_clock)
        self._up = True

    def _crash(self, journal_lost: bool) -> None:
        self._results.close(0)
        self._control.close(0)
        self._waiting.clear()
        self._up = False
        if journal_lost:
            self.journal = ListJournal()

    def _publish(self, journaled: bool, lost: bool, changes: dict[str, Any]) -> Verdict:
        self._seq += 1
        self._part += 1
        now_us = SYSTEM_CLOCK.now_us() + self.clock_ahead_us
        values = {"part": self._part, "trigger_us": now_us - 5000, "deadline_us": now_us + BUDGET_US}
        values |= {"published_us": now_us, "utc_us": START_UTC_US + now_us, "outcome": Outcome.PASS}
        values |= {"journaled": journaled}
        given = verdict(self._seq, epoch=self.journal.epoch, **(values | changes))
        self._waiting.append(given)
        if journaled:
            self._write(len(self._waiting))
        if not lost:
            self._results.send_multipart(frames_from_message(given))
        return given

    def _write(self, n: int) -> None:
        for given in self._waiting[:n]:
            self.journal.append(given)
        del self._waiting[:n]

    def _beat(self) -> None:
        sent_us = SYSTEM_CLOCK.now_us() + self.clock_ahead_us
        times = {"sent_us": sent_us, "utc_us": START_UTC_US + sent_us}
        beat = status(self._seq, epoch=self.journal.epoch, journaled_seq=self.journal.durable_seq, **times)
        self._results.send_multipart(frames_from_message(beat))

    def _answer(self, frames: Sequence[bytes]) -> None:
        request = request_from_frame(frames[-1])
        assert not isinstance(request, Unreadable), request
        self.asked[type(request)] += 1
        answer, payload = self._answer_to(request)
        if self.swallow[type(request)] > 0:
            self.swallow[type(request)] -= 1
            return
        answer = msgspec.structs.replace(answer, now_us=SYSTEM_CLOCK.now_us() + self.clock_ahead_us)
        self._control.send_multipart([frames[0], *frames_from_answer(answer, payload)])

    def _answer_to(self, request: AnyRequest) -> tuple[AnyAnswer, list[bytes]]:
        if type(request) in self.refuse:
            code = self.refuse[type(request)]
            return Refused(version=1, id=request.id, now_us=0, code=code, text="as told"), []
        if isinstance(request, Replay):
            after = Position(request.epoch, request.seq)
            page = self.journal.page(after, min(request.limit, self.page), self._seq)
            return replay_from_page(request, page)
        due: Due | Refused
        if isinstance(request, Attach):
            due = self._consumers.attach(request, Position(self.journal.epoch, self._seq))
        elif isinstance(request, Ack):
            due = self._consumers.ack(request)
        else:
            assert isinstance(request, Detach), request
            due = self._consumers.detach(request)
        return (due if isinstance(due, Refused) else due.answer), []


def attach_as_another(station: StandIn, consumer: str, *, take_over: bool) -> bytes:
    """Ask for a name from elsewhere; return the answer's bytes."""
    request = Attach(version=1, id="other", consumer=consumer, session="other", origin="now", take_over=take_over)
    with zmq.Context() as context, context.socket(zmq.DEALER) as asker:
        asker.linger = 0
        asker.connect(station.control)
        asker.send(frame_from_request(request))
        assert asker.poll(PATIENCE_S * 1000)
        return asker.recv_multipart()[0]
