"""The schema: an older file is brought up in one transaction or not at all."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import astuple, replace

from edge.errors import ConfigurationError
from edge.station.entries import TriggerEntry
from edge.station.schema import STEPS, migrate
from edge.station.store import FILE, connect
from tests.support.journal import answer_parts, opened, page, record, records, trigger

NEXT = (*STEPS, ("ALTER TABLE parts ADD COLUMN colour TEXT", "UPDATE parts SET colour = 'grey'"))


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_file_is_brought_to_the_next_version(tmp_path: Path) -> None:
    """With all that is in it; a second time nothing is left to do."""
    journal = opened(tmp_path)
    answer_parts(journal, 1, 3)
    journal.close(clean=True)
    connection = connect(tmp_path / FILE, False)
    assert version(connection) == len(STEPS)
    migrate(connection, NEXT)
    migrate(connection, NEXT)
    assert version(connection) == len(NEXT)
    assert connection.execute("SELECT part, colour FROM parts").fetchall() == [(1, "grey"), (2, "grey"), (3, "grey")]
    connection.close()


def test_a_new_file_takes_every_step(tmp_path: Path) -> None:
    """And is of the newest version."""
    connection = connect(tmp_path / FILE, True)
    migrate(connection, NEXT)
    assert version(connection) == len(NEXT)
    connection.close()


def test_a_file_of_version_1_is_taken_over(tmp_path: Path) -> None:
    """Its parts are read again, and the line's last counter is found among them."""
    connection = connect(tmp_path / FILE, True)
    migrate(connection, STEPS[:1])
    for part, counter in ((1, 41), (2, 42), (3, None)):
        values = (*astuple(replace(trigger(part), counter=counter)), part, "PASS", 0, record(part))
        columns = ", ".join((*TriggerEntry.__struct_fields__, "seq", "outcome", "verdict_utc_us", "record"))
        connection.execute(f"INSERT INTO parts ({columns}) VALUES ({', '.join('?' * len(values))})", values)
    connection.execute("INSERT INTO epochs VALUES (1, 5, 1, 0, 1)")
    connection.execute("UPDATE ends SET part = 3, seq = 3")
    connection.close()
    journal = opened(tmp_path)
    assert (journal.epoch, journal.seq, journal.last_counter) == (5, 3, 42)
    answer_parts(journal, 4, 4)
    assert journal.write_waiting()
    assert page(journal).records == records(1, 4)


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Nothing is half migrated."""
    opened(tmp_path).close(clean=True)
    connection = connect(tmp_path / FILE, False)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, (*STEPS, ("ALTER TABLE parts ADD COLUMN colour TEXT", "UPDATE nothing SET x = 1")))
    connection.close()
    connection = connect(tmp_path / FILE, False)
    assert version(connection) == len(STEPS)
    assert "colour" not in connection.execute("SELECT sql FROM sqlite_master WHERE name = 'parts'").fetchone()[0]
    connection.close()


def test_a_newer_file_is_refused_by_name(tmp_path: Path) -> None:
    """What it is, what is expected, what to do."""
    connection = connect(tmp_path / FILE, True)
    migrate(connection, NEXT)
    with pytest.raises(ConfigurationError, match=f"{FILE}: journal of version 3, expected 2 at most.*state_dir"):
        migrate(connection)
    connection.close()
