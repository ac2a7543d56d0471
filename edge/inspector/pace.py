"""How long an engine's calls take on this machine, by batch size: what decides whether one more may be started."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from edge.clock import SYSTEM_CLOCK, Clock
from edge.inspector.backend import Engine, batch_for

WINDOW = 200
"""Calls of one batch size that are remembered."""
_TRIED_AGAIN_AFTER = 5
_WARM_UP_CALLS = 2


class PacedEngine:
    """
    An engine whose every call is timed; used by one thread.

    Attributes:
        engine: what runs.
        inputs, batches: the engine's.
    """

    def __init__(self, engine: Engine, clock: Clock = SYSTEM_CLOCK) -> None:
        self.engine = engine
        self.inputs = engine.inputs
        self.batches = engine.batches
        self._clock = clock
        self._times = {size: _Times() for size in engine.batches}

    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        """Run and time the engine on its first *n* rows; see Engine.run()."""
        started_us = self._clock.now_us()
        outputs = self.engine.run(n)
        self._times[batch_for(self.batches, n)].note(self._clock.now_us() - started_us)
        return outputs

    def gather(self, source: PacedEngine, rows: Sequence[int]) -> bool:
        """Take rows that another engine has read; see Engine.gather()."""
        return self.engine.gather(source.engine, rows)

    def warm_up(self) -> None:
        """Run every batch size: the first call of each is many times slower than the next, and is not remembered."""
        for size in self.batches:
            self.engine.run(size)
            for _ in range(_WARM_UP_CALLS):
                self.run(size)

    def p99_us(self, n: int) -> int:
        """Return the 99th percentile of the last calls with the batch size that *n* rows need [us]; 0 = none yet."""
        return self._times[batch_for(self.batches, n)].p99_us

    def rows_in(self, left_us: int, n: int) -> int:
        """
        Return how many of *n* rows one call can do within *left_us*, 0 when not even one.

        A size that was refused five times in a row is tried once, since only a call can show that it has become
        faster: a machine that once was slow would refuse for ever.
        """
        if left_us <= 0:
            return 0
        wanted = min(n, self.batches[-1])
        for size in reversed(self.batches[: self.batches.index(batch_for(self.batches, wanted)) + 1]):
            if self._times[size].may_start(left_us):
                return min(wanted, size)
        return 0


class _Times:
    """The last WINDOW durations of one batch size, in order of time and of length."""

    def __init__(self) -> None:
        self._by_time: deque[int] = deque()
        self._by_length: list[int] = []
        self._refused = 0

    def note(self, took_us: int) -> None:
        if len(self._by_time) == WINDOW:
            del self._by_length[bisect_left(self._by_length, self._by_time.popleft())]
        self._by_time.append(took_us)
        insort(self._by_length, took_us)

    @property
    def p99_us(self) -> int:
        count = len(self._by_length)
        # With few calls the highest but one: a single stall of the machine would refuse its size a hundred calls long.
        rank = min(-(-99 * count // 100), max(count - 1, 1))
        return self._by_length[rank - 1] if count else 0

    def may_start(self, left_us: int) -> bool:
        fits = self.p99_us <= left_us or self._refused >= _TRIED_AGAIN_AFTER
        self._refused = 0 if fits else self._refused + 1
        return fits
