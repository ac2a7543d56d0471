"""What a broken file looks like: SQLite says so, or it holds a value that no station wrote."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import msgspec


def is_damage(error: Exception) -> bool:
    """Tell a broken file (malformed, not a database) from a disk that refuses; those are subclasses."""
    return type(error) is sqlite3.DatabaseError


@contextlib.contextmanager
def foreign_values_are_damage() -> Iterator[None]:
    """
    Judge what is read inside: SQLite keeps a value of any type in any column.

    Raises:
        sqlite3.DatabaseError: a value was of another type or range than a station writes.
    """
    try:
        yield
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise sqlite3.DatabaseError(f"holds what was never written: {error}") from error
