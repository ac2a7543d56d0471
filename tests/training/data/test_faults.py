from __future__ import annotations

import pytest

from edge.errors import DataError
from training.data.faults import each, refuse


def halved(number: int) -> int:
    if number % 2:
        raise DataError(f"{number} is odd")
    return number // 2


def test_the_first_fault_ends_it() -> None:
    """Who refuses sees the error of the first item that has one."""
    made = each([2, 3, 5], halved, refuse)
    assert next(made) == 1
    with pytest.raises(DataError, match="3 is odd"):
        next(made)


def test_who_notes_faults_gets_the_rest() -> None:
    """Items with a fault are left out, and each fault is handed over."""
    noted: list[DataError] = []
    assert list(each([2, 3, 4, 5], halved, noted.append)) == [1, 2]
    assert [str(error) for error in noted] == ["3 is odd", "5 is odd"]
