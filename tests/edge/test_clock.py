"""Time: monotonic, in whole microseconds, booked once."""

from __future__ import annotations

import time

from edge.clock import SYSTEM_CLOCK, Stopwatch


class HandClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.us = 1_000

    def now_us(self) -> int:
        return self.us

    def utc_us(self) -> int:
        return 0


def test_the_system_clock_is_the_monotonic_one() -> None:
    """It lies between two readings of CLOCK_MONOTONIC, in whole microseconds."""
    before = time.monotonic_ns() // 1000
    now_us = SYSTEM_CLOCK.now_us()
    assert before <= now_us <= time.monotonic_ns() // 1000


def test_utc_counts_from_1970() -> None:
    """The wall clock is in microseconds too."""
    assert abs(SYSTEM_CLOCK.utc_us() - time.time() * 1e6) < 60e6


def test_a_stopwatch_books_all_time_once() -> None:
    """Stages add up to the whole, and a stage that comes again is added."""
    clock = HandClock()
    watch = Stopwatch(clock)
    for stage, took_us in (("tile", 5), ("classify", 70), ("tile", 3), ("rules", 0)):
        clock.us += took_us
        watch.lap(stage)
    assert watch.stages_us == {"tile": 8, "classify": 70, "rules": 0}
