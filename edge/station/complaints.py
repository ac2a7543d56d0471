"""Warnings that come with each of many parts: the first of a kind at once, then a line a minute, with their number."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum

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


class Bundled:
    """Warnings by kind, of which a line a minute is logged."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kinds: dict[Enum, _Kind] = {}

    def warn(self, kind: Enum, text: str) -> None:
        """Log *text*, unless one of its kind was logged a short while ago: that one is counted in the next."""
        now_us, known = self._clock.now_us(), self._kinds.get(kind)
        if known is not None and now_us - known.logged_us < _EVERY_US:
            known.unsaid += 1
            return
        before = f" ({known.unsaid} more since the last line of these)" if known is not None and known.unsaid else ""
        self._kinds[kind] = _Kind(now_us)
        log.warning("%s%s", text, before)


class Complaints:
    """Why parts are UNKNOWN."""

    def __init__(self, clock: Clock) -> None:
        self._lines = Bundled(clock)

    def note(self, part: int, reason: Reason, detail: str) -> None:
        """Note a part that is UNKNOWN, and log it unless one of its kind was logged a short while ago."""
        if reason not in _MEANT:
            self._lines.warn(reason, f"part {part} is UNKNOWN({reason.value}): {detail}")
