"""Inspection as the station drives it: what the inspector says, what it is told, how it lives and is replaced."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from edge.clock import Clock
from edge.errors import BundleError, CameraError, ConfigurationError, DeviceLost, EdgeError
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
from edge.records import AuditEvent, Mode, Reason
from edge.settings import Station
from edge.station.cameras import Cameras
from edge.station.changes import Changes
from edge.station.condition import Condition
from edge.station.registrar import Registrar
from edge.station.reporter import Reporter
from edge.station.supervisor import Proven, Supervisor
from edge.station.triggers import Triggers
from edge.station.views import Views

log = logging.getLogger("edge.station")

# What a start may take: bundle, engines, parity and warm-up, on a slow machine.
_START_LIMIT_S = 120.0
# A flood of messages must not keep the loop from its deadlines.
_MESSAGES_A_CYCLE = 64
_FAILURES: dict[int, type[EdgeError]] = {
    kind.exit_code: kind for kind in (ConfigurationError, BundleError, CameraError, DeviceLost)
}


class Inspection:
    """
    Attributes:
        listened: somebody listens, or nobody need: frames may be taken.
    """

    def __init__(
        self,
        station: Station,
        supervisor: Supervisor,
        registrar: Registrar,
        triggers: Triggers,
        views: Views,
        changes: Changes,
        cameras: Cameras,
        reporter: Reporter,
        condition: Condition,
        clock: Clock,
    ) -> None:
        self._station = station
        self._supervisor = supervisor
        self._registrar = registrar
        self._triggers = triggers
        self._views = views
        self._changes = changes
        self._cameras = cameras
        self._reporter = reporter
        self._condition = condition
        self._clock = clock
        self._failure = ""
        self._falls_back = False
        self._proven: Proven | None = None
        self._selftest_us: int | None = None
        self.listened = station.replay.start == "immediately"
        self._handlers: dict[type[ToStation], Callable[[Any], None]] = {
            Opening: self._on_opening,
            Ready: self._on_ready,
            Failed: self._on_failed,
            CameraState: self._on_camera,
            Captured: self._on_captured,
            Progress: views.progress,
            ViewResult: self._on_result,
            RecipeTaken: self._on_taken,
            BundleTaken: self._on_taken,
            SelfTested: self._on_selftested,
        }

    # ---- what the inspector says -----------------------------------------------------------------------------

    def hear(self) -> bool:
        """Read what has come, so much at most; return whether there is nothing more."""
        for _ in range(_MESSAGES_A_CYCLE):
            message = self._supervisor.receive()
            if message is None:
                return True
            if message.inspector == self._supervisor.number:
                self._handlers[type(message)](message)
        return False

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
        self._condition.ready = message
        self._proven = Proven(message.bundle_hash, message.recipe_hash)
        took = ", ".join(f"{stage} {ms} ms" for stage, ms in message.took_ms.items())
        self._changes.inspector_ready(message)
        recipe = f"recipe '{self._changes.recipe.name}' ({message.recipe_hash[:12]})"
        words = f"{message.backend}; {recipe}; parity: {message.parity}; {took}"
        log.info("inspector %d: %s", message.inspector, words)
        self._registrar.bundle_hash = message.bundle_hash
        self._registrar.class_names = message.class_names
        self.advance()

    def _on_failed(self, message: Failed) -> None:
        self._failure = message.text
        if self._condition.ready is None and message.blames_bundle:
            # Another bundle mends no camera and no settings, nor engines that fail later on.
            self._failure = self._fall_back(message.text)
        if not self._falls_back:
            self._start_failed(self._failure, message.exit_code)

    def _fall_back(self, why: str) -> str:
        """Have the next inspector start with a bundle that was active before, if there is one; return what is so."""
        last_good = self._changes.last_good
        self._falls_back = last_good.fall_back(why, "" if self._proven is None else self._proven.bundle_hash)
        if self._falls_back or last_good.refused == why:
            return why
        return f"{last_good.refused}; nor can the last good one be used: {why}"

    def _on_camera(self, message: CameraState) -> None:
        before = self._cameras.note(message, self._clock.now_us())
        if message.state == "open":
            self._triggers.opened_camera(message)
        if message.state == "failed" and before.state == "open":
            self._reporter.audit(AuditEvent.CAMERA_LOST, None, message.text, None)
        elif message.state != before.state:
            log.info("camera %s: %s: %s", message.camera, message.state, message.text)
        if message.state == "failed":
            self._start_failed(message.text, CameraError.exit_code)
        self.advance()

    def _on_taken(self, message: RecipeTaken | BundleTaken) -> None:
        if not self._changes.is_wanted(message):
            self._replace_if_it_took(message)
            return
        if isinstance(message, RecipeTaken):
            self._changes.recipe_taken(message)
        else:
            self._changes.bundle_taken(message)
            if message.bundle_hash:
                self._registrar.bundle_hash = message.bundle_hash
                self._registrar.class_names = message.class_names
        if message.recipe_hash:
            self._proven = Proven(self._registrar.bundle_hash, message.recipe_hash)
        self.advance()

    def _replace_if_it_took(self, message: RecipeTaken | BundleTaken) -> None:
        """Kill an inspector that works with what was given up: the next one starts with what is active."""
        if message.recipe_hash:
            text = f"inspector {message.inspector} took a change that had been given up; it is replaced"
            self._failure = text
            self._supervisor.kill()

    def _on_selftested(self, message: SelfTested) -> None:
        self._changes.selftested(message)
        if not message.passed:
            # What these engines say of the parts in hand cannot be believed either.
            self._registrar.answer_all(Reason.SELFTEST, message.text)
        self.advance()

    # ---- what it is told -------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Take what can be taken next: ready when all is there; then, when somebody listens, frames."""
        self._registrar.recipe = self._changes.mark
        self._registrar.inspector = self._supervisor.number
        self._registrar.closed = self._condition.closed()
        self._registrar.unchallenged = unchallenged = self._condition.unchallenged()
        if self._registrar.mode is not None and not self._condition.paused:
            self._cameras.begin(self._clock.now_us())  # The line may have stood while it was paused.
        self._registrar.mode = Mode.PAUSED if self._condition.paused else None
        if self._condition.is_ready():
            self._reporter.say(self._changes.last_good.words() or "inspecting")
        elif unchallenged is not None and self._condition.is_able():
            self._reporter.say(unchallenged[1])
        # A line that is closed has started all the same: masters must be seen, and a service manager not wait.
        if self._condition.is_able() and not self._condition.ever_ready and not self._condition.stopping:
            self._condition.ever_ready = True
            self._reporter.ready()  # With start = "wait" it has been said by then.
        self._tell()
        self._reporter.status(self._condition.now())

    def _tell(self) -> None:
        """Give what waits for an inspector; one that has just said Ready may not hear yet, so it is tried again."""
        condition = self._condition
        if condition.ready is None:
            return
        # The first time, all cameras begin together; later, one that is lost does not hold up the others.
        if condition.ever_ready and self.listened and not condition.begun:
            condition.begun = self._supervisor.order(Begin())
            self._cameras.begin(self._clock.now_us())
        if condition.begun:
            self._registrar.hand_over()
            self._changes.retest()
        self._changes.last_good.keep()

    def selftest_if_due(self) -> None:
        """Have the reference frames judged when that is due and no part has to wait for it."""
        every_s = self._station.selftest_every_s
        if every_s is None or self._condition.ready is None:
            return
        now_us = self._clock.now_us()
        if self._selftest_us is None:
            self._selftest_us = now_us
        if now_us - self._selftest_us >= every_s * 1e6 and self._registrar.parts.open == 0 and not self._changes.busy:
            self._selftest_us = now_us
            self._supervisor.order(SelfTest())

    # ---- its life --------------------------------------------------------------------------------------------

    def look_after(self) -> None:
        """Notice that the inspector has ended or hangs, start the next when that is due, and tell it what waits."""
        code = self._supervisor.ended()
        if code is not None:
            self._ended(code)
        elif self._supervisor.running:
            self._kill_if_silent()
        elif self._start_is_due():
            self._start()
        self._tell()

    def _kill_if_silent(self) -> None:
        limit_s = _START_LIMIT_S if self._condition.ready is None else self._station.hang_s
        if self._supervisor.silent_s() > limit_s:
            self._failure = f"inspector {self._supervisor.number}: no sign of life for {limit_s:g} s, killed"
            self._supervisor.kill()

    def _start_is_due(self) -> bool:
        due_us = self._supervisor.start_at_us
        return not self._condition.stopping and due_us is not None and self._clock.now_us() >= due_us

    def _start(self) -> None:
        self._failure, self._falls_back = "", False
        recipe = self._changes.recipe.model_dump_json().encode()
        bundle = self._changes.bundle_to_start()
        self._supervisor.start(recipe, bundle, self._cameras.resume_from(), self._proven)
        self._registrar.inspector = self._supervisor.number

    def _ended(self, code: int) -> None:
        """Answer what was in its hands at once, and prepare its successor."""
        # What it said last is still to be heard: frames it reported are parts, and its own reason is the best.
        while not self.hear():
            self._views.answer_due()
        text = self._failure or f"inspector {self._supervisor.number} ended with code {code}"
        self._supervisor.bury()
        stopping = self._condition.stopping
        self._registrar.answer_all(Reason.STOPPED if stopping else Reason.ENGINE, text)
        self._condition.ready = None
        self._condition.begun = False
        self._cameras.lost(text)
        self._changes.inspector_lost()
        if not stopping:
            self._reporter.audit(AuditEvent.INSPECTOR_LOST, None, text, None)
            if not self._falls_back:
                self._start_failed(text, EdgeError.exit_code)
        self.advance()

    def _start_failed(self, text: str, exit_code: int) -> None:
        """End the station if it has never been ready and is told to require it; else say so and go on trying."""
        if self._station.start == "require" and not self._condition.ever_ready and not self._condition.stopping:
            self._supervisor.kill()
            raise _FAILURES.get(exit_code, EdgeError)(text)
        self._reporter.say(text)
