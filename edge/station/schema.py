"""The journal's tables, and how an older file is brought to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from edge.errors import ConfigurationError

# Seq goes on over epochs: an epoch is all that lies from its first_seq to the next one's.
_PARTS = """
CREATE TABLE parts (
    part INTEGER PRIMARY KEY,
    request TEXT,
    part_id TEXT,
    tag INTEGER,
    counter INTEGER,
    mode TEXT NOT NULL,
    source TEXT NOT NULL,
    trigger_us INTEGER NOT NULL,
    deadline_us INTEGER NOT NULL,
    utc_us INTEGER NOT NULL,
    shift TEXT NOT NULL,
    seq INTEGER UNIQUE,
    outcome TEXT,
    reason TEXT,
    verdict_utc_us INTEGER,
    record BLOB,
    CHECK ((seq IS NULL) = (outcome IS NULL) AND (seq IS NULL) = (record IS NULL)),
    CHECK ((reason IS NOT NULL) = (outcome IS 'UNKNOWN'))
)
"""
_EPOCHS = """
CREATE TABLE epochs (
    ordinal INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL UNIQUE,
    first_seq INTEGER NOT NULL,
    opened_utc_us INTEGER NOT NULL,
    clean INTEGER NOT NULL
)
"""
_LEDGER = """
CREATE TABLE ledger (
    shift TEXT NOT NULL,
    mode TEXT NOT NULL,
    what TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (shift, mode, what)
) WITHOUT ROWID
"""

STEPS: tuple[tuple[str, ...], ...] = (
    (
        _PARTS,
        "CREATE INDEX parts_open ON parts (part) WHERE seq IS NULL",
        "CREATE INDEX parts_requested ON parts (part) WHERE request IS NOT NULL",
        _EPOCHS,
        _LEDGER,
        "CREATE TABLE cursors (consumer TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE lost (first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL)",
        # The highest numbers ever given: retention may have deleted the rows that had them.
        "CREATE TABLE ends (one INTEGER PRIMARY KEY CHECK (one = 1), part INTEGER NOT NULL, seq INTEGER NOT NULL)",
        "INSERT INTO ends VALUES (1, 0, 0)",
    ),
    (
        # Number of the last batch: what is written again after a commit of unknown end is found to be there.
        "ALTER TABLE ends ADD COLUMN batch INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE ends ADD COLUMN counter INTEGER",
        "UPDATE ends SET counter = (SELECT counter FROM parts WHERE counter IS NOT NULL ORDER BY part DESC LIMIT 1)",
        # How long the station had run, in all, when seq was the last one: age without a wall clock.
        "CREATE TABLE marks (lived_us INTEGER PRIMARY KEY, seq INTEGER NOT NULL)",
    ),
)
"""Statements that bring a file of version i to version i + 1; a step that was released is never changed."""


def migrate(connection: sqlite3.Connection, steps: Sequence[Sequence[str]] = STEPS) -> None:
    """
    Bring the file to the newest version, in one transaction.

    Raises:
        ConfigurationError: it was written by a newer release; it is left as it is.
    """
    version = refuse_newer(connection, len(steps))
    if version == len(steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    for step in steps[version:]:
        for statement in step:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(steps)}")
    connection.execute("COMMIT")


def refuse_newer(connection: sqlite3.Connection, newest: int = len(STEPS)) -> int:
    """
    Return the file's version.

    Raises:
        ConfigurationError: it was written by a newer release; it is left as it is.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > newest:
        file = connection.execute("PRAGMA database_list").fetchone()[2]
        raise ConfigurationError(
            f"{file}: journal of version {version}, expected {newest} at most: it was written by a newer release; "
            "install that release, or name another state_dir"
        )
    return version
