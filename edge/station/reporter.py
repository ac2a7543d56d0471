"""What the station says of itself: heartbeat, audit, and the word to the service manager."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from edge.clock import Clock
from edge.records import (
    VERSION,
    Alarm,
    Audit,
    AuditEvent,
    CameraStatus,
    ChallengeMark,
    Outcome,
    PauseMark,
    RecipeMark,
    StationState,
    Status,
)
from edge.station.complaints import Bundled
from edge.station.parts import Parts
from edge.station.publisher import Publisher
from edge.station.systemd import Notifier, extension
from edge.station.verdicts import Identity

log = logging.getLogger("edge.station")

HEARTBEAT_US = 1_000_000
_GREETING_US = 20_000
# How often the service manager is told that a start goes on, where it expects no sign of life besides.
_FEED_US = 5_000_000
# They come with each of many parts: the log gets a line a minute, subscribers every one.
_OFTEN = frozenset({AuditEvent.LATE_RESULT, AuditEvent.LATE_VIEW, AuditEvent.BOUNCED, AuditEvent.UNSEEN})


@dataclass(frozen=True)
class Now:
    """How the station is at this moment: what its heartbeat is made of."""

    seq: int
    journaled_seq: int
    state: StationState
    alarms: tuple[Alarm, ...]
    recipe: RecipeMark | None
    paused: PauseMark | None
    challenge: ChallengeMark | None
    inspector: int
    start_ms: dict[str, int]
    parts: Parts
    cameras: Iterable[CameraStatus]


class Reporter:
    """
    Attributes:
        detail: one line for people, in each heartbeat and in the service manager's status.
    """

    def __init__(
        self, identity: Identity, publisher: Publisher, notifier: Notifier, clock: Clock, watchdog_s: float | None
    ) -> None:
        self._identity = identity
        self._publisher = publisher
        self._notifier = notifier
        self._clock = clock
        self._watched = watchdog_s is not None
        self._feed_us = _FEED_US if watchdog_s is None else round(watchdog_s * 1e6)
        self._bundled = Bundled(clock)
        self._starting = True
        self._status_us = 0
        self._fed_us = 0
        self.detail = "starting"

    def due_us(self) -> int:
        """Return when the next heartbeat or sign of life is due."""
        return min(self._status_us + HEARTBEAT_US, self._fed_us + self._feed_us)

    def heartbeat_is_due(self) -> bool:
        return self._clock.now_us() >= self._status_us + HEARTBEAT_US

    def greeting_us(self) -> int:
        """Return when new subscribers may be told how we are: not for each of a thousand one by one."""
        return self._status_us + _GREETING_US

    def may_greet(self) -> bool:
        return self._clock.now_us() >= self.greeting_us()

    def say(self, detail: str) -> None:
        """Change the line for people."""
        if detail != self.detail:
            self.detail = detail
            self._notifier.notify(f"STATUS={detail}")

    def ready(self) -> None:
        """Tell the service manager that the start is over, once, and not at the end of a station that never was."""
        if self._starting:
            self._starting = False
            self._notifier.notify("READY=1")

    def stopping(self) -> None:
        self._starting = False
        self._notifier.notify("STOPPING=1")

    def feed_watchdog(self) -> None:
        """Called by completed cycles only, never by a timer of its own."""
        if self._clock.now_us() < self._fed_us + self._feed_us:
            return
        self._fed_us = self._clock.now_us()
        states = (("WATCHDOG=1", self._watched), (extension(), self._starting))
        if said := [state for state, due in states if due]:
            self._notifier.notify(*said)

    def status(self, now: Now) -> None:
        """Publish the heartbeat now."""
        self._status_us = self._clock.now_us()
        self._publisher.status(self.described(now))

    def described(self, now: Now) -> Status:
        """Return the heartbeat as it would be now."""
        return Status(
            version=VERSION,
            station=self._identity.station,
            epoch=self._identity.epoch,
            seq=now.seq,
            journaled_seq=now.journaled_seq,
            state=now.state,
            ready=now.state == "ready",
            detail=self.detail,
            alarms=now.alarms,
            recipe=now.recipe,
            paused=now.paused,
            challenge=now.challenge,
            inspector=now.inspector,
            start_ms=now.start_ms,
            triggers=now.parts.triggers,
            counts={outcome.value: count for outcome, count in now.parts.counts.items()},
            unknown={reason.value: count for reason, count in now.parts.unknown.items()},
            open=now.parts.open,
            cameras=tuple(now.cameras),
            sent_us=self._clock.now_us(),
            utc_us=self._clock.utc_us(),
        )

    def audit(self, event: AuditEvent, part: int | None, detail: str, outcome: Outcome | None) -> None:
        """Publish and log what must be seen but is no verdict."""
        if event in _OFTEN:
            self._bundled.warn(event, f"{event.value}: {detail}")
        else:
            log.warning("%s: %s", event.value, detail)
        self._publisher.audit(
            Audit(
                version=VERSION,
                station=self._identity.station,
                epoch=self._identity.epoch,
                part=part,
                event=event,
                detail=detail,
                outcome=outcome,
                sent_us=self._clock.now_us(),
            )
        )
