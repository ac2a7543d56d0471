"""What is done with each request: looked up in one table, refused in one line, answered when it is done."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from edge.clock import Clock
from edge.errors import WireError
from edge.records import VERSION, AuditEvent
from edge.requests import (
    Ack,
    AnyAnswer,
    AskStatus,
    Attach,
    Detach,
    Done,
    Ledger,
    LedgerAnswer,
    Pause,
    Refusal,
    Refused,
    Reload,
    Replay,
    Request,
    Selftest,
    StatusAnswer,
    Trigger,
    Triggered,
    UseRecipe,
)
from edge.settings import Station
from edge.station.cameras import Cameras, Count
from edge.station.changes import Changes
from edge.station.condition import Condition
from edge.station.consumers import Consumers, Due, replay_from_page
from edge.station.control import Asked, Control
from edge.station.entries import Page, Position
from edge.station.journal import Journal
from edge.station.maintenance import Maintenance
from edge.station.nojournal import Records
from edge.station.registrar import Registrar
from edge.station.reporter import Reporter
from edge.station.triggers import SOFTWARE, Triggers

# A flood of requests must not keep the loop from its deadlines.
_REQUESTS_A_CYCLE = 32
# An answer waits no longer than this for the journal; it then says that it did not come to it.
_ANSWER_WAIT_US = 1_000_000
# Names of parts that are known to have been triggered: hours of a fast line.
_NAMES_KEPT = 20_000


class Desk:
    """
    Args:
        changed: called when something was done that the heartbeat shows.
    """

    def __init__(
        self,
        station: Station,
        control: Control,
        journal: Records,
        registrar: Registrar,
        triggers: Triggers,
        changes: Changes,
        maintenance: Maintenance,
        cameras: Cameras,
        reporter: Reporter,
        condition: Condition,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._station = station
        self._control = control
        self._journal = journal
        self._registrar = registrar
        self._triggers = triggers
        self._changes = changes
        self._maintenance = maintenance
        self._cameras = cameras
        self._reporter = reporter
        self._condition = condition
        self._clock = clock
        self._changed = changed
        self._consumers = Consumers(journal if isinstance(journal, Journal) else None, clock)
        self._counter = Count("counter", journal.last_counter)
        self._names: OrderedDict[str, int] = OrderedDict()
        self._handlers: dict[type[Request], Callable[[Asked, Any], None]] = {
            Trigger: self._trigger,
            Attach: self._attach,
            Replay: self._replay,
            Ack: lambda asked, request: self._when_durable(asked, self._consumers.ack(request)),
            Detach: lambda asked, request: self._when_durable(asked, self._consumers.detach(request)),
            UseRecipe: self._use_recipe,
            Pause: self._pause,
            Selftest: self._selftest,
            Reload: self._reload,
            Ledger: self._ledger,
            AskStatus: self._ask_status,
        }
        for request_id, entry in journal.remembered:
            self._control.remember(
                request_id,
                Triggered(
                    version=VERSION,
                    id=request_id,
                    now_us=0,
                    part=entry.part,
                    trigger_us=entry.trigger_us,
                    deadline_us=entry.deadline_us,
                    journaled=True,
                ),
                (entry.part_id, entry.tag, entry.counter),
            )
            self._remember(entry.part_id, entry.part)

    def serve(self) -> None:
        """Take the requests that have come, so many at most, and answer those whose pages were read."""
        for _ in range(_REQUESTS_A_CYCLE):
            asked = self._control.receive()
            if asked is None:
                break
            self._handlers[type(asked.request)](asked, asked.request)
        for key, page in self._journal.answered():
            assert isinstance(key, Asked)
            self._give(key, page)

    # ---- parts -----------------------------------------------------------------------------------------------

    def _trigger(self, asked: Asked, request: Trigger) -> None:
        refusal = self._refusal_of(request)
        if refusal is not None:
            self._registrar.count("bounced" if refusal[0] is Refusal.BOUNCED else "refused", request.mode)
            self._refuse(asked, *refusal)
            return
        asked_for = request.cameras or self._triggers.fired
        cameras = tuple(name for name in self._triggers.fired if name in asked_for)
        part, ticket = self._triggers.fire(request, cameras, self._condition.unable(cameras))
        self._remember(request.part_id, part.number)
        self._note_counter(request)

        def triggered(journaled: bool) -> Triggered:
            return Triggered(
                version=VERSION,
                id=request.id,
                now_us=0,
                part=part.number,
                trigger_us=part.trigger_us,
                deadline_us=part.deadline_us,
                journaled=journaled,
            )

        def answer(journaled: bool) -> None:
            # Not kept yet is no last word: whoever repeats the trigger learns when it is.
            renew = None if journaled else lambda: triggered(self._journal.kept(ticket))
            self._control.answer(asked, triggered(journaled), renew=renew)

        self._registrar.outbox.when_durable(ticket, part.deadline_us, answer)

    def _refusal_of(self, request: Trigger) -> tuple[Refusal, str] | None:
        """Return why no part is opened, None when one is."""
        if self._condition.stopping:
            return Refusal.STOPPING, "the station is being stopped; repeat it when it runs again"
        fault = self._fault_of_cameras(request.cameras)
        if fault is not None:
            return fault
        if request.part_id is not None and request.part_id in self._names:
            number = self._names[request.part_id]
            return Refusal.PART_ID_USED, f"part_id = {request.part_id}: it was part {number}; give each part its own"
        if self._triggers.bounces():
            limit = self._station.parts.debounce_ms
            return Refusal.BOUNCED, f"less than debounce_ms = {limit} after the last trigger; it is the same part"
        return None

    def _fault_of_cameras(self, asked: tuple[str, ...] | None) -> tuple[Refusal, str] | None:
        fired = self._triggers.fired
        if asked is None or not asked:
            return None if fired else (Refusal.NOT_TRIGGERED, f"no camera of the station has trigger = {SOFTWARE}")
        known = [camera.name for camera in self._station.cameras]
        for name in asked:
            if name not in known:
                return Refusal.UNKNOWN_CAMERA, f"camera '{name}': expected one of {', '.join(known)}"
            if name not in fired:
                return Refusal.NOT_TRIGGERED, f"camera '{name}': its trigger is not {SOFTWARE}; leave it out"
        return None

    def _note_counter(self, request: Trigger) -> None:
        if request.counter is None:
            return
        trusted = self._counter.trusted
        self._counter.taken += 1
        unseen = self._counter.note(request.counter)
        if unseen:
            self._registrar.count("unseen", request.mode, unseen)
            text = f"the line's counter is at {request.counter}: {unseen} triggers before it never came"
            self._reporter.audit(AuditEvent.UNSEEN, None, text, None)
        elif trusted and not self._counter.trusted:
            text = f"the line's counter jumped to {request.counter}; how many triggers are missing is not known"
            self._reporter.audit(AuditEvent.NUMBERS_JUMPED, None, text, None)

    def _remember(self, part_id: str | None, number: int) -> None:
        if part_id is not None:
            self._names[part_id] = number
            if len(self._names) > _NAMES_KEPT:
                self._names.popitem(last=False)

    # ---- consumers -------------------------------------------------------------------------------------------

    def _attach(self, asked: Asked, request: Attach) -> None:
        live = Position(self._journal.epoch, self._registrar.outbox.seq)
        self._when_durable(asked, self._consumers.attach(request, live))

    def _replay(self, asked: Asked, request: Replay) -> None:
        if not isinstance(self._journal, Journal):
            self._refuse(asked, Refusal.NOT_JOURNALED, "the journal is off: set journal.sync to normal or full")
            return
        if not self._journal.ask(asked, Position(request.epoch, request.seq), request.limit):
            self._refuse(asked, Refusal.BUSY, "many replays wait already: repeat it later")

    def _give(self, asked: Asked, page: Page) -> None:
        assert isinstance(asked.request, Replay)
        if page.fault:
            self._refuse(asked, Refusal.NOT_JOURNALED, f"the journal cannot be read there: {page.fault}")
            return
        try:
            answer, records = replay_from_page(asked.request, page)
        except WireError as error:
            self._refuse(asked, Refusal.NOT_JOURNALED, f"the journal cannot be read: {error}")
            return
        self._control.answer(asked, answer, records)

    def _when_durable(self, asked: Asked, due: Due | Refused) -> None:
        if isinstance(due, Refused):
            self._control.answer(asked, due)
            return

        def answer(durable: bool) -> None:
            if durable:
                self._control.answer(asked, due.answer)
            else:
                self._refuse(asked, Refusal.NOT_JOURNALED, "the journal cannot be written at present; repeat it later")

        self._registrar.outbox.when_durable(due.ticket, self._clock.now_us() + _ANSWER_WAIT_US, answer)

    # ---- people ----------------------------------------------------------------------------------------------

    def _use_recipe(self, asked: Asked, request: UseRecipe) -> None:
        if self._may_change(asked):
            self._changes.use_recipe(request.name, self._answer_of(asked))

    def _reload(self, asked: Asked, request: Reload) -> None:
        if self._may_change(asked):
            self._changes.use_bundle(request.bundle, self._answer_of(asked))

    def _selftest(self, asked: Asked, request: Selftest) -> None:
        if self._may_change(asked):
            self._changes.selftest(self._answer_of(asked))

    def _may_change(self, asked: Asked) -> bool:
        if self._condition.stopping:
            self._refuse(asked, Refusal.STOPPING, "the station is being stopped")
        elif self._changes.busy:
            self._refuse(
                asked, Refusal.BUSY, "a recipe, a bundle or a self-test is being tried; ask again when it is done"
            )
        else:
            return True
        return False

    def _answer_of(self, asked: Asked) -> Callable[[Refusal | None, str], None]:
        def answer(refusal: Refusal | None, text: str) -> None:
            if refusal is None:
                self._control.answer(asked, self._done(asked, text))
            else:
                self._refuse(asked, refusal, text)
            self._changed()

        return answer

    def _pause(self, asked: Asked, request: Pause) -> None:
        text = self._maintenance.ask(request)
        self._changed()
        self._control.answer(asked, self._done(asked, text))

    def _ledger(self, asked: Asked, request: Ledger) -> None:
        independent = self._cameras.independent()
        if self._triggers.fired:
            independent = (*independent, self._counter.line())
        rows = self._journal.ledger.rows(request.shifts)
        self._control.answer(
            asked, LedgerAnswer(version=VERSION, id=request.id, now_us=0, rows=rows, independent=independent)
        )

    def _ask_status(self, asked: Asked, request: AskStatus) -> None:
        status = self._reporter.described(self._condition.now())
        answer: AnyAnswer = StatusAnswer(version=VERSION, id=request.id, now_us=0, status=status)
        self._control.answer(asked, answer)

    def _done(self, asked: Asked, text: str) -> Done:
        return Done(version=VERSION, id=asked.request.id, now_us=0, text=text)

    def _refuse(self, asked: Asked, code: Refusal, text: str) -> None:
        self._control.answer(asked, Refused(version=VERSION, id=asked.request.id, now_us=0, code=code, text=text))
