"""Pages: in order over epochs, bounded, and a hole is always told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.records import Outcome, Reason
from edge.station.entries import BEGINNING, Gap, Position
from edge.station.journal import Journal
from edge.station.store import FILE, connect
from tests.support.journal import answer_parts, opened, page, records, trigger, verdict


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Return one with verdicts 1 to 10 of its only epoch."""
    journal = opened(tmp_path, epoch=5)
    answer_parts(journal, 1, 10)
    journal.write_waiting()
    return journal


def test_pages_follow_each_other(journal: Journal) -> None:
    """Each begins where the last one ended; the last says that it is."""
    first = page(journal, BEGINNING, limit=6)
    assert (first.records, first.last, first.gap, first.end) == (records(1, 6), Position(5, 6), None, False)
    second = page(journal, first.last, limit=6)
    assert (second.records, second.last, second.end) == (records(7, 10), Position(5, 10), True)
    third = page(journal, second.last, limit=6)
    assert (third.records, third.last, third.end, third.ahead) == ((), Position(5, 10), True, False)


def test_a_page_is_bounded_by_its_bytes(journal: Journal) -> None:
    """Large records come in several pages, one at least in each."""
    for seq in (11, 12, 13):
        journal.trigger(trigger(seq))
        journal.verdict(msgspec.structs.replace(verdict(seq), record=b"x" * 600_000))
    journal.write_waiting()
    first = page(journal, Position(5, 10))
    assert ([len(record) for record in first.records], first.end) == ([600_000], False)


def test_a_position_ahead_of_the_journal_is_told(journal: Journal) -> None:
    """The page is empty, and says where the end is."""
    found = page(journal, Position(5, 11))
    assert (found.records, found.last, found.end, found.ahead) == ((), Position(5, 10), True, True)


def test_a_verdict_that_is_published_and_not_yet_journaled_is_not_ahead(journal: Journal) -> None:
    """Its consumer simply has everything."""
    answer_parts(journal, 11, 11)
    found = page(journal, Position(5, 11))
    assert (found.last, found.end, found.ahead) == (Position(5, 11), True, False)


def test_an_unknown_epoch_is_answered_by_the_oldest_kept(journal: Journal) -> None:
    """With a gap whose size nobody knows."""
    found = page(journal, Position(4, 100), limit=3)
    assert (found.gap, found.records) == (Gap(None, None, "unknown epoch"), records(1, 3))
    assert page(journal, BEGINNING, limit=3).gap is None


def test_numbers_a_crashed_run_could_not_journal_are_given_anew(tmp_path: Path) -> None:
    """A consumer that has them goes on with the next epoch's first, without a gap."""
    first = opened(tmp_path, epoch=5)
    answer_parts(first, 1, 3)
    first.write_waiting()
    first.abandon()
    second = opened(tmp_path, epoch=6)
    empty = page(second, Position(5, 5))
    assert (empty.records, empty.last, empty.end, empty.ahead) == ((), Position(6, 3), True, False)
    second.trigger(trigger(4))
    second.verdict(verdict(4, outcome=Outcome.UNKNOWN, reason=Reason.RESTART))
    second.write_waiting()
    for position in (Position(5, 3), Position(5, 5), Position(6, 3), Position(6, 0)):
        found = page(second, position)
        assert (found.records, found.gap, found.last) == (records(4, 4), None, Position(6, 4))
    assert page(second, BEGINNING).records == records(1, 4)
    assert page(second, BEGINNING, limit=2).last == Position(5, 2)


def test_a_page_ends_before_a_hole_and_the_next_one_begins_with_it(journal: Journal, tmp_path: Path) -> None:
    """Whatever made it; no record is ever given as if it followed another."""
    connection = connect(tmp_path / FILE, False)
    connection.execute("DELETE FROM parts WHERE seq IN (4, 5)")
    connection.close()
    first = page(journal)
    assert (first.records, first.end) == (records(1, 3), False)
    second = page(journal, first.last)
    assert (second.gap, second.records, second.end) == (Gap(4, 5, "retention"), records(6, 10), True)


def test_when_nothing_is_left_the_gap_reaches_to_the_end(journal: Journal, tmp_path: Path) -> None:
    """The position after it is the last verdict's."""
    connection = connect(tmp_path / FILE, False)
    connection.execute("DELETE FROM parts")
    connection.close()
    found = page(journal, Position(5, 7))
    assert (found.gap, found.records) == (Gap(8, 10, "retention"), ())
    assert (found.last, found.end) == (Position(5, 10), True)
