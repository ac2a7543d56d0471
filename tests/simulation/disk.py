"""The disk under the real journal: full for a while, in the middle of a transaction too; and the writer's turns."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from edge.station.journal import Journal
from tests.simulation.weather import Weather

if TYPE_CHECKING:
    from tests.simulation.world import World

_RETRY_US = 500_000
_QUICK_US = 800
_HOUSE_US = 5_000_000


class Disk:
    """
    Hands out connections for the journal's ``connect``.

    Attributes:
        good_for: statements that still succeed; None = all.
    """

    def __init__(self) -> None:
        self.good_for: int | None = None

    def __call__(self, path: Path, create: bool) -> sqlite3.Connection:
        self.turn()
        disk = self

        class Fragile(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                disk.turn()
                cursor = super().execute(*arguments)
                disk.interrupt(arguments[0])
                return cursor

            def executemany(self, *arguments: Any) -> sqlite3.Cursor:
                disk.turn()
                return super().executemany(*arguments)

        uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, factory=Fragile)

    def turn(self) -> None:
        """Refuse, or count down to it."""
        if self.good_for is None:
            return
        if self.good_for <= 0:
            raise sqlite3.OperationalError("database or disk is full")
        self.good_for -= 1

    def interrupt(self, statement: str) -> None:
        """Report a failure all the same where the last statement that succeeded was a COMMIT: it has landed."""
        if statement == "COMMIT" and self.good_for == 0:
            raise sqlite3.OperationalError("disk I/O error")


class Writer:
    """Does what the journal's threads do, at simulated times."""

    def __init__(self, world: World, journal: Journal, rng: Random, weather: Weather) -> None:
        self._world = world
        self._journal = journal
        self._rng = rng
        self._weather = weather
        self._begun = self._reading = False
        self._ended = False
        self.waits = False
        world.timeline.after(_HOUSE_US, self._keep_house)

    def end(self) -> None:
        self._ended = True

    def look(self) -> None:
        """Begin to read or to commit if something waits and none is under way."""
        # More pages may lie ready than the loop fetched at once.
        self.waits = self.waits or self._journal._replays.ready()
        # The queues' own predicates: there is no other way to see that the threads would wake.
        if not self._reading and self._journal._replays.waiting():
            self._reading = True
            self._world.timeline.after(_RETRY_US if self._journal.alarm else self._rng.randint(100, 5_000), self._read)
        if self._begun or not (self._journal._backlog._released or self._journal.failing):
            return
        self._begun = True
        us = self._rng.randint(30, _QUICK_US)
        if self._journal.failing:
            us = _RETRY_US
        elif self._rng.random() < self._weather.commit_slow:
            self._world.truth.seen["commit_slow"] += 1
            us = self._rng.choice((5_000, 30_000, 150_000, 600_000))
        if us > _QUICK_US:
            self._slow_for(us)
        self._world.timeline.after(us, self._write)

    def _write(self) -> None:
        if not self._ended:
            self._begun = False
            self.waits = True
            self._journal.write_waiting()
            if self._journal.failing:
                self._slow_for(_RETRY_US)

    def _slow_for(self, us: int) -> None:
        self._world.run.disk_slow_until_us = self._world.timeline.now_us() + us

    def _read(self) -> None:
        if not self._ended:
            self._reading = False
            self.waits = self._journal.read_waiting() or self.waits

    def _keep_house(self) -> None:
        if not self._ended:
            self._journal.keep_house()
            self._world.timeline.after(_HOUSE_US, self._keep_house)
