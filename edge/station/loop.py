"""
The station's loop: one thread that opens parts, keeps their deadlines, claims and publishes. It runs no engine.

A cycle is: wait for whatever comes first, read what the inspector says, serve requests, answer what is due, let go what
is durable, look after the inspector, send the heartbeat. Every end of a part goes through the registrar's one claim.
"""

from __future__ import annotations

from collections.abc import Callable

from edge.clock import Clock
from edge.records import AuditEvent, Mode, Reason
from edge.settings import CalibrationFile, Station
from edge.station.cameras import Cameras
from edge.station.challenges import Challenges
from edge.station.changes import Changes
from edge.station.condition import Condition
from edge.station.control import Control
from edge.station.desk import Desk
from edge.station.expected import Expecting
from edge.station.firing import Firing
from edge.station.inspection import Inspection
from edge.station.maintenance import Maintenance
from edge.station.nojournal import NoJournal, Records
from edge.station.publisher import Publisher
from edge.station.registrar import Registrar
from edge.station.reporter import Reporter
from edge.station.starts import Starts
from edge.station.supervisor import Supervisor
from edge.station.triggers import Triggers
from edge.station.verdicts import Identity
from edge.station.views import Views

# What is in hand when the station is stopped may still finish for so long. With all that may hang on the way to the end
# (the last commits, slow readers, the journal's threads, the log) a stop stays below 5 s; docs/service.md adds it up.
_STOP_LIMIT_US = 1_500_000
# What was answered last may still reach the journal before it leaves.
_LAST_COMMITS_US = 500_000


class Loop:
    """
    One station. ``run()`` returns the exit code.

    Args:
        station: settings.
        identity: name and epoch in every message.
        journal: open; its threads are started by the caller.
        wait: returns when something has come, at the latest at the monotonic time it is given [us].
        wait_for_journal: the same, of the journal alone.
        starts: of the service, this one included; None = by hand.
        calibration: that *station* was laid under; None = it has none.
        challenges: None = they do not outlive this run.
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
        wait_for_journal: Callable[[int], None],
        *,
        starts: Starts | None = None,
        calibration: CalibrationFile | None = None,
        challenges: Challenges | None = None,
        once: bool = False,
    ) -> None:
        self._topic = f"verdict/{identity.station}/".encode()
        self._supervisor = supervisor
        self._publisher = publisher
        self._reporter = reporter
        self._journal = journal
        self._changes = changes
        self._maintenance = maintenance
        self._challenges = challenges = challenges or Challenges(station, None, clock, reporter)
        self._clock = clock
        self._wait = wait
        self._wait_for_journal = wait_for_journal
        self._starts = starts
        self._waits = station.start == "wait"
        self._once = once
        order = supervisor.order
        self._cameras = cameras = Cameras(station.cameras)
        self._registrar = registrar = Registrar(station, identity, journal, publisher, clock, order)
        self._views = views = Views(station, registrar, reporter, clock, order)
        triggers = Triggers(station, registrar, views, reporter, clock, order)
        self._condition = condition = Condition(
            station, supervisor, registrar, journal, changes, maintenance, cameras, challenges, calibration, clock
        )
        registrar.note_challenge = challenges.note
        challenges.line = lambda: (supervisor.number, cameras.openings)
        self._inspection = Inspection(
            station, supervisor, registrar, triggers, views, changes, cameras, reporter, condition, clock
        )
        firing = Firing(station, control, journal, registrar, triggers, condition, reporter)
        changed = self._inspection.advance
        self._expecting = Expecting(control, registrar, triggers, firing, condition, clock)
        self._desk = Desk(
            control,
            journal,
            registrar,
            firing,
            self._expecting,
            changes,
            maintenance,
            challenges,
            cameras,
            reporter,
            condition,
            clock,
            changed,
        )
        self._greet = False
        self._stop_by_us: int | None = None
        self.stop_requested = False

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
        if self._starts is not None and self._starts.looping:
            self._condition.looping = True
            self._reporter.audit(AuditEvent.CRASH_LOOP, None, self._starts.words(), None)
        for entry in self._journal.left_open:
            self._registrar.adopt(entry)

    def cycle(self) -> None:
        """Wait for the next event and handle everything that is due."""
        self._wait(self._due_us())
        self._inspection.hear()
        self._challenges.notice_line()
        self._desk.serve()
        self._views.answer_due()
        self._registrar.outbox.flush()
        if self.stop_requested and not self._condition.stopping:
            self._begin_stop()
        self._inspection.look_after()
        self._look_after_itself()
        self._serve_subscribers()
        # What the above has claimed need not wait for the next event.
        self._registrar.outbox.flush()
        if self._waits:
            # It is at work: it answers, and says what it waits for. Whether that comes is not known at a start.
            self._reporter.ready()
        self._reporter.feed_watchdog()

    def _due_us(self) -> int:
        """Return when something has to be done even if nothing comes."""
        condition = self._condition
        due = [
            0 if self._desk.waits else None,
            self._reporter.due_us(),
            self._registrar.parts.next_due_us(),
            self._registrar.outbox.due_us(),
            None if condition.stopping else self._supervisor.start_at_us,
            self._maintenance.due_us(),
            self._expecting.due_us(),
            self._reporter.greeting_us() if self._greet else None,
            self._cameras.silence_due_us() if condition.frames_are_due and not condition.silent else None,
            self._stop_by_us,
        ]
        return min(us for us in due if us is not None)

    # ---- the station itself ----------------------------------------------------------------------------------

    def _look_after_itself(self) -> None:
        """Notice what has changed without a message: a trial, the end of a pause, the journal, a silent camera."""
        self._changes.look_after_trial()
        if self._maintenance.expire():
            self._inspection.advance()
        self._expecting.expire()
        self._look_after_challenges()
        self._look_after_starts()
        self._look_after_journal()
        self._look_after_cameras()
        self._inspection.selftest_if_due()

    def _look_after_starts(self) -> None:
        if self._starts is not None and self._starts.well() and self._condition.looping:
            self._condition.looping = False
            self._send_status()

    def _look_after_challenges(self) -> None:
        mark = self._changes.mark
        if not self._challenges.look_after("" if mark is None else mark.hash, self._registrar.bundle_hash):
            return
        self._inspection.advance()
        if self._challenges.state == "failed" and self._registrar.unchallenged is not None:
            # It has just been shown what the station would say of the products in hand.
            self._registrar.answer_all(*self._registrar.unchallenged, only=Mode.PRODUCTION)

    def _look_after_journal(self) -> None:
        failing = "" if isinstance(self._journal, NoJournal) else self._journal.alarm
        before, self._condition.journal_failing = self._condition.journal_failing, failing
        if failing == before:
            return
        if bool(failing) != bool(before):
            event = AuditEvent.JOURNAL_FAILING if failing else AuditEvent.JOURNAL_RECOVERED
            self._reporter.audit(event, None, failing or "the journal is written again", None)
        self._send_status()

    def _look_after_cameras(self) -> None:
        silent = self._cameras.silent(self._clock.now_us()) if self._condition.frames_are_due else ""
        if silent == self._condition.silent:
            return
        self._condition.silent = silent
        if silent:
            self._reporter.audit(AuditEvent.CAMERA_SILENT, None, f"camera {silent} reports nothing", None)
            self._reporter.say(f"camera {silent} reports nothing")
        self._inspection.advance()

    # ---- outside ---------------------------------------------------------------------------------------------

    def _serve_subscribers(self) -> None:
        topics = self._publisher.subscriptions()
        if not self._inspection.listened and any(self._topic.startswith(topic) for topic in topics.results):
            self._inspection.listened = True
            self._inspection.advance()
        self._greet = self._greet or bool(topics.all)
        if self._reporter.heartbeat_is_due() or (self._greet and self._reporter.may_greet()):
            self._greet = False
            self._send_status()

    def _send_status(self) -> None:
        self._reporter.status(self._condition.now())

    # ---- end -------------------------------------------------------------------------------------------------

    def _finished(self) -> bool:
        if self._stop_by_us is None:
            answered = self._registrar.parts.open == 0 and self._registrar.outbox.empty
            return self._once and self._cameras.all_in("ended") and answered
        return not self._supervisor.running or self._clock.now_us() >= self._stop_by_us

    def _begin_stop(self) -> None:
        """Take no further part; what is in hand may finish."""
        self._stop_by_us = self._clock.now_us() + _STOP_LIMIT_US
        self._condition.stopping = True
        self._reporter.say("stopping")
        self._reporter.stopping()
        if self._starts is not None:
            # Somebody has told it to: a slow disk has the time of the stop to take that.
            self._starts.forget()
        self._supervisor.stop()
        self._inspection.advance()

    def _end(self) -> None:
        """Answer what is left, tell the outside, and see the inspector off."""
        self._registrar.answer_all(Reason.STOPPED, "the station was stopped")
        self._changes.stop()
        self._expecting.stop()
        self._let_go()
        self._condition.ended = True
        self._reporter.say("stopped")
        self._supervisor.stop()
        self._send_status()
        self._supervisor.see_off()

    def _let_go(self) -> None:
        """Publish what is still to be said, kept by the journal if that is possible within half a second."""
        outbox = self._registrar.outbox
        until_us = self._clock.now_us() + _LAST_COMMITS_US
        outbox.flush()
        while not outbox.empty and self._clock.now_us() < until_us:
            # Not for requests: nobody takes them any more, and one that waits would end every sleep at once.
            self._wait_for_journal(min(until_us, outbox.due_us() or until_us))
            outbox.flush()
        outbox.flush_all()
