"""Damage: a broken file and a value that no station wrote are one thing; a disk that refuses is another."""

from __future__ import annotations

import sqlite3

import msgspec
import pytest

from edge.station.damage import foreign_values_are_damage, is_damage


def test_only_a_broken_file_is_damage() -> None:
    """A disk that refuses is not: the file stays where it is."""
    assert is_damage(sqlite3.DatabaseError("file is not a database"))
    assert not is_damage(sqlite3.OperationalError("disk I/O error"))
    assert not is_damage(OSError(28, "No space left on device"))


def test_a_value_of_another_type_is_damage() -> None:
    """Whatever finds it; an error of the disk stays what it is."""
    never = pytest.raises(sqlite3.DatabaseError, match="never written: Expected `int`, got `str`")
    with never as caught, foreign_values_are_damage():
        msgspec.convert("abc", int)
    assert is_damage(caught.value)
    with pytest.raises(sqlite3.OperationalError), foreign_values_are_damage():
        raise sqlite3.OperationalError("disk I/O error")
