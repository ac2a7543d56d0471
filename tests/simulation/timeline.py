"""The time of a simulated world: it passes only when somebody waits, from one event to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

_BEGIN_UTC_US = 1_763_800_000_000_000


class Timeline:
    """
    A Clock, and what will happen.

    The monotonic clock begins anew with every boot of the simulated machine; events are kept in the world's own time.
    """

    def __init__(self) -> None:
        self._us = 0
        self._booted_us = -1_000_000_000
        self._wall_us = _BEGIN_UTC_US
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def now_us(self) -> int:
        return self._us - self._booted_us

    def utc_us(self) -> int:
        return self._us + self._wall_us

    def after(self, us: float, action: Callable[[], None]) -> None:
        """Let *action* happen in so many microseconds; of two at one moment the one that was told first."""
        heapq.heappush(self._events, (self._us + int(us), next(self._order), action))

    def step_wall(self, us: int) -> None:
        """Somebody sets the wall clock; durations do not notice."""
        self._wall_us += us

    def reboot(self, up_us: int) -> None:
        """Let the monotonic clock say *up_us* now."""
        self._booted_us = self._us - up_us

    def sleep(self, due_us: int) -> None:
        """Let time pass until the next event, at the latest until the monotonic time *due_us*."""
        until_us = max(due_us + self._booted_us, self._us)
        if self._events:
            until_us = min(until_us, max(self._events[0][0], self._us))
        self._pass(until_us)

    def stall(self, us: int) -> None:
        """Let so much time pass, with everything that happens meanwhile."""
        self._pass(self._us + us)

    def _pass(self, until_us: int) -> None:
        while self._events and self._events[0][0] <= until_us:
            at_us, _, action = heapq.heappop(self._events)
            self._us = max(self._us, at_us)
            action()
        self._us = max(self._us, until_us)
