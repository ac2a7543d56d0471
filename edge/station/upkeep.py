"""
Looking after the journal's file off the verdict path: checkpoints, and what is too old or too much goes.

Age is time that the station ran, written down as it passes: a wall clock that was wrong, or is set, makes no verdict
old, and those of the last days before a station stood for a month are still there when it starts.
"""

from __future__ import annotations

import sqlite3
import threading

import msgspec

from edge.clock import Clock
from edge.station.damage import foreign_values_are_damage
from edge.station.entries import Position
from edge.station.epochs import Epochs, Number

# Rows deleted at once, in about a millisecond: the writer waits for it.
BITE = 50
_US_PER_DAY = 86_400_000_000
# A crash costs so much of the age at most.
_MARK_US = 600_000_000
# A short time to keep is measured more finely.
_MARKS = 100
_ALL = 2**62
# The first commit after a checkpoint waits for the disk: not more than one in so many may.
_CHECKPOINT_ENTRIES = 4000
_CHECKPOINT_US = 60_000_000


class Upkeep:
    """
    What is done a bite at a time, beside the writer.

    Args:
        keep_days, keep_mb: how long, and how much, is kept of answered parts.
        turn: held by whoever writes.
    """

    def __init__(self, keep_days: float, keep_mb: int, clock: Clock, turn: threading.Lock) -> None:
        self._keep_days = keep_days
        self._keep_mb = keep_mb
        self._clock = clock
        self._turn = turn
        self._checkpointed = (0, clock.now_us())
        self._lifetime = Lifetime(keep_days, clock.now_us())

    def keep(self, connection: sqlite3.Connection, entries_written: int) -> int:
        """
        Checkpoint when it is due, delete what need not be kept; return how many went, BITE = there may be more.

        Args:
            entries_written: by this run.
        """
        self._checkpoint_if_due(connection, entries_written)
        with self._turn:
            self._lifetime.mark_if_due(connection, self._clock.now_us())
            return delete_bite(connection, self._keep_days, self._keep_mb)

    def _checkpoint_if_due(self, connection: sqlite3.Connection, entries_written: int) -> None:
        entries, at_us = self._checkpointed
        fresh = entries_written - entries
        if fresh >= _CHECKPOINT_ENTRIES or (fresh and self._clock.now_us() - at_us >= _CHECKPOINT_US):
            self._checkpointed = (entries_written, self._clock.now_us())
            checkpoint(connection)
            # What was written meanwhile is little. SQLite begins the log again only when all of it has been copied,
            # which never comes about by itself beside a line that never pauses: the log would grow without end.
            with self._turn:
                checkpoint(connection)


class Lifetime:
    """
    Writes into the file how long the station has run in all, beside the seq that was the last one then.

    Args:
        keep_days: age at which a mark has done its work [days].
        now_us: monotonic; this run begins.
    """

    def __init__(self, keep_days: float, now_us: int) -> None:
        self._keep_us = _us(keep_days)
        self._marked_us = now_us

    def mark_if_due(self, connection: sqlite3.Connection, now_us: int) -> None:
        """Add a mark when it is time, and delete those that only say what a later one says too."""
        passed_us = now_us - self._marked_us
        if passed_us < min(_MARK_US, self._keep_us // _MARKS):
            return
        with foreign_values_are_damage():
            lived_us = passed_us + (_number(connection, "SELECT max(lived_us) FROM marks") or 0)
        connection.execute("INSERT OR REPLACE INTO marks SELECT ?, seq FROM ends", (lived_us,))
        past = "SELECT max(lived_us) FROM marks WHERE lived_us <= ?"
        connection.execute(f"DELETE FROM marks WHERE lived_us < ({past})", (lived_us - self._keep_us,))
        self._marked_us = now_us


def delete_bite(connection: sqlite3.Connection, keep_days: float, keep_mb: int) -> int:
    """
    Delete the oldest answered parts that are past their time, or that are too much; return how many.

    Open parts, counts and cursors stay; so do, however old, those that a known consumer has yet to read.

    Args:
        keep_days: time the station ran since [days].

    Raises:
        sqlite3.Error: the disk refuses; DatabaseError itself: the file holds what no station wrote.
    """
    with foreign_values_are_damage():
        last = _ALL if used_bytes(connection) > 1_000_000 * keep_mb else _old(connection, _us(keep_days))
    # Nothing is to be done nearly always: that is found out without taking the file's lock.
    if connection.execute("SELECT 1 FROM parts WHERE seq BETWEEN 1 AND ? LIMIT 1", (last,)).fetchone() is None:
        return 0
    chosen = "SELECT part FROM parts WHERE seq BETWEEN 1 AND ? ORDER BY seq LIMIT ?"
    return connection.execute(f"DELETE FROM parts WHERE part IN ({chosen})", (last, BITE)).rowcount


def _old(connection: sqlite3.Connection, keep_us: int) -> int:
    """Return the last seq that may go for its age."""
    behind = "SELECT max(seq) FROM marks WHERE lived_us <= (SELECT max(lived_us) FROM marks) - ?"
    seq = _number(connection, behind, keep_us)
    if not seq:
        return 0
    epochs = Epochs.read(connection)
    found = connection.execute("SELECT epoch, seq FROM cursors").fetchall()
    # A cursor of an unknown epoch begins with the oldest that is kept.
    read = [epochs.after(position) or 0 for position in _positions(found)]
    return min([seq, *read])


def _positions(rows: list[tuple[int, int]]) -> list[Position]:
    return [Position(epoch, seq) for epoch, seq in msgspec.convert(rows, list[tuple[Number, Number]])]


def _number(connection: sqlite3.Connection, statement: str, *parameters: int) -> int | None:
    return msgspec.convert(connection.execute(statement, parameters).fetchone()[0], Number | None)


def _us(days: float) -> int:
    # A time nobody lives to see, as far as SQLite counts.
    return min(int(days * _US_PER_DAY), _ALL)


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the size of what the file holds; freed pages are used again before it grows."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def checkpoint(connection: sqlite3.Connection) -> None:
    """Copy the write-ahead log into the file; waits for nobody and lets nobody wait."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
