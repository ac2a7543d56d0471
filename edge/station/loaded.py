"""What the last run left in the file, read before anything is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from edge.records import Mode
from edge.station.entries import Position, TriggerEntry
from edge.station.epochs import Epochs, Number
from edge.station.ledger import Ledger

# Requests remembered over a restart, so that a sender that repeats one is not given a second part.
REMEMBERED = 20_000

_TRIGGER_COLUMNS = ", ".join(TriggerEntry.__struct_fields__)


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
