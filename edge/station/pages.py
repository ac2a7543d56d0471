"""Reading the journal: the verdicts behind a position, and what can no longer be given."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from edge.station.entries import BEGINNING, Gap, Page, Position

# A page is held in memory and sent by the loop: a few ms of it, however large the records are.
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class _Epochs:
    """Seq goes on over epochs, so each is the range from its first seq to the next one's."""

    epochs: tuple[int, ...]
    first_seqs: tuple[int, ...]

    def of(self, seq: int) -> int:
        return self.epochs[max(bisect_right(self.first_seqs, seq) - 1, 0)]

    def after(self, position: Position) -> int | None:
        """Return the seq behind which *position* lies today; None when its epoch is unknown."""
        if position.epoch not in self.epochs:
            return None
        index = self.epochs.index(position.epoch)
        seq = max(position.seq, self.first_seqs[index] - 1)
        # Verdicts of a crashed run that were not journaled: the next epoch gave their numbers anew.
        return seq if index + 1 == len(self.epochs) else min(seq, self.first_seqs[index + 1] - 1)


def read_page(connection: sqlite3.Connection, after: Position, limit: int, newest_seq: int) -> Page:
    """
    Return the verdicts behind a position, up to the next gap.

    Args:
        limit: records at most.
        newest_seq: the last one that was given, journaled or not.
    """
    connection.execute("BEGIN")
    try:
        return _page(connection, after, limit, newest_seq)
    finally:
        connection.execute("ROLLBACK")


def _page(connection: sqlite3.Connection, after: Position, limit: int, newest_seq: int) -> Page:
    rows = connection.execute("SELECT epoch, first_seq FROM epochs ORDER BY ordinal").fetchall()
    epochs = _Epochs(tuple(row[0] for row in rows), tuple(row[1] for row in rows))
    if not rows:
        return Page(last=after, end=True)
    journaled: int = connection.execute("SELECT seq FROM ends").fetchone()[0]
    seq = epochs.after(after)
    if seq is None:
        oldest = connection.execute("SELECT min(seq) FROM parts").fetchone()[0]
        seq = journaled if oldest is None else oldest - 1
        unknown = None if after == BEGINNING else Gap(None, None, "unknown epoch")
        return _records(connection, epochs, seq, limit, journaled, unknown)
    if seq > max(newest_seq, journaled):
        return Page(last=Position(epochs.epochs[-1], max(newest_seq, journaled)), end=True, ahead=True)
    if seq >= journaled:
        return Page(last=Position(epochs.epochs[-1], seq), end=True)
    following = connection.execute("SELECT min(seq) FROM parts WHERE seq > ?", (seq,)).fetchone()[0]
    last_missing = journaled if following is None else following - 1
    if last_missing == seq:
        return _records(connection, epochs, seq, limit, journaled, None)
    gap = Gap(seq + 1, last_missing, _why(connection, seq + 1))
    return _records(connection, epochs, last_missing, limit, journaled, gap)


def _records(
    connection: sqlite3.Connection, epochs: _Epochs, seq: int, limit: int, journaled: int, gap: Gap | None
) -> Page:
    """Return what follows *seq* without a hole, and not more than fits into a page."""
    records: list[bytes] = []
    size = 0
    found = connection.execute("SELECT seq, record FROM parts WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))
    for row_seq, record in found:
        if row_seq != seq + 1 or (records and size + len(record) > _MOST_BYTES):
            break
        seq = row_seq
        size += len(record)
        records.append(record)
    found.close()
    # With nothing to give one stands at the end, which is a place of the newest epoch.
    epoch = epochs.of(seq) if records or gap else epochs.epochs[-1]
    return Page(records=tuple(records), last=Position(epoch, seq), gap=gap, end=seq >= journaled)


def _why(connection: sqlite3.Connection, seq: int) -> Literal["lost", "retention"]:
    lost = "SELECT 1 FROM lost WHERE first_seq <= ? AND last_seq >= ?"
    return "retention" if connection.execute(lost, (seq, seq)).fetchone() is None else "lost"
