"""Pause: people work on the line; every part is UNKNOWN(paused) until it ends by itself or is ended."""

from __future__ import annotations

from pathlib import Path

from edge.clock import Clock
from edge.records import AuditEvent, PauseMark
from edge.requests import Pause
from edge.station.kept import KeptFile
from edge.station.reporter import Reporter

_FILE = "pause.json"
_LONGEST_US = 24 * 3600 * 1_000_000


class Maintenance:
    """
    Args:
        folder: the state directory: a pause outlives a restart, people may still stand in the line. None = it does not.

    Attributes:
        mark: who, why, until when; None = inspection goes on.
    """

    def __init__(self, folder: Path | None, clock: Clock, reporter: Reporter) -> None:
        self._clock = clock
        self._reporter = reporter
        self._file = KeptFile(folder, _FILE, PauseMark)
        self.mark = self._file.read()
        # Over a restart only the wall clock tells how much is left; never longer than a pause may be asked for.
        left_us = 0 if self.mark is None else self.mark.until_utc_us - clock.utc_us()
        self._until_us = clock.now_us() + min(max(left_us, 0), _LONGEST_US)

    def ask(self, request: Pause) -> str:
        """Begin, prolong or end a pause; return what was done, in one line."""
        us = round(request.minutes * 60e6)
        if us == 0:
            return self._end(f"resumed by {request.role}: {request.reason}")
        self._until_us = self._clock.now_us() + us
        self.mark = PauseMark(role=request.role, reason=request.reason, until_utc_us=self._clock.utc_us() + us)
        fault = self._file.write(self.mark)
        text = f"paused by {request.role} for {request.minutes:g} min: {request.reason}"
        self._reporter.audit(AuditEvent.PAUSED, None, text, None)
        return f"{text}; {fault}" if fault else text

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
        self._file.write(None)
        self._reporter.audit(AuditEvent.RESUMED, None, text, None)
        return text
