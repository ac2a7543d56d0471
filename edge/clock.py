"""Monotonic time and stage timing. Durations and deadlines never use the wall clock; UTC is for people only."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the station asks for the time; tests hand in one that they move themselves."""

    def now_us(self) -> int:
        """Return CLOCK_MONOTONIC [us]; the same clock in every process of this machine."""
        ...

    def utc_us(self) -> int:
        """Return the wall clock [us since 1970]; for people, never for arithmetic."""
        ...


class SystemClock:
    def now_us(self) -> int:
        return time.monotonic_ns() // 1000

    def utc_us(self) -> int:
        return time.time_ns() // 1000


SYSTEM_CLOCK = SystemClock()


class Stopwatch:
    """Splits the time of one part into stages; a stage that comes again adds up."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._last_us = clock.now_us()
        self.stages_us: dict[str, int] = {}

    def lap(self, stage: str) -> None:
        """Book the time since the last lap (or the start) on *stage*."""
        now_us = self._clock.now_us()
        self.stages_us[stage] = self.stages_us.get(stage, 0) + now_us - self._last_us
        self._last_us = now_us
