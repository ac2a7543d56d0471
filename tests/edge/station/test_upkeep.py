"""Upkeep: the oldest answered parts go by age and by size, in bites, and nothing else does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.settings import JournalSettings
from edge.station import upkeep
from edge.station.entries import Position
from edge.station.journal import Journal
from edge.station.store import FILE, connect
from edge.station.upkeep import BITE, Lifetime, checkpoint, delete_bite, used_bytes
from tests.support.journal import DAY_US, HandClock, answer_parts, opened, page, records, trigger

HOUR_US = DAY_US // 24


class TwoClocks(HandClock):
    """The wall clock goes its own way."""

    off_us = 0

    def utc_us(self) -> int:
        return self.us + self.off_us


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Return one to a file with so many verdicts that a bite leaves ten."""
    journal = opened(tmp_path)
    answer_parts(journal, 1, BITE + 10)
    journal.write_waiting()
    connection = connect(tmp_path / FILE, False)
    yield connection
    connection.close()
    journal.abandon()


def live(journal: Journal, clock: HandClock, us: int) -> None:
    """Let the station run so long, and keep house once before and once after it."""
    for step_us in (HOUR_US, us):
        clock.us += step_us
        while journal.keep_house():
            pass


def kept(journal: Journal) -> tuple[bytes, ...]:
    return page(journal).records


# ---- in bites ------------------------------------------------------------------------------------------------


def test_the_bite_is_bounded_and_the_oldest_go_first(connection: sqlite3.Connection) -> None:
    """The writer's wait for its turn is, too."""
    lifetime = Lifetime(1, 0)
    lifetime.mark_if_due(connection, HOUR_US)
    assert delete_bite(connection, 1, 1000) == 0
    lifetime.mark_if_due(connection, HOUR_US + DAY_US)
    assert delete_bite(connection, 1, 1000) == BITE
    assert connection.execute("SELECT min(seq) FROM parts").fetchone() == (BITE + 1,)
    assert delete_bite(connection, 1, 1000) == 10
    assert delete_bite(connection, 1, 1000) == 0


def test_a_file_that_is_too_large_loses_the_oldest(tmp_path: Path) -> None:
    """Until it is small enough, however young they are and whoever has yet to read them; open parts stay."""
    journal = opened(tmp_path)
    for part in range(10_001, 12_001):
        journal.trigger(trigger(part, request="x" * 1000))
    answer_parts(journal, 1, 1000)
    journal.cursor("plc", Position(journal.epoch, 0))
    while journal.write_waiting():
        pass
    connection = connect(tmp_path / FILE, False)
    before = used_bytes(connection)
    assert before > 2_000_000
    assert delete_bite(connection, 30, 2) == BITE
    while delete_bite(connection, 30, 2):
        pass
    assert used_bytes(connection) < before
    assert connection.execute("SELECT count(*), count(seq) FROM parts").fetchone() == (2000, 0)
    connection.close()


# ---- by age --------------------------------------------------------------------------------------------------


def test_a_short_run_counts_too(connection: sqlite3.Connection) -> None:
    """What a run lived is added to what the ones before it did; little of it is lost at its end."""
    for _ in range(25):
        Lifetime(1, 0).mark_if_due(connection, HOUR_US)
    assert delete_bite(connection, 1, 1000) == BITE


def test_the_marks_do_not_pile_up(connection: sqlite3.Connection) -> None:
    """Those that are older than is kept say nothing more, but for the youngest of them."""
    lifetime = Lifetime(1, 0)
    for hour in range(1, 200):
        lifetime.mark_if_due(connection, hour * HOUR_US)
    assert connection.execute("SELECT count(*) FROM marks").fetchone() == (25,)


@pytest.mark.parametrize("years", [-56, 56])
def test_a_wall_clock_that_is_set_makes_no_verdict_old(tmp_path: Path, years: int) -> None:
    """Neither one that ran ahead or behind until now, nor one that does from now on."""
    clock = TwoClocks()
    journal = opened(tmp_path, clock=clock)
    answer_parts(journal, 1, 5)
    journal.write_waiting()
    clock.off_us = years * 365 * DAY_US
    answer_parts(journal, 6, 9)
    journal.write_waiting()
    live(journal, clock, HOUR_US)
    assert kept(journal) == records(1, 9)


def test_a_station_that_stood_for_a_month_keeps_its_last_days(tmp_path: Path) -> None:
    """Its consumers may have stood as long."""
    clock = HandClock()
    first = opened(tmp_path, JournalSettings(keep_days=2), clock)
    answer_parts(first, 1, 5)
    first.close(clean=True)
    clock.us += 30 * DAY_US
    second = opened(tmp_path, JournalSettings(keep_days=2), clock)
    answer_parts(second, 6, 6)
    second.write_waiting()
    live(second, clock, DAY_US)
    assert kept(second) == records(1, 6)
    live(second, clock, DAY_US)
    assert kept(second) == ()


def test_what_a_known_consumer_has_yet_to_read_stays(tmp_path: Path) -> None:
    """However old; the slowest counts, until it moves on or is forgotten."""
    clock = HandClock()
    journal = opened(tmp_path, JournalSettings(keep_days=1), clock)
    answer_parts(journal, 1, 9)
    journal.cursor("page", Position(journal.epoch, 6))
    journal.cursor("plc", Position(journal.epoch, 3))
    journal.write_waiting()
    live(journal, clock, DAY_US)
    assert kept(journal) == records(4, 9)
    journal.cursor("plc", None)
    journal.write_waiting()
    journal.keep_house()
    assert kept(journal) == records(7, 9)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cursors SET seq = 'abc'",
        "UPDATE cursors SET epoch = x'00'",
        "UPDATE marks SET seq = 'abc'",
        "UPDATE epochs SET first_seq = 'abc'",
    ],
)
def test_a_value_that_no_station_wrote_is_told(tmp_path: Path, statement: str) -> None:
    """Nothing is deleted for it, and the housekeeping goes on when it is gone."""
    clock = HandClock()
    journal = opened(tmp_path, JournalSettings(keep_days=1), clock)
    answer_parts(journal, 1, 3)
    journal.cursor("plc", Position(journal.epoch, 3))
    journal.write_waiting()
    clock.us += HOUR_US
    journal.keep_house()
    connection = connect(tmp_path / FILE, False)
    connection.execute(statement)
    clock.us += DAY_US
    assert not journal.keep_house()
    assert "upkeep: holds what was never written" in journal.alarm
    assert connection.execute("SELECT count(*) FROM parts").fetchone() == (3,)
    connection.close()


# ---- the write-ahead log ---------------------------------------------------------------------------------------------


def test_the_log_begins_again_beside_a_line_that_never_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often something is written while it is copied: it is as long as between two copies, and no longer."""
    clock = HandClock()
    journal = opened(tmp_path, clock=clock)
    part = 1

    def write() -> None:
        nonlocal part
        answer_parts(journal, part, part + 39)
        part += 40
        journal.write_waiting()

    def copy(connection: sqlite3.Connection) -> None:
        checkpoint(connection)
        if not journal._turn.locked():
            write()  # The writer's thread: it may, whenever nobody has the turn.

    monkeypatch.setattr(upkeep, "checkpoint", copy)
    sizes = []
    for _ in range(12):
        write()
        clock.us += HOUR_US
        journal.keep_house()
        sizes.append((tmp_path / f"{FILE}-wal").stat().st_size)
    journal.abandon()
    assert sizes[-1] == sizes[2]
