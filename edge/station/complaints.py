"""Why parts are UNKNOWN, for the log: the first of a kind at once, then a line a minute at most, with their number."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from edge.clock import Clock
from edge.records import Reason

log = logging.getLogger("edge.station")

_EVERY_US = 60_000_000
# Somebody wanted them; that is told by itself.
_MEANT = frozenset({Reason.PAUSED, Reason.STOPPED})


@dataclass
class _Kind:
    logged_us: int
    unsaid: int = 0


class Complaints:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kinds: dict[Reason, _Kind] = {}

    def note(self, part: int, reason: Reason, detail: str) -> None:
        """Note a part that is UNKNOWN, and log it unless one of its kind was logged a short while ago."""
        if reason in _MEANT:
            return
        now_us, kind = self._clock.now_us(), self._kinds.get(reason)
        if kind is not None and now_us - kind.logged_us < _EVERY_US:
            kind.unsaid += 1
            return
        before = f" ({kind.unsaid} more since the last line of these)" if kind is not None and kind.unsaid else ""
        self._kinds[reason] = _Kind(now_us)
        log.warning("part %d is UNKNOWN(%s): %s%s", part, reason.value, detail, before)
