"""What is done with each request: looked up in one table, refused in one line, answered when it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge.clock import Clock
from edge.errors import WireError
from edge.records import VERSION
from edge.requests import (
    Ack,
    AnyAnswer,
    AskStatus,
    Attach,
    Challenge,
    Detach,
    Done,
    Expect,
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
    UseRecipe,
)
from edge.station.cameras import Cameras
from edge.station.challenges import Challenges
from edge.station.changes import Changes
from edge.station.condition import Condition
from edge.station.consumers import Consumers, Due, replay_from_page
from edge.station.control import Asked, Control
from edge.station.entries import Page, Position
from edge.station.expected import Expecting
from edge.station.firing import Firing
from edge.station.journal import Journal
from edge.station.maintenance import Maintenance
from edge.station.nojournal import Records
from edge.station.registrar import Registrar
from edge.station.reporter import Reporter

# A flood of requests must not keep the loop from its deadlines.
_REQUESTS_A_CYCLE = 32
_SERVING_US = 3000
# An answer waits no longer than this for the journal; it then says that it did not come to it.
_ANSWER_WAIT_US = 1_000_000


class Desk:
    """
    Args:
        changed: called when something was done that the heartbeat shows.
    """

    def __init__(
        self,
        control: Control,
        journal: Records,
        registrar: Registrar,
        firing: Firing,
        expecting: Expecting,
        changes: Changes,
        maintenance: Maintenance,
        challenges: Challenges,
        cameras: Cameras,
        reporter: Reporter,
        condition: Condition,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._control = control
        self._journal = journal
        self._registrar = registrar
        self._firing = firing
        self._changes = changes
        self._maintenance = maintenance
        self._challenges = challenges
        self._cameras = cameras
        self._reporter = reporter
        self._condition = condition
        self._clock = clock
        self._changed = changed
        self._consumers = Consumers(journal if isinstance(journal, Journal) else None, clock)
        self._handlers: dict[type[Request], Callable[[Asked, Any], None]] = {
            Trigger: firing.ask,
            Expect: expecting.ask,
            Challenge: self._challenge,
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

    @property
    def waits(self) -> bool:
        """Requests have been read that ``serve`` has not taken yet."""
        return self._control.waits

    def serve(self) -> None:
        """Take the requests that have come, so many at most, and answer those whose pages were read."""
        self._control.read()
        until_us = self._clock.now_us() + _SERVING_US
        for _ in range(_REQUESTS_A_CYCLE):
            asked = self._control.receive()
            if asked is None:
                break
            self._handlers[type(asked.request)](asked, asked.request)
            if self._clock.now_us() >= until_us:
                break
        for key, page in self._journal.answered():
            assert isinstance(key, Asked)
            self._give(key, page)

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

    def _challenge(self, asked: Asked, request: Challenge) -> None:
        if self._condition.stopping:
            self._refuse(asked, Refusal.STOPPING, "the station is being stopped")
            return
        recipe = self._registrar.recipe
        given = self._challenges.give(request, "" if recipe is None else recipe.hash, self._registrar.bundle_hash)
        if isinstance(given, str):
            self._refuse(asked, Refusal.CHALLENGE, given)
        else:
            self._control.answer(asked, given)

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
        independent = (*self._cameras.independent(), *self._firing.independent())
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
