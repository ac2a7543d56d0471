"""How the station is at this moment: are parts inspected, can cameras be fired, what does the heartbeat say."""

from __future__ import annotations

from datetime import datetime, timezone

from edge.calibration import is_old
from edge.clock import Clock
from edge.inspector.link import Ready
from edge.records import Alarm, Reason, StationState
from edge.settings import CalibrationFile, Station
from edge.station.cameras import Cameras
from edge.station.challenges import Challenges
from edge.station.changes import Changes
from edge.station.maintenance import Maintenance
from edge.station.nojournal import NoJournal, Records
from edge.station.registrar import Registrar
from edge.station.reporter import Now
from edge.station.supervisor import Supervisor


class Condition:
    """
    What the loop and its parts have noticed, and what follows from it. It changes nothing.

    Args:
        calibration: that the station works with; None = it has none.

    Attributes:
        ready: what the present inspector said when it was; None = none is.
        begun: that inspector was told to take frames.
        ever_ready: the station has been able to inspect in this run: its start has succeeded.
        silent: name of a camera that reports nothing though it must; empty = none.
        journal_failing: why the journal is not written; empty = it is, or there is none.
        looping: the starts before this one came to nothing, and it has not lived for long yet.
        stopping: no further part is taken, what is in hand may finish.
        ended: every part has its verdict.
    """

    def __init__(
        self,
        station: Station,
        supervisor: Supervisor,
        registrar: Registrar,
        journal: Records,
        changes: Changes,
        maintenance: Maintenance,
        cameras: Cameras,
        challenges: Challenges,
        calibration: CalibrationFile | None,
        clock: Clock,
    ) -> None:
        self._max_age_days = station.calibration_max_age_days
        self._calibration = calibration
        self._clock = clock
        self._supervisor = supervisor
        self._registrar = registrar
        self._journal = journal
        self._changes = changes
        self._maintenance = maintenance
        self._cameras = cameras
        self._challenges = challenges
        self.ready: Ready | None = None
        self.begun = False
        self.ever_ready = False
        self.silent = ""
        self.journal_failing = ""
        self.looping = False
        self.stopping = False
        self.ended = False

    @property
    def paused(self) -> bool:
        return self._maintenance.mark is not None

    @property
    def frames_are_due(self) -> bool:
        return self.begun and not self.paused

    def closed(self) -> tuple[Reason, str] | None:
        """Return why parts are not inspected at present; None = they are."""
        if self.stopping or self.ended:
            return Reason.STOPPED, "the station is being stopped"
        if self._maintenance.mark is not None:
            return Reason.PAUSED, f"paused by {self._maintenance.mark.role}: {self._maintenance.mark.reason}"
        if self._changes.selftest_failed:
            return Reason.SELFTEST, self._changes.selftest_failed
        return None

    def unable(self, cameras: tuple[str, ...]) -> tuple[Reason, str] | None:
        """Return why these cameras cannot be fired at present; None = they can."""
        if self.ready is None or not self.begun:
            return Reason.ENGINE, "no inspector is ready at present"
        closed = self._cameras.unusable(cameras)
        return (Reason.CAMERA, f"camera {closed} is not open") if closed else None

    def unchallenged(self) -> tuple[Reason, str] | None:
        """Return why products are not inspected at present though other parts are: a challenge must be passed."""
        return self._challenges.closed()

    def is_able(self) -> bool:
        """Tell whether parts could be inspected, if nobody and nothing has closed the line."""
        return self.ready is not None and self._cameras.all_in("open", "ended") and not self.silent

    def is_ready(self) -> bool:
        return self.is_able() and self.closed() is None and self.unchallenged() is None

    def _state(self) -> StationState:
        if self.ended:
            return "stopped"
        if self.stopping:
            return "stopping"
        if self.paused:
            return "paused"
        if self.is_ready():
            return "ready"
        return "degraded" if self.ever_ready else "starting"

    def _calibration_is_old(self) -> bool:
        now = datetime.fromtimestamp(self._clock.utc_us() / 1e6, timezone.utc)
        return self._calibration is not None and is_old(self._calibration, self._max_age_days, now)

    def _alarms(self) -> tuple[Alarm, ...]:
        raised = {
            Alarm.JOURNAL_OFF: isinstance(self._journal, NoJournal),
            Alarm.JOURNAL_FAILING: bool(self.journal_failing),
            Alarm.JOURNAL_SET_ASIDE: self._journal.set_aside is not None,
            Alarm.SELFTEST_FAILED: bool(self._changes.selftest_failed),
            Alarm.CAMERA_SILENT: bool(self.silent),
            Alarm.LAST_GOOD_BUNDLE: self._changes.last_good.instead is not None,
            Alarm.CRASH_LOOP: self.looping,
            Alarm.CALIBRATION_OLD: self._calibration_is_old(),
            Alarm.CHALLENGE_OVERDUE: self._challenges.state == "overdue",
            Alarm.CHALLENGE_FAILED: self._challenges.state == "failed",
            Alarm.CHALLENGE_NOT_KEPT: bool(self._challenges.unkept),
        }
        return tuple(alarm for alarm, on in raised.items() if on)

    def now(self) -> Now:
        """Return what a heartbeat sent now is made of."""
        return Now(
            seq=self._registrar.outbox.seq,
            journaled_seq=min(self._journal.durable_seq, self._registrar.outbox.seq),
            state=self._state(),
            alarms=self._alarms(),
            recipe=self._changes.mark,
            paused=self._maintenance.mark,
            challenge=self._challenges.mark(),
            inspector=self._supervisor.number,
            start_ms={} if self.ready is None else self.ready.took_ms,
            parts=self._registrar.parts,
            cameras=self._cameras.statuses(),
        )
