"""Reading the journal: the verdicts behind a position, and what can no longer be given."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Literal

import msgspec

from edge.station.damage import foreign_values_are_damage
from edge.station.entries import BEGINNING, Gap, Page, Position
from edge.station.epochs import Epochs, Number

# A page is held in memory and sent by the loop: a few ms of it, however large the records are.
_MOST_BYTES = 1_000_000


def read_page(connection: sqlite3.Connection, after: Position, limit: int, newest_seq: int) -> Page:
    """
    Return the verdicts behind a position, up to the next gap.

    Args:
        limit: records at most.
        newest_seq: the last one that was given, journaled or not.

    Raises:
        sqlite3.Error: the disk refuses; DatabaseError itself: the file is damaged, or holds what no station wrote.
    """
    connection.execute("BEGIN")
    try:
        with foreign_values_are_damage():
            return _page(connection, after, limit, newest_seq)
    finally:
        connection.execute("ROLLBACK")


def _page(connection: sqlite3.Connection, after: Position, limit: int, newest_seq: int) -> Page:
    epochs = Epochs.read(connection)
    if not epochs.epochs:
        return Page(last=after, end=True)
    journaled = _seq(connection, "SELECT seq FROM ends")
    assert journaled is not None
    seq = epochs.after(after)
    if seq is None:
        oldest = _seq(connection, "SELECT min(seq) FROM parts")
        seq = journaled if oldest is None else oldest - 1
        unknown = None if after == BEGINNING else Gap(None, None, "unknown epoch")
        return _records(connection, epochs, seq, limit, journaled, unknown)
    if seq > max(newest_seq, journaled):
        return Page(last=Position(epochs.epochs[-1], max(newest_seq, journaled)), end=True, ahead=True)
    if seq >= journaled:
        return Page(last=Position(epochs.epochs[-1], seq), end=True)
    following = _seq(connection, "SELECT min(seq) FROM parts WHERE seq > ?", seq)
    last_missing = journaled if following is None else following - 1
    if last_missing == seq:
        return _records(connection, epochs, seq, limit, journaled, None)
    gap = Gap(seq + 1, last_missing, _why(connection, seq + 1))
    return _records(connection, epochs, last_missing, limit, journaled, gap)


def _records(
    connection: sqlite3.Connection, epochs: Epochs, seq: int, limit: int, journaled: int, gap: Gap | None
) -> Page:
    """Return what follows *seq* without a hole, and not more than fits into a page."""
    records: list[bytes] = []
    size = 0
    following = "SELECT seq, record FROM parts WHERE seq > ? ORDER BY seq LIMIT ?"
    # A statement that is not closed holds the transaction open, and the log could never be brought home.
    with closing(connection.execute(following, (seq, limit))) as found:
        for row_seq, record in found:
            if row_seq != seq + 1:
                break
            if records and (type(record) is not bytes or size + len(record) > _MOST_BYTES):
                break
            if type(record) is not bytes:
                raise TypeError(f"the record of verdict {row_seq} is {type(record).__name__}, expected bytes")
            seq = row_seq
            size += len(record)
            records.append(record)
    # With nothing to give one stands at the end, which is a place of the newest epoch.
    epoch = epochs.of(seq) if records or gap else epochs.epochs[-1]
    return Page(records=tuple(records), last=Position(epoch, seq), gap=gap, end=seq >= journaled)


def _seq(connection: sqlite3.Connection, statement: str, *parameters: int) -> int | None:
    return msgspec.convert(connection.execute(statement, parameters).fetchone()[0], Number | None)


def _why(connection: sqlite3.Connection, seq: int) -> Literal["lost", "retention"]:
    lost = "SELECT 1 FROM lost WHERE first_seq <= ? AND last_seq >= ?"
    return "retention" if connection.execute(lost, (seq, seq)).fetchone() is None else "lost"
