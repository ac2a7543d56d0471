"""Looking after the journal's file off the verdict path: checkpoints, and what is too old or too much goes."""

from __future__ import annotations

import sqlite3

# Rows deleted at once, in about a millisecond: the writer waits for it.
BITE = 50
_US_PER_DAY = 86_400_000_000

# Sorted first, judged after: what is not old enough ends the search, instead of a walk over the whole index.
_OLDEST = "SELECT part, verdict_utc_us FROM parts WHERE seq > 0 ORDER BY seq LIMIT ?"


def delete_bite(connection: sqlite3.Connection, utc_us: int, keep_days: float, keep_mb: int) -> int:
    """
    Delete the oldest answered parts that are past their time, or that are too much; return how many.

    Open parts, counts and cursors stay.
    """
    before_us = utc_us - int(keep_days * _US_PER_DAY)
    if used_bytes(connection) > 1_000_000 * keep_mb:
        before_us = 2**62
    # Nothing is to be done nearly always: that is found out without taking the writer's turn.
    oldest = connection.execute(_OLDEST, (1,)).fetchone()
    if oldest is None or oldest[1] >= before_us:
        return 0
    chosen = f"SELECT part FROM ({_OLDEST}) WHERE verdict_utc_us < ?"
    return connection.execute(f"DELETE FROM parts WHERE part IN ({chosen})", (BITE, before_us)).rowcount


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the size of what the file holds; freed pages are used again before it grows."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def checkpoint(connection: sqlite3.Connection) -> None:
    """Copy the write-ahead log into the file; waits for nobody and lets nobody wait."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
