"""Upkeep: the oldest answered parts go by age and by size, in bites, and nothing else does."""

from __future__ import annotations

from pathlib import Path

from edge.station.store import FILE, connect
from edge.station.upkeep import BITE, delete_bite, used_bytes
from tests.support.journal import DAY_US, HandClock, answer_parts, opened, trigger


def test_the_bite_is_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    """The writer's wait for its turn is, too."""
    clock = HandClock()
    journal = opened(tmp_path, clock=clock)
    answer_parts(journal, 1, BITE + 10)
    journal.write_waiting()
    connection = connect(tmp_path / FILE, False)
    assert delete_bite(connection, clock.us, 1, 1000) == 0
    later_us = clock.us + DAY_US + 1
    assert delete_bite(connection, later_us, 1, 1000) == BITE
    assert connection.execute("SELECT min(seq) FROM parts").fetchone() == (BITE + 1,)
    assert delete_bite(connection, later_us, 1, 1000) == 10
    assert delete_bite(connection, later_us, 1, 1000) == 0
    connection.close()


def test_a_file_that_is_too_large_loses_the_oldest(tmp_path: Path) -> None:
    """Until it is small enough, however young they are; open parts stay."""
    clock = HandClock()
    journal = opened(tmp_path, clock=clock)
    for part in range(10_001, 12_001):
        journal.trigger(trigger(part, request="x" * 1000))
    answer_parts(journal, 1, 1000)
    while journal.write_waiting():
        pass
    connection = connect(tmp_path / FILE, False)
    before = used_bytes(connection)
    assert before > 2_000_000
    assert delete_bite(connection, clock.us, 30, 2) == BITE
    while delete_bite(connection, clock.us, 30, 2):
        pass
    assert used_bytes(connection) < before
    assert connection.execute("SELECT count(*), count(seq) FROM parts").fetchone() == (2000, 0)
    connection.close()
