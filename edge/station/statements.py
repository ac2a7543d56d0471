"""
What is said to the journal's tables. Only ``commit`` is a transaction of its own.

sqlite3 gives the interpreter lock away with every statement and waits for it again behind a busy loop. So a batch is
one statement, whatever it holds: a row put into a view, whose trigger does the rest. Its columns are arrays of arrays,
as JSON, which SQLite is certain to know from 3.38 on and knew before wherever it was built as usual.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import accumulate

import msgspec

from edge.station.backlog import Batch, extend
from edge.station.entries import Position, TriggerEntry, VerdictEntry
from edge.station.ledger import Ledger, LedgerKey

OLDEST_SQLITE = (3, 33, 0)
"""The first that knows UPDATE FROM."""

_TRIGGER = TriggerEntry.__struct_fields__
_VERDICT = ("seq", "outcome", "reason", "verdict_utc_us")
_COUNT = "ON CONFLICT (shift, mode, what) DO UPDATE SET n = ledger.n + excluded.n"
_ENDS = "UPDATE ends SET part = max(part, ?), seq = max(seq, ?), counter = coalesce(?, counter)"


def _items(*names: str) -> str:
    """Return what selects the items of an array by these names."""
    return ", ".join(f"json_extract(value, '$[{at}]') AS {name}" for at, name in enumerate(names))


_BATCH = """
CREATE TEMP VIEW IF NOT EXISTS batch (triggers, verdicts, records, counts, part, seq, counter, number)
AS SELECT 0, 0, 0, 0, 0, 0, 0, 0
"""
# WHERE true: the parser would take ON for that of a join. +seq: the index of the open parts would be gone through for
# each verdict, instead of the part's own row being looked up.
_WRITE = f"""
CREATE TEMP TRIGGER IF NOT EXISTS write INSTEAD OF INSERT ON batch BEGIN
    INSERT INTO parts ({", ".join(_TRIGGER)}) SELECT {_items(*_TRIGGER)} FROM json_each(NEW.triggers);
    UPDATE parts SET
        {", ".join(f"{name} = given.{name}" for name in _VERDICT)},
        record = substr(NEW.records, given.first, given.length)
    FROM (SELECT {_items("part", *_VERDICT, "first", "length")} FROM json_each(NEW.verdicts)) AS given
    WHERE parts.part = given.part AND +parts.seq IS NULL;
    SELECT RAISE(ABORT, 'a verdict found no open part') WHERE changes() <> json_array_length(NEW.verdicts);
    INSERT INTO ledger SELECT {_items("shift", "mode", "what", "n")} FROM json_each(NEW.counts) WHERE true {_COUNT};
    UPDATE ends SET
        part = max(part, NEW.part), seq = max(seq, NEW.seq), counter = coalesce(NEW.counter, counter),
        batch = NEW.number;
END
"""

_json = msgspec.json.Encoder()


def prepare(connection: sqlite3.Connection) -> None:
    """Make a connection ready for ``commit``; the tables are there."""
    # What a batch may have to take back waits in memory: a full disk has no room.
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(_BATCH)
    connection.execute(_WRITE)


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
    counts = [(*key, n) for key, n in ledger.counts().items()]
    connection.executemany(f"INSERT INTO ledger VALUES (?, ?, ?, ?) {_COUNT}", counts)
    _cursors(connection, dict(cursors))


def commit(connection: sqlite3.Connection, batch: Batch) -> None:
    """
    Write a batch in one transaction, unless an attempt before did it and was told that it had failed.

    ``batch.refused`` is then what found no place: a part triggered twice, a verdict for a part that has one or never
    was.
    """
    connection.execute("BEGIN IMMEDIATE")
    if batch.tried and connection.execute("SELECT 1 FROM ends WHERE batch = ?", (batch.number,)).fetchone() is not None:
        connection.execute("ROLLBACK")
        return
    batch.tried = True
    batch.refused.clear()
    try:
        _write(connection, batch, batch.triggers, batch.verdicts, batch.tally)
    except sqlite3.IntegrityError:
        # Some entry finds no place, and nothing of the batch was written: it is found out which.
        _write_one_by_one(connection, batch)
    _cursors(connection, batch.cursors)
    _lose(connection, _lost(batch))
    connection.execute("COMMIT")


def _write_one_by_one(connection: sqlite3.Connection, batch: Batch) -> None:
    """Write what finds a place, in order, and note what does not; then the rest of the batch."""
    for ticket, entry in zip(batch.tickets, batch.entries, strict=True):
        triggers, verdicts = ([entry], []) if isinstance(entry, TriggerEntry) else ([], [entry])
        try:
            _write(connection, batch, triggers, verdicts, {})
        except sqlite3.IntegrityError:
            batch.refused[ticket] = entry
    _write(connection, batch, [], [], batch.tally)


def _write(
    connection: sqlite3.Connection,
    batch: Batch,
    triggers: Sequence[TriggerEntry],
    verdicts: Sequence[VerdictEntry],
    counts: Mapping[LedgerKey, int],
) -> None:
    """
    Write these entries and counts, and the batch's numbers.

    Raises:
        sqlite3.IntegrityError: one of them finds no place; nothing was written.
    """
    firsts = accumulate((len(verdict.record) for verdict in verdicts), initial=1)
    rows = [
        (v.part, v.seq, v.outcome, v.reason, v.utc_us, first, len(v.record))
        for v, first in zip(verdicts, firsts, strict=False)
    ]
    connection.execute(
        "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            _text([msgspec.structs.astuple(trigger) for trigger in triggers]),
            _text(rows),
            b"".join([verdict.record for verdict in verdicts]),
            _text([(*key, n) for key, n in counts.items()]),
            batch.last_part,
            batch.last_seq,
            batch.counter,
            batch.number,
        ),
    )


def _text(rows: Sequence[tuple[object, ...]]) -> str:
    return _json.encode(rows).decode()


def _lost(batch: Batch) -> list[tuple[int, int]]:
    lost = list(batch.lost)
    for entry in batch.refused.values():
        if isinstance(entry, VerdictEntry):
            extend(lost, entry.seq)
    return lost


def _cursors(connection: sqlite3.Connection, cursors: dict[str, Position | None]) -> None:
    for consumer, position in cursors.items():
        if position is None:
            connection.execute("DELETE FROM cursors WHERE consumer = ?", (consumer,))
        else:
            connection.execute("REPLACE INTO cursors VALUES (?, ?, ?)", (consumer, position.epoch, position.seq))


def _lose(connection: sqlite3.Connection, ranges: list[tuple[int, int]]) -> None:
    # A seq that is on the disk is not lost: two verdicts of the same number are another fault, and told as such.
    if ranges:
        connection.executemany("INSERT OR IGNORE INTO lost VALUES (?, ?)", ranges)
