"""Pause: people work on the line; every part is UNKNOWN(paused) until it ends by itself or is ended."""

from __future__ import annotations

from edge.clock import Clock
from edge.records import AuditEvent, PauseMark
from edge.requests import Pause
from edge.station.reporter import Reporter


class Maintenance:
    """
    Attributes:
        mark: who, why, until when; None = inspection goes on.
    """

    def __init__(self, clock: Clock, reporter: Reporter) -> None:
        self._clock = clock
        self._reporter = reporter
        self._until_us = 0
        self.mark: PauseMark | None = None

    def ask(self, request: Pause) -> str:
        """Begin, prolong or end a pause; return what was done, in one line."""
        us = round(request.minutes * 60e6)
        if us == 0:
            return self._end(f"resumed by {request.role}: {request.reason}")
        self._until_us = self._clock.now_us() + us
        self.mark = PauseMark(role=request.role, reason=request.reason, until_utc_us=self._clock.utc_us() + us)
        text = f"paused by {request.role} for {request.minutes:g} min: {request.reason}"
        self._reporter.audit(AuditEvent.PAUSED, None, text, None)
        return text

    def due_us(self) -> int | None:
        return None if self.mark is None else self._until_us

    def expire(self) -> bool:
        """End a pause whose time is over; return whether it was."""
        if self.mark is None or self._clock.now_us() < self._until_us:
            return False
        self._end("the pause is over")
        return True

    def _end(self, text: str) -> str:
        if self.mark is None:
            return "inspection was not paused"
        self.mark = None
        self._reporter.audit(AuditEvent.RESUMED, None, text, None)
        return text
