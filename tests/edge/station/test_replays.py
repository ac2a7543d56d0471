"""Replays: bounded, each answered once, and a page that cannot be read holds up no other."""

from __future__ import annotations

import select
import sqlite3
from pathlib import Path

import pytest

from edge.station.entries import BEGINNING, Position
from edge.station.journal import Journal
from edge.station.replays import MOST_WAITING
from edge.station.store import FILE, connect
from tests.support.journal import Disk, answer_parts, opened, page, records

WAIT_MS = 30_000


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Return one with verdicts 1 to 4."""
    journal = opened(tmp_path, epoch=5)
    answer_parts(journal, 1, 4)
    journal.write_waiting()
    return journal


def altered(folder: Path, statement: str) -> None:
    connection = connect(folder / FILE, False)
    connection.execute(statement)
    connection.close()


def test_too_many_are_not_taken(journal: Journal) -> None:
    """A page counts until it is fetched."""
    assert all(journal.ask(i, BEGINNING, 10) for i in range(MOST_WAITING))
    assert not journal.ask("more", BEGINNING, 10)
    journal.read_waiting()
    assert not journal.ask("more", BEGINNING, 10)
    assert [key for key, _ in journal.answered(most=2)] == [0, 1]
    assert journal.ask("more", BEGINNING, 10)
    assert journal.ask("and more", BEGINNING, 10)
    assert not journal.ask("one more", BEGINNING, 10)


def test_pages_are_fetched_one_at_a_time_and_the_loop_is_woken_for_the_next(journal: Journal) -> None:
    """A page is a megabyte: the loop has a deadline between two of them."""
    for key in ("a", "b"):
        journal.ask(key, BEGINNING, 10)
    journal.read_waiting()
    told = []
    for _ in range(2):
        assert select.select([journal.fd], [], [], WAIT_MS / 1000)[0]
        journal.acknowledge_wakeup()
        told += [key for key, _ in journal.answered()]
    assert told == ["a", "b"]
    assert journal.answered() == []
    assert not select.select([journal.fd], [], [], 0)[0]


@pytest.mark.parametrize("value", ["'text'", "5"])
def test_a_record_that_no_station_wrote_is_a_faulty_page(journal: Journal, tmp_path: Path, value: str) -> None:
    """Its asker is told at the second attempt, where it stood; the others have theirs before; the alarm stays."""
    altered(tmp_path, f"UPDATE parts SET record = {value} WHERE seq = 1")
    journal.ask("bad", Position(5, 0), 10)
    journal.ask("good", Position(5, 2), 10)
    assert journal.read_waiting()
    [(key, good)] = journal.answered(most=9)
    assert (key, good.records, good.fault) == ("good", records(3, 4), "")
    assert journal.read_waiting()
    [(key, bad)] = journal.answered(most=9)
    assert (key, bad.records, bad.last, bad.end) == ("bad", (), Position(5, 0), False)
    assert "the record of verdict 1 is" in bad.fault
    assert page(journal, Position(5, 2)).records == records(3, 4)
    assert "read: damaged behind 0 of epoch 5" in journal.alarm
    assert journal.failing == ""


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE epochs SET epoch = 'abc'",
        "UPDATE epochs SET first_seq = x'00'",
        "UPDATE ends SET seq = 'abc'",
        "DELETE FROM ends",
        "UPDATE parts SET seq = 'abc' WHERE seq = 1",
    ],
)
def test_a_number_that_no_station_wrote_ends_no_thread(journal: Journal, tmp_path: Path, statement: str) -> None:
    """Whichever it is, a page that comes is true."""
    altered(tmp_path, statement)
    journal.ask("key", Position(5, 1), 10)
    while not (answers := journal.answered()):
        journal.read_waiting()
    [(_, found)] = answers
    assert found.fault.startswith("the journal cannot be read there: ") or found.records == records(2, 4)


def test_what_lies_before_a_record_that_no_station_wrote_is_given(journal: Journal, tmp_path: Path) -> None:
    """The fault is told to whoever asks for what follows."""
    altered(tmp_path, "UPDATE parts SET record = 5 WHERE seq = 3")
    found = page(journal, Position(5, 0))
    assert (found.records, found.last, found.end, found.fault) == (records(1, 2), Position(5, 2), False, "")


def test_without_a_file_a_page_is_answered_too(tmp_path: Path) -> None:
    """As one that cannot be read; nobody waits for ever, and the alarm ends with the asking."""
    disk = Disk()
    disk.full = True
    journal = opened(tmp_path, connect=disk)
    journal.ask("key", BEGINNING, 10)
    assert not journal.read_waiting()
    assert "read: there is no file at present" in journal.alarm
    assert journal.read_waiting()
    [(_, found)] = journal.answered()
    assert found.fault == "the journal cannot be read there: there is no file at present"
    assert journal._troubles["read"] == ""
    disk.full = False
    answer_parts(journal, 1, 1)
    journal.write_waiting()
    assert (page(journal).records, journal.alarm) == (records(1, 1), "")


def test_the_thread_answers_what_cannot_be_read(journal: Journal, tmp_path: Path) -> None:
    """By itself, and goes on with what can be."""
    altered(tmp_path, "UPDATE parts SET record = 5 WHERE seq = 1")
    journal.start()
    journal.ask("bad", Position(5, 0), 10)
    found = {}
    for key in ("bad", "good"):
        while key not in found:
            assert select.select([journal.fd], [], [], WAIT_MS / 1000)[0]
            journal.acknowledge_wakeup()
            found.update(journal.answered(most=9))
        journal.ask("good", Position(5, 2), 10)
    assert (bool(found["bad"].fault), found["good"].records) == (True, records(3, 4))
    journal.close(clean=True)


def test_a_page_of_text_that_is_none_is_a_faulty_page(journal: Journal, tmp_path: Path) -> None:
    """SQLite itself refuses to hand it out."""
    altered(tmp_path, "UPDATE parts SET record = CAST(x'ff' AS TEXT) WHERE seq = 1")
    journal.ask("key", BEGINNING, 10)
    journal.read_waiting()
    journal.read_waiting()
    assert journal.answered()[0][1].fault


def test_a_read_that_fails_leaves_no_transaction_open(journal: Journal, tmp_path: Path) -> None:
    """Otherwise the log could never be brought home."""
    altered(tmp_path, "UPDATE parts SET record = 5 WHERE seq = 1")
    for _ in range(2):
        journal.ask("key", BEGINNING, 10)
        journal.read_waiting()
    connection = sqlite3.connect(tmp_path / FILE)
    assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    connection.close()
