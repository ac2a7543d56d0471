"""
The station's loop: one thread that opens parts, keeps their deadlines, claims and publishes. It runs no engine.

A cycle is: wait for whatever comes first, read what the inspector says, serve requests, answer what is due, let go what
is durable, look after the inspector, send the heartbeat. Every end of a part goes through the registrar's one claim.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from edge.clock import Clock
from edge.errors import BundleError, CameraError, ConfigurationError, EdgeError
from edge.inspector.link import (
    Begin,
    BundleTaken,
    CameraState,
    Captured,
    Failed,
    Opening,
    Progress,
    Ready,
    RecipeTaken,
    SelfTest,
    SelfTested,
    ToStation,
    ViewResult,
)
from edge.records import Alarm, AuditEvent, Mode, Reason, StationState
from edge.settings import Station
from edge.station.cameras import Cameras
from edge.station.changes import Changes
from edge.station.control import Control
from edge.station.desk import Desk
from edge.station.maintenance import Maintenance
from edge.station.nojournal import NoJournal, Records
from edge.station.publisher import Publisher
from edge.station.registrar import Registrar
from edge.station.reporter import Now, Reporter
from edge.station.supervisor import Proven, Supervisor
from edge.station.triggers import Triggers
from edge.station.verdicts import Identity
from edge.station.views import Views

log = logging.getLogger("edge.station")

# What a start may take: bundle, engines, parity and warm-up, on a slow machine.
_START_LIMIT_S = 120.0
# What is in hand when the station is stopped may still finish for so long.
_STOP_LIMIT_US = 2_000_000
# A flood of messages must not keep the loop from its deadlines.
_MESSAGES_A_CYCLE = 64
# What was answered last may still reach the journal before it leaves.
_LAST_COMMITS = 20
_LAST_COMMIT_US = 25_000
_FAILURES: dict[int, type[EdgeError]] = {2: ConfigurationError, 3: BundleError, 4: CameraError}


class Loop:
    """
    One station. ``run()`` returns the exit code.

    Args:
        station: settings.
        identity: name and epoch in every message.
        journal: open; its threads are started by the caller.
        trials: where recipes and bundles are tried.
        wait: returns when something has come, at the latest at the monotonic time it is given [us].
        once: end when every source has ended and every verdict is out.

    Attributes:
        stop_requested: set by the signal handler; the next cycle begins to stop.
    """

    def __init__(
        self,
        station: Station,
        identity: Identity,
        supervisor: Supervisor,
        publisher: Publisher,
        control: Control,
        reporter: Reporter,
        journal: Records,
        changes: Changes,
        maintenance: Maintenance,
        clock: Clock,
        wait: Callable[[int], None],
        *,
        once: bool = False,
    ) -> None:
        self._station = station
        self._identity = identity
        self._supervisor = supervisor
        self._publisher = publisher
        self._reporter = reporter
        self._journal = journal
        self._changes = changes
        self._clock = clock
        self._wait = wait
        self._once = once
        self._cameras = Cameras(station.cameras)
        self._maintenance = maintenance
        self._registrar = Registrar(station, identity, journal, publisher, clock, supervisor.order)
        self._views = Views(station, self._registrar, reporter, clock, supervisor.order)
        self._triggers = Triggers(station, self._registrar, self._views, reporter, clock, supervisor.order)
        self._desk = Desk(
            station,
            control,
            journal,
            self._registrar,
            self._triggers,
            changes,
            self._maintenance,
            self._cameras,
            reporter,
            clock,
            self._unable,
            lambda: reporter.described(self._now()),
            self._advance,
        )
        self._ready: Ready | None = None
        self._listened = station.replay.start == "immediately"
        self._begun = False
        self._ever_ready = False
        self._failure = ""
        self._proven: Proven | None = None
        self._silent = ""
        self._greet = False
        self._journal_failing = ""
        self._selftest_us: int | None = None
        self._stop_by_us: int | None = None
        self._ended = False
        self.stop_requested = False
        self._handlers: dict[type[ToStation], Callable[[Any], None]] = {
            Opening: self._on_opening,
            Ready: self._on_ready,
            Failed: self._on_failed,
            CameraState: self._on_camera,
            Captured: self._on_captured,
            Progress: self._views.progress,
            ViewResult: self._on_result,
            RecipeTaken: self._on_taken,
            BundleTaken: self._on_taken,
            SelfTested: self._on_selftested,
        }

    def run(self) -> int:
        """
        Run until stopped, or until everything has ended.

        Raises:
            EdgeError: the start failed and ``start = "require"``; nothing was inspected.
        """
        try:
            self.begin()
            while not self._finished():
                self.cycle()
        finally:
            self._end()
        return 0

    def begin(self) -> None:
        """Answer what an earlier run left open, before anything else."""
        if self._journal.set_aside is not None:
            text = f"the journal was damaged; it is kept as {self._journal.set_aside}, a new one has begun"
            self._reporter.audit(AuditEvent.JOURNAL_SET_ASIDE, None, text, None)
        for entry in self._journal.left_open:
            self._registrar.adopt(entry)

    def cycle(self) -> None:
        """Wait for the next event and handle everything that is due."""
        self._wait(self._due_us())
        self._hear()
        self._desk.serve()
        self._views.answer_due()
        self._registrar.outbox.flush()
        if self.stop_requested and self._stop_by_us is None:
            self._begin_stop()
        self._look_after_inspector()
        self._look_after_itself()
        self._serve_subscribers()
        # What the above has claimed need not wait for the next event.
        self._registrar.outbox.flush()
        self._reporter.feed_watchdog()

    def _due_us(self) -> int:
        """Return when something has to be done even if nothing comes."""
        due = [
            self._reporter.due_us(),
            self._registrar.parts.next_due_us(),
            self._registrar.outbox.due_us(),
            self._supervisor.start_at_us if self._stop_by_us is None else None,
            self._maintenance.due_us(),
            self._reporter.greeting_us() if self._greet else None,
            self._cameras.silence_due_us() if self._frames_are_due() and not self._silent else None,
            self._stop_by_us,
        ]
        return min(us for us in due if us is not None)

    def _hear(self) -> bool:
        """Read what has come, so much at most; return whether there is nothing more."""
        for _ in range(_MESSAGES_A_CYCLE):
            message = self._supervisor.receive()
            if message is None:
                return True
            if message.inspector == self._supervisor.number:
                self._handlers[type(message)](message)
        return False

    # ---- what the inspector says -----------------------------------------------------------------------------

    def _on_captured(self, message: Captured) -> None:
        passed = self._cameras.seen(message, self._clock.now_us())
        if passed:
            self._registrar.count("unseen", Mode.PRODUCTION, passed)
            text = f"camera {message.camera}: {passed} parts passed while it was closed, by its own count"
            self._reporter.audit(AuditEvent.UNSEEN, None, text, None)
        self._cameras.took(message.camera, self._triggers.captured(message))

    def _on_result(self, message: ViewResult) -> None:
        if self._views.result(message):
            self._supervisor.proved()

    def _on_opening(self, message: Opening) -> None:
        self._reporter.say(f"inspector {message.inspector}: {message.stage}")

    def _on_ready(self, message: Ready) -> None:
        self._ready = message
        self._proven = Proven(message.bundle_hash, message.recipe_hash)
        took = ", ".join(f"{stage} {ms} ms" for stage, ms in message.took_ms.items())
        log.info("inspector %d: %s; parity: %s; %s", message.inspector, message.backend, message.parity, took)
        self._changes.inspector_ready(message)
        self._registrar.bundle_hash = message.bundle_hash
        self._registrar.class_names = message.class_names
        self._advance()

    def _on_failed(self, message: Failed) -> None:
        self._failure = message.text
        self._start_failed(message.text, message.exit_code)

    def _on_camera(self, message: CameraState) -> None:
        before = self._cameras.note(message, self._clock.now_us())
        if message.state == "open":
            self._triggers.intake.opened_camera(message.camera, message.counts)
        if message.state == "failed" and before.state == "open":
            self._reporter.audit(AuditEvent.CAMERA_LOST, None, message.text, None)
        elif message.state != before.state:
            log.info("camera %s: %s: %s", message.camera, message.state, message.text)
        if message.state == "failed":
            self._start_failed(message.text, CameraError.exit_code)
        self._advance()

    def _on_taken(self, message: RecipeTaken | BundleTaken) -> None:
        if isinstance(message, RecipeTaken):
            self._changes.recipe_taken(message)
        else:
            self._changes.bundle_taken(message)
            if message.bundle_hash:
                self._registrar.bundle_hash = message.bundle_hash
                self._registrar.class_names = message.class_names
        if message.recipe_hash:
            self._proven = Proven(self._registrar.bundle_hash, message.recipe_hash)
        self._advance()

    def _on_selftested(self, message: SelfTested) -> None:
        self._changes.selftested(message)
        if not message.passed:
            # What these engines say of the parts in hand cannot be believed either.
            self._registrar.answer_all(Reason.SELFTEST, message.text)
        self._advance()

    def _advance(self) -> None:
        """Take what can be taken next: ready when all is there; then, when somebody listens, frames."""
        self._registrar.recipe = self._changes.mark
        self._registrar.inspector = self._supervisor.number
        self._registrar.closed = self._closed()
        if self._registrar.mode is not None and self._maintenance.mark is None:
            self._cameras.begin(self._clock.now_us())  # The line may have stood while it was paused.
        self._registrar.mode = None if self._maintenance.mark is None else Mode.PAUSED
        if self._is_ready():
            self._reporter.say("inspecting")
            if not self._ever_ready:
                self._ever_ready = True
                self._reporter.ready()
        self._tell_inspector()
        self._send_status()

    def _tell_inspector(self) -> None:
        """Give what waits for an inspector; one that has just said Ready may not hear yet, so it is tried again."""
        if self._ready is None:
            return
        # The first time, all cameras begin together; later, one that is lost does not hold up the others.
        if self._ever_ready and self._listened and not self._begun:
            self._begun = self._supervisor.order(Begin())
            self._cameras.begin(self._clock.now_us())
        if self._begun:
            self._registrar.hand_over()
            self._changes.retest()

    def _closed(self) -> tuple[Reason, str] | None:
        """Return why parts are not inspected at present; None = they are."""
        if self._stop_by_us is not None or self._ended:
            return Reason.STOPPED, "the station is being stopped"
        if self._maintenance.mark is not None:
            return Reason.PAUSED, f"paused by {self._maintenance.mark.role}: {self._maintenance.mark.reason}"
        if self._changes.selftest_failed:
            return Reason.SELFTEST, self._changes.selftest_failed
        return None

    def _unable(self, cameras: tuple[str, ...]) -> tuple[Reason, str] | None:
        """Return why these cameras cannot be fired at present; None = they can."""
        if self._ready is None or not self._begun:
            return Reason.ENGINE, "no inspector is ready at present"
        closed = self._cameras.unusable(cameras)
        return (Reason.CAMERA, f"camera {closed} is not open") if closed else None

    # ---- the inspector's life --------------------------------------------------------------------------------

    def _start_failed(self, text: str, exit_code: int) -> None:
        """End the station if it has never been ready and is told to require it; else say so and go on trying."""
        if self._station.start == "require" and not self._ever_ready and self._stop_by_us is None:
            self._supervisor.kill()
            raise _FAILURES.get(exit_code, EdgeError)(text)
        self._reporter.say(text)

    def _look_after_inspector(self) -> None:
        code = self._supervisor.ended()
        if code is not None:
            self._inspector_ended(code)
        elif self._supervisor.running:
            limit_s = _START_LIMIT_S if self._ready is None else self._station.hang_s
            if self._supervisor.silent_s() > limit_s:
                self._failure = f"inspector {self._supervisor.number}: no sign of life for {limit_s:g} s, killed"
                self._supervisor.kill()
        elif self._start_is_due():
            self._failure = ""
            recipe = self._changes.recipe.model_dump_json().encode()
            self._supervisor.start(recipe, self._changes.bundle, self._cameras.resume_from(), self._proven)
            self._registrar.inspector = self._supervisor.number

    def _inspector_ended(self, code: int) -> None:
        """Answer what was in its hands at once, and prepare its successor."""
        # What it said last is still to be heard: frames it reported are parts, and its own reason is the best.
        while not self._hear():
            self._views.answer_due()
        text = self._failure or f"inspector {self._supervisor.number} ended with code {code}"
        self._supervisor.bury()
        stopping = self._stop_by_us is not None
        self._registrar.answer_all(Reason.STOPPED if stopping else Reason.ENGINE, text)
        self._ready = None
        self._begun = False
        self._cameras.lost(text)
        self._changes.inspector_lost()
        if not stopping:
            self._reporter.audit(AuditEvent.INSPECTOR_LOST, None, text, None)
            self._start_failed(text, EdgeError.exit_code)
        self._advance()

    def _start_is_due(self) -> bool:
        due_us = self._supervisor.start_at_us
        return self._stop_by_us is None and due_us is not None and self._clock.now_us() >= due_us

    # ---- the station itself ----------------------------------------------------------------------------------

    def _look_after_itself(self) -> None:
        """Notice what has changed without a message: the journal, a silent camera, the end of a pause, a trial."""
        now_us = self._clock.now_us()
        self._tell_inspector()
        self._changes.look_after_trial()
        if self._maintenance.expire():
            self._advance()
        self._look_after_journal()
        silent = self._cameras.silent(now_us) if self._frames_are_due() else ""
        if silent != self._silent:
            self._silent = silent
            if silent:
                self._reporter.audit(AuditEvent.CAMERA_SILENT, None, f"camera {silent} reports nothing", None)
                self._reporter.say(f"camera {silent} reports nothing")
            self._advance()
        self._selftest_if_due(now_us)

    def _frames_are_due(self) -> bool:
        return self._begun and self._maintenance.mark is None

    def _look_after_journal(self) -> None:
        failing = "" if isinstance(self._journal, NoJournal) else self._journal.alarm
        if failing == self._journal_failing:
            return
        event = AuditEvent.JOURNAL_FAILING if failing else AuditEvent.JOURNAL_RECOVERED
        if bool(failing) != bool(self._journal_failing):
            self._reporter.audit(event, None, failing or "the journal is written again", None)
        self._journal_failing = failing
        self._send_status()

    def _selftest_if_due(self, now_us: int) -> None:
        every_s = self._station.selftest_every_s
        if every_s is None or self._ready is None:
            return
        if self._selftest_us is None:
            self._selftest_us = now_us
        if now_us - self._selftest_us >= every_s * 1e6 and self._registrar.parts.open == 0 and not self._changes.busy:
            self._selftest_us = now_us
            self._supervisor.order(SelfTest())

    # ---- outside ---------------------------------------------------------------------------------------------

    def _serve_subscribers(self) -> None:
        topics = self._publisher.subscriptions()
        wanted = f"verdict/{self._identity.station}/".encode()
        if not self._listened and any(wanted.startswith(topic) for topic in topics.results):
            self._listened = True
            self._advance()
        self._greet = self._greet or bool(topics.all)
        if self._reporter.heartbeat_is_due() or (self._greet and self._reporter.may_greet()):
            self._greet = False
            self._send_status()

    def _send_status(self) -> None:
        self._reporter.status(self._now())

    def _now(self) -> Now:
        return Now(
            seq=self._registrar.outbox.seq,
            journaled_seq=min(self._journal.durable_seq, self._registrar.outbox.seq),
            state=self._state(),
            alarms=self._alarms(),
            recipe=self._changes.mark,
            paused=self._maintenance.mark,
            inspector=self._supervisor.number,
            start_ms={} if self._ready is None else self._ready.took_ms,
            parts=self._registrar.parts,
            cameras=self._cameras.statuses(),
        )

    def _alarms(self) -> tuple[Alarm, ...]:
        raised = {
            Alarm.JOURNAL_OFF: isinstance(self._journal, NoJournal),
            Alarm.JOURNAL_FAILING: bool(self._journal_failing),
            Alarm.JOURNAL_SET_ASIDE: self._journal.set_aside is not None,
            Alarm.SELFTEST_FAILED: bool(self._changes.selftest_failed),
            Alarm.CAMERA_SILENT: bool(self._silent),
        }
        return tuple(alarm for alarm, on in raised.items() if on)

    def _state(self) -> StationState:
        if self._ended:
            return "stopped"
        if self._stop_by_us is not None:
            return "stopping"
        if self._maintenance.mark is not None:
            return "paused"
        if self._is_ready():
            return "ready"
        return "degraded" if self._ever_ready else "starting"

    def _is_ready(self) -> bool:
        able = self._ready is not None and self._cameras.all_in("open", "ended") and not self._silent
        return able and self._closed() is None

    # ---- end -------------------------------------------------------------------------------------------------

    def _finished(self) -> bool:
        if self._stop_by_us is None:
            answered = self._registrar.parts.open == 0 and self._registrar.outbox.empty
            return self._once and self._cameras.all_in("ended") and answered
        return not self._supervisor.running or self._clock.now_us() >= self._stop_by_us

    def _begin_stop(self) -> None:
        """Take no further part; what is in hand may finish."""
        self._stop_by_us = self._clock.now_us() + _STOP_LIMIT_US
        self._desk.stopping = True
        self._reporter.say("stopping")
        self._reporter.stopping()
        self._supervisor.stop()
        self._advance()

    def _end(self) -> None:
        """Answer what is left, tell the outside, and see the inspector off."""
        self._registrar.answer_all(Reason.STOPPED, "the station was stopped")
        self._changes.stop()
        self._let_go()
        self._ended = True
        self._reporter.say("stopped")
        self._supervisor.stop()
        self._send_status()
        self._supervisor.see_off()

    def _let_go(self) -> None:
        """Publish what is still to be said, kept by the journal if that is possible within half a second."""
        outbox = self._registrar.outbox
        for _ in range(_LAST_COMMITS):
            outbox.flush()
            if outbox.empty:
                return
            self._wait(self._clock.now_us() + _LAST_COMMIT_US)
        outbox.flush_all()
