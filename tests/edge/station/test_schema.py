"""The schema: an older file is brought up in one transaction or not at all."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from edge.station.schema import STEPS, migrate
from edge.station.store import FILE, connect
from tests.support.journal import answer_parts, opened

NEXT = (*STEPS, ("ALTER TABLE parts ADD COLUMN colour TEXT", "UPDATE parts SET colour = 'grey'"))


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_file_of_version_1_is_brought_to_the_next(tmp_path: Path) -> None:
    """With all that is in it; a second time nothing is left to do."""
    journal = opened(tmp_path)
    answer_parts(journal, 1, 3)
    journal.close(clean=True)
    connection = connect(tmp_path / FILE, False)
    assert version(connection) == 1
    migrate(connection, NEXT)
    migrate(connection, NEXT)
    assert version(connection) == 2
    assert connection.execute("SELECT part, colour FROM parts").fetchall() == [(1, "grey"), (2, "grey"), (3, "grey")]
    connection.close()


def test_a_new_file_takes_every_step(tmp_path: Path) -> None:
    """And is of the newest version."""
    connection = connect(tmp_path / FILE, True)
    migrate(connection, NEXT)
    assert version(connection) == 2
    connection.close()


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Nothing is half migrated."""
    opened(tmp_path).close(clean=True)
    connection = connect(tmp_path / FILE, False)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, (*NEXT[:1], ("ALTER TABLE parts ADD COLUMN colour TEXT", "UPDATE nothing SET x = 1")))
    connection.close()
    connection = connect(tmp_path / FILE, False)
    assert version(connection) == 1
    assert "colour" not in connection.execute("SELECT sql FROM sqlite_master WHERE name = 'parts'").fetchone()[0]
    connection.close()


def test_a_newer_file_is_refused_by_name(tmp_path: Path) -> None:
    """What it is, what is expected, what to do."""
    connection = connect(tmp_path / FILE, True)
    migrate(connection, NEXT)
    with pytest.raises(ConfigurationError, match=f"{FILE}: journal of version 2, expected 1 at most.*state_dir"):
        migrate(connection)
    connection.close()
