"""What is said to the journal's tables. Only ``commit`` is a transaction of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from edge.records import Mode
from edge.station.backlog import Batch, extend, key_from_entry
from edge.station.entries import Entry, Position, TriggerEntry, VerdictEntry
from edge.station.epochs import Epochs, Number
from edge.station.ledger import Ledger, LedgerKey

# Requests remembered over a restart, so that a sender that repeats one is not given a second part.
REMEMBERED = 20_000

_TRIGGER_COLUMNS = ", ".join(TriggerEntry.__struct_fields__)
_INSERT = (
    f"INSERT INTO parts ({_TRIGGER_COLUMNS}) VALUES ({', '.join('?' * len(TriggerEntry.__struct_fields__))}) "
    "ON CONFLICT DO NOTHING"
)
_UPDATE = (
    "UPDATE OR IGNORE parts SET seq = ?, outcome = ?, reason = ?, verdict_utc_us = ?, record = ? "
    "WHERE part = ? AND seq IS NULL"
)
_COUNT = (
    "INSERT INTO ledger VALUES (?, ?, ?, ?) ON CONFLICT (shift, mode, what) DO UPDATE SET n = ledger.n + excluded.n"
)
_ENDS = "UPDATE ends SET part = max(part, ?), seq = max(seq, ?), counter = coalesce(?, counter)"


@dataclass
class Loaded:
    """What a run takes over from the ones before it."""

    seq: int = 0
    part: int = 0
    counter: int | None = None
    """The line's own, at the newest trigger that had one."""
    ledger: Ledger = field(default_factory=Ledger)
    cursors: dict[str, Position] = field(default_factory=dict)
    left_open: tuple[TriggerEntry, ...] = ()
    remembered: tuple[tuple[str, TriggerEntry], ...] = ()
    epoch: int | None = None
    """The last run's, if this one continues it."""
    first_seq: int = 1
    """Of the epoch."""
    epochs: tuple[tuple[int, int], ...] = ()
    """(epoch, its first seq) of every run, the oldest first."""


def load(connection: sqlite3.Connection) -> Loaded:
    """
    Read what the last run left.

    Raises:
        msgspec.ValidationError, TypeError, ValueError: the file holds what no station wrote.
    """
    part, seq, counter = _ends(connection)
    left_open = _triggers(connection, "WHERE seq IS NULL ORDER BY part", ())
    asked = _triggers(connection, "WHERE request IS NOT NULL ORDER BY part DESC LIMIT ?", (REMEMBERED,))
    epochs = Epochs.read(connection)
    runs = tuple(zip(epochs.epochs, epochs.first_seqs, strict=True))
    clean = connection.execute("SELECT clean = 1 FROM epochs ORDER BY ordinal DESC LIMIT 1").fetchone()
    last = runs[-1] if clean == (1,) and not left_open else None
    return Loaded(
        seq=seq,
        part=part,
        counter=counter,
        ledger=Ledger({(shift, mode, what): n for shift, mode, what, n in _ledger_rows(connection)}),
        cursors={consumer: Position(epoch, at) for consumer, epoch, at in _cursor_rows(connection)},
        left_open=left_open,
        remembered=tuple((entry.request, entry) for entry in reversed(asked) if entry.request is not None),
        epoch=None if last is None else last[0],
        first_seq=seq + 1 if last is None else last[1],
        epochs=runs,
    )


def _ends(connection: sqlite3.Connection) -> tuple[int, int, int | None]:
    found = connection.execute("SELECT * FROM ends")
    # A file of an older release on a disk that cannot be written has fewer columns.
    row = dict(zip((column[0] for column in found.description), found.fetchone(), strict=True))
    return msgspec.convert((row["part"], row["seq"], row.get("counter")), tuple[Number, Number, int | None])


def _ledger_rows(connection: sqlite3.Connection) -> list[tuple[str, Mode, str, Number]]:
    found = connection.execute("SELECT shift, mode, what, n FROM ledger").fetchall()
    return msgspec.convert(found, list[tuple[str, Mode, str, Number]])


def _cursor_rows(connection: sqlite3.Connection) -> list[tuple[str, Number, Number]]:
    found = connection.execute("SELECT consumer, epoch, seq FROM cursors").fetchall()
    return msgspec.convert(found, list[tuple[str, Number, Number]])


def _triggers(connection: sqlite3.Connection, where: str, parameters: Sequence[int]) -> tuple[TriggerEntry, ...]:
    found = connection.execute(f"SELECT {_TRIGGER_COLUMNS} FROM parts {where}", parameters)
    return tuple(
        msgspec.convert(dict(zip(TriggerEntry.__struct_fields__, row, strict=True)), TriggerEntry) for row in found
    )


def begin_epoch(connection: sqlite3.Connection, epoch: int, first_seq: int, utc_us: int) -> None:
    """Open the epoch, or open it again: from now on it counts as not ended well."""
    connection.execute(
        "INSERT INTO epochs (epoch, first_seq, opened_utc_us, clean) VALUES (?, ?, ?, 0) "
        "ON CONFLICT (epoch) DO UPDATE SET clean = 0",
        (epoch, first_seq, utc_us),
    )


def end_epoch(connection: sqlite3.Connection, epoch: int) -> bool:
    """Write the clean-close record unless a part is open; return whether it was written."""
    unless_open = "NOT EXISTS (SELECT 1 FROM parts WHERE seq IS NULL)"
    changed = connection.execute(f"UPDATE epochs SET clean = 1 WHERE epoch = ? AND {unless_open}", (epoch,)).rowcount
    return changed == 1


def restore(
    connection: sqlite3.Connection,
    first_seq: int,
    seq: int,
    part: int,
    counter: int | None,
    ledger: Ledger,
    cursors: dict[str, Position],
) -> None:
    """Write into a new file what is still known of the one that is gone."""
    connection.execute(_ENDS, (part, seq, counter))
    if seq >= first_seq:
        _lose(connection, [(first_seq, seq)])
    _count(connection, ledger.counts())
    _cursors(connection, dict(cursors))


def commit(connection: sqlite3.Connection, batch: Batch) -> None:
    """
    Write a batch in one transaction, unless an attempt before did it and was told that it had failed.

    ``batch.refused`` is then what found no place: a part triggered twice, a verdict for a part that has one or never
    was.
    """
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("SELECT 1 FROM ends WHERE batch = ?", (batch.number,)).fetchone() is not None:
        connection.execute("ROLLBACK")
        return
    _write_all(connection, batch)
    connection.execute("UPDATE ends SET batch = ?", (batch.number,))
    connection.execute("COMMIT")


def _write_all(connection: sqlite3.Connection, batch: Batch) -> None:
    counts = batch.counts.copy()
    batch.refused.clear()
    lost = list(batch.lost)
    last_part, last_seq = batch.lost_part, max((last for _, last in lost), default=0)
    for ticket, entry in zip(batch.tickets, batch.entries, strict=True):
        counts[key_from_entry(entry)] += 1
        last_part = max(last_part, entry.part)
        if isinstance(entry, VerdictEntry):
            last_seq = max(last_seq, entry.seq)
        if _write(connection, entry):
            continue
        batch.refused[ticket] = entry
        if isinstance(entry, VerdictEntry):
            extend(lost, entry.seq)
    _count(connection, counts)
    _cursors(connection, batch.cursors)
    _lose(connection, lost)
    connection.execute(_ENDS, (last_part, last_seq, batch.counter()))


def _write(connection: sqlite3.Connection, entry: Entry) -> bool:
    if isinstance(entry, TriggerEntry):
        return connection.execute(_INSERT, msgspec.structs.astuple(entry)).rowcount == 1
    values = (entry.seq, entry.outcome, entry.reason, entry.utc_us, entry.record, entry.part)
    return connection.execute(_UPDATE, values).rowcount == 1


def _count(connection: sqlite3.Connection, counts: dict[LedgerKey, int]) -> None:
    connection.executemany(_COUNT, [(*key, n) for key, n in counts.items()])


def _cursors(connection: sqlite3.Connection, cursors: dict[str, Position | None]) -> None:
    for consumer, position in cursors.items():
        if position is None:
            connection.execute("DELETE FROM cursors WHERE consumer = ?", (consumer,))
        else:
            connection.execute("REPLACE INTO cursors VALUES (?, ?, ?)", (consumer, position.epoch, position.seq))


def _lose(connection: sqlite3.Connection, ranges: list[tuple[int, int]]) -> None:
    # A seq that is on the disk is not lost: two verdicts of the same number are another fault, and told as such.
    connection.executemany("INSERT OR IGNORE INTO lost VALUES (?, ?)", ranges)
