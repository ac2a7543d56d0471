"""
The station's loop: one thread that opens parts, keeps their deadlines, claims and publishes. It runs no engine.

A cycle is: wait for whatever comes first, read what the inspector says, answer what is late, look after the inspector,
send the heartbeat. Every path through which a part can end goes through ``_answer``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from edge.clock import Clock, Stopwatch
from edge.errors import BundleError, CameraError, ConfigurationError, EdgeError
from edge.inspector.link import (
    Answered,
    Begin,
    CameraState,
    Captured,
    Failed,
    Inspect,
    Opening,
    Progress,
    Ready,
    ToStation,
    ViewResult,
)
from edge.records import CameraStatus, Outcome, Reason, StationState
from edge.settings import Station
from edge.station.parts import Part, Parts
from edge.station.publisher import Publisher
from edge.station.reporter import Reporter
from edge.station.supervisor import Supervisor
from edge.station.verdicts import Identity, mask_from_result, verdict_from_claim, view_from_result, view_without_result

log = logging.getLogger("edge.station")

# What a start may take: bundle, engines, parity and warm-up, on a slow machine.
_START_LIMIT_S = 120.0
# What is in hand when the station is stopped may still finish for so long.
_STOP_LIMIT_US = 2_000_000
# A flood of messages must not keep the loop from its deadlines.
_MESSAGES_A_CYCLE = 64
# A gap in the frame numbers is answered part by part; a larger one is told and answered with one part.
_LARGEST_GAP = 1000
_FAILURES: dict[int, type[EdgeError]] = {2: ConfigurationError, 3: BundleError, 4: CameraError}


class Loop:
    """
    One station. ``run()`` returns the exit code.

    Args:
        station: settings.
        identity: name and epoch in every message.
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
        reporter: Reporter,
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
        self._clock = clock
        self._wait = wait
        self._once = once
        self._parts = Parts()
        self._ready: Ready | None = None
        self._cameras = {
            c.name: CameraStatus(name=c.name, state="closed", detail="", last_frame=None) for c in station.cameras
        }
        self._last_open: dict[str, int] = {}
        self._listened = station.replay.start == "immediately"
        self._begun = False
        self._ever_ready = False
        self._failure = ""
        self._proven_bundle: str | None = None
        self._stop_by_us: int | None = None
        self._ended = False
        self.stop_requested = False
        self._handlers: dict[type[ToStation], Callable[[Any], None]] = {
            Opening: self._on_opening,
            Ready: self._on_ready,
            Failed: self._on_failed,
            CameraState: self._on_camera,
            Captured: self._on_captured,
            Progress: lambda message: None,
            ViewResult: self._on_result,
        }

    def run(self) -> int:
        """
        Run until stopped, or until everything has ended.

        Raises:
            EdgeError: the start failed and ``start = "require"``; nothing was inspected.
        """
        try:
            while not self._finished():
                self.cycle()
        finally:
            self._end()
        return 0

    def cycle(self) -> None:
        """Wait for the next event and handle everything that is due."""
        self._wait(self._due_us())
        self._hear()
        self._answer_late()
        if self.stop_requested and self._stop_by_us is None:
            self._begin_stop()
        self._look_after_inspector()
        self._serve_subscribers()
        self._reporter.feed_watchdog()

    def _due_us(self) -> int:
        """Return when something has to be done even if nothing comes."""
        due = [self._reporter.due_us(), self._parts.next_deadline_us(), self._supervisor.start_at_us, self._stop_by_us]
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

    # ---- parts -----------------------------------------------------------------------------------------------

    def _on_captured(self, message: Captured) -> None:
        if message.numbered:
            self._answer_gap(message)
        self._last_open[message.camera] = message.open_no
        self._set_camera(message.camera, last_frame=message.frame_no)
        part = self._trigger(message, message.frame_no, message.source)
        if self._stop_by_us is not None:
            self._unknown(part, Reason.STOPPED, "the station is being stopped")
        elif message.fault is not None:
            self._unknown(part, message.fault, message.detail)
        elif not self._supervisor.order(_inspect(part)):
            self._unknown(part, Reason.ENGINE, "the inspector takes no orders")

    def _answer_gap(self, message: Captured) -> None:
        """Answer the parts whose frames never came; numbers of different opens are not comparable."""
        last = self._cameras[message.camera].last_frame
        if last is None or self._last_open.get(message.camera) != message.open_no or message.frame_no == last + 1:
            return
        if not last < message.frame_no <= last + _LARGEST_GAP:
            text = (
                f"camera {message.camera}: frame {message.frame_no} follows {last}; how many are missing is not known"
            )
            self._reporter.audit("numbers_jumped", None, text, None)
            return
        for number in range(last + 1, message.frame_no):
            part = self._trigger(message, number, str(number))
            self._unknown(part, Reason.MISSED, f"frame {number} of camera {message.camera} never came")

    def _trigger(self, message: Captured, frame_no: int, source: str) -> Part:
        deadline_us = message.t_us + 1000 * self._station.budget_ms
        return self._parts.trigger(message.camera, message.open_no, frame_no, source, message.t_us, deadline_us)

    def _on_result(self, message: ViewResult) -> None:
        watch = Stopwatch(self._clock)
        watch.stages_us["handover"] = self._clock.now_us() - message.sent_us
        part = self._parts.find(message.part)
        if part is not None and self._clock.now_us() >= part.deadline_us:
            self._late(part)
            part = None
        if part is None:
            text = f"{message.camera}: result after the verdict"
            self._reporter.audit("late_result", message.part, text, message.outcome)
            return
        if message.outcome is not Outcome.UNKNOWN:
            self._supervisor.proved()
        self._answer(part, message, message.outcome, message.reason, message.detail, watch)

    def _answer_late(self) -> None:
        for part in self._parts.expired(self._clock.now_us()):
            self._late(part)

    def _late(self, part: Part) -> None:
        self._unknown(part, Reason.LATE, f"no result within {self._station.budget_ms} ms of the trigger")

    def _unknown(self, part: Part, reason: Reason, detail: str) -> None:
        self._answer(part, None, Outcome.UNKNOWN, reason, detail, Stopwatch(self._clock))

    def _answer(
        self,
        part: Part,
        result: ViewResult | None,
        outcome: Outcome,
        reason: Reason | None,
        detail: str,
        watch: Stopwatch,
    ) -> None:
        """Claim, publish, and tell the inspector that the frame's slot is free."""
        if result is None:
            view = view_without_result(part, reason or Reason.ENGINE)
        else:
            view = view_from_result(part, result)
        claim = self._parts.claim(part.number, outcome, reason, detail, view)
        if claim is None:
            return
        watch.lap("publish")
        verdict = verdict_from_claim(
            self._identity, claim, self._ready, watch.stages_us, self._clock.now_us(), self._clock.utc_us()
        )
        self._publisher.verdict(verdict)
        if result is not None and self._ready is not None:
            header = mask_from_result(self._identity, claim, result, self._ready.class_names)
            if header is not None:
                self._publisher.mask(header, result.payload)
        self._supervisor.order(_answered(part, self._identity.epoch, claim.seq, outcome))

    # ---- the inspector ---------------------------------------------------------------------------------------

    def _on_opening(self, message: Opening) -> None:
        self._reporter.say(f"inspector {message.inspector}: {message.stage}")

    def _on_ready(self, message: Ready) -> None:
        self._ready = message
        self._proven_bundle = message.bundle_hash
        took = ", ".join(f"{stage} {ms} ms" for stage, ms in message.took_ms.items())
        log.info("inspector %d: %s; parity: %s; %s", message.inspector, message.backend, message.parity, took)
        self._advance()

    def _on_failed(self, message: Failed) -> None:
        self._failure = message.text
        self._start_failed(message.text, message.exit_code)

    def _on_camera(self, message: CameraState) -> None:
        before = self._cameras[message.camera].state
        self._set_camera(message.camera, state=message.state, detail=message.text)
        if message.state == "failed" and before == "open":
            self._reporter.audit("camera_lost", None, message.text, None)
        elif message.state != before:
            log.info("camera %s: %s: %s", message.camera, message.state, message.text)
        if message.state == "failed":
            self._start_failed(message.text, CameraError.exit_code)
        self._advance()

    def _advance(self) -> None:
        """Take what can be taken next: ready when all is there; then, when somebody listens, frames."""
        if self._is_ready():
            self._reporter.say("inspecting")
            if not self._ever_ready:
                self._ever_ready = True
                self._reporter.ready()
        # The first time, all cameras begin together; later, one that is lost does not hold up the others.
        if self._ready is not None and self._ever_ready and self._listened and not self._begun:
            self._begun = self._supervisor.order(Begin())
        self._send_status()

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
            self._supervisor.start(self._resume_from(), self._proven_bundle)

    def _inspector_ended(self, code: int) -> None:
        """Answer what was in its hands at once, and prepare its successor."""
        # What it said last is still to be heard: frames it reported are parts, and its own reason is the best.
        while not self._hear():
            self._answer_late()
        text = self._failure or f"inspector {self._supervisor.number} ended with code {code}"
        self._supervisor.bury()
        stopping = self._stop_by_us is not None
        for part in self._parts.all_open():
            self._unknown(part, Reason.STOPPED if stopping else Reason.ENGINE, text)
        self._ready = None
        self._begun = False
        self._last_open.clear()
        for name, camera in self._cameras.items():
            if camera.state != "ended":
                self._set_camera(name, state="closed", detail=text)
        if not stopping:
            self._reporter.audit("inspector_lost", None, text, None)
            self._start_failed(text, EdgeError.exit_code)
        self._send_status()

    def _start_is_due(self) -> bool:
        due_us = self._supervisor.start_at_us
        return self._stop_by_us is None and due_us is not None and self._clock.now_us() >= due_us

    def _resume_from(self) -> dict[str, int]:
        return {c.name: c.last_frame + 1 for c in self._cameras.values() if c.last_frame is not None}

    # ---- outside ---------------------------------------------------------------------------------------------

    def _serve_subscribers(self) -> None:
        topics = self._publisher.subscriptions()
        wanted = f"verdict/{self._identity.station}/".encode()
        if not self._listened and any(wanted.startswith(topic) for topic in topics.results):
            self._listened = True
            self._advance()
        elif topics.all or self._reporter.heartbeat_is_due():
            self._send_status()

    def _send_status(self) -> None:
        start_ms = {} if self._ready is None else self._ready.took_ms
        self._reporter.status(self._state(), self._parts, self._cameras.values(), self._supervisor.number, start_ms)

    def _state(self) -> StationState:
        if self._ended:
            return "stopped"
        if self._stop_by_us is not None:
            return "stopping"
        if self._is_ready():
            return "ready"
        return "degraded" if self._ever_ready else "starting"

    def _is_ready(self) -> bool:
        cameras_ready = all(camera.state in ("open", "ended") for camera in self._cameras.values())
        return self._ready is not None and self._stop_by_us is None and not self._ended and cameras_ready

    def _set_camera(self, name: str, **changes: Any) -> None:
        self._cameras[name] = msgspec.structs.replace(self._cameras[name], **changes)

    # ---- end -------------------------------------------------------------------------------------------------

    def _finished(self) -> bool:
        if self._stop_by_us is None:
            all_ended = all(camera.state == "ended" for camera in self._cameras.values())
            return self._once and all_ended and self._parts.open == 0
        return not self._supervisor.running or self._clock.now_us() >= self._stop_by_us

    def _begin_stop(self) -> None:
        """Take no further part; what is in hand may finish."""
        self._stop_by_us = self._clock.now_us() + _STOP_LIMIT_US
        self._reporter.say("stopping")
        self._reporter.stopping()
        self._supervisor.stop()
        self._send_status()

    def _end(self) -> None:
        """Answer what is left, tell the outside, and see the inspector off."""
        for part in self._parts.all_open():
            self._unknown(part, Reason.STOPPED, "the station was stopped")
        self._ended = True
        self._reporter.say("stopped")
        self._supervisor.stop()
        self._send_status()
        self._supervisor.see_off()


def _inspect(part: Part) -> Inspect:
    assert part.frame_no is not None
    return Inspect(
        part=part.number, camera=part.camera, open_no=part.open_no, frame_no=part.frame_no, deadline_us=part.deadline_us
    )


def _answered(part: Part, epoch: int, seq: int, outcome: Outcome) -> Answered:
    return Answered(
        part=part.number,
        camera=part.camera,
        open_no=part.open_no,
        frame_no=part.frame_no or 0,
        epoch=epoch,
        seq=seq,
        outcome=outcome,
    )
