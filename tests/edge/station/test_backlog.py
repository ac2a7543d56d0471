"""The backlog: bounded, in order, and what it drops it remembers."""

from __future__ import annotations

from edge.records import Mode
from edge.station.backlog import Backlog
from edge.station.entries import Position, TriggerEntry, VerdictEntry
from tests.support.journal import SHIFT, trigger, verdict


def put_parts(backlog: Backlog, first: int, last: int) -> None:
    for part in range(first, last + 1):
        backlog.put(trigger(part))
        backlog.put(verdict(part))


def test_the_latest_cursor_counts() -> None:
    """However often a consumer acknowledges while the disk fails, one position waits."""
    backlog = Backlog()
    for seq in range(1000):
        backlog.cursor("plc", Position(1, seq))
    batch = backlog.take()
    assert batch.cursors == {"plc": Position(1, 999)}
    assert batch.ticket == 1000
    assert backlog.take().empty()


def test_the_ticket_of_a_partial_batch_is_that_before_the_next_entry() -> None:
    """Cursors queued in between went with it."""
    backlog = Backlog()
    for part in range(1, 1001):
        backlog.put(trigger(part))
    backlog.cursor("plc", Position(1, 1))
    backlog.put(trigger(1001))
    assert backlog.take().ticket == 1001
    assert backlog.take().ticket == 1002


def test_whole_parts_are_dropped_oldest_first() -> None:
    """Their counts and their range of seq stay."""
    backlog = Backlog(most_entries=6)
    put_parts(backlog, 1, 10)
    batch = backlog.take()
    assert [entry.part for entry in batch.entries] == [8, 8, 9, 9, 10, 10]
    assert batch.lost == [(1, 7)]
    assert batch.lost_part == 7
    assert batch.counts == {(SHIFT, Mode.PRODUCTION, "triggers"): 7, (SHIFT, Mode.PRODUCTION, "PASS"): 7}
    assert batch.ticket == 20


def test_large_records_are_bounded_by_their_bytes() -> None:
    """A few hundred defects in each part must not cost the machine its memory."""
    backlog = Backlog(most_bytes=len(verdict(1).record) * 2)
    put_parts(backlog, 1, 5)
    assert [entry.part for entry in backlog.take().entries] == [4, 4, 5, 5]


def test_open_triggers_and_answers_to_committed_ones_are_never_dropped() -> None:
    """Without them a part would have no verdict, or two."""
    backlog = Backlog(most_entries=4)
    for part in (1, 2, 3):
        backlog.put(trigger(part))
    backlog.take()
    for part in (1, 2, 3):
        backlog.put(verdict(part))
    put_parts(backlog, 4, 8)
    for part in (9, 10, 11):
        backlog.put(trigger(part))
    batch = backlog.take()
    assert [entry.part for entry in batch.entries if isinstance(entry, VerdictEntry)] == [1, 2, 3]
    assert [entry.part for entry in batch.entries if isinstance(entry, TriggerEntry)] == [9, 10, 11]
    assert batch.lost == [(4, 8)]


def test_the_taker_is_woken_by_a_release_alone() -> None:
    """So that a loop with more to do is not interrupted; a release of nothing wakes nobody."""
    backlog = Backlog()
    backlog.release()
    assert not backlog._released
    backlog.put(trigger(1))
    assert not backlog._released
    backlog.release()
    assert backlog.wait()
    backlog.take()
    backlog.release()
    assert not backlog._released


def test_what_one_batch_left_stays_released() -> None:
    """The taker goes on with it at once; when nothing is left it sleeps."""
    backlog = Backlog()
    put_parts(backlog, 1, 501)
    backlog.release()
    assert backlog.wait()
    assert len(backlog.take().entries) == 1000
    assert backlog.wait()
    assert len(backlog.take().entries) == 2
    assert not backlog._released


def test_after_the_end_nobody_waits() -> None:
    """The writer takes what is left, then goes."""
    backlog = Backlog()
    backlog.put(trigger(1))
    backlog.end()
    assert backlog.wait()
    backlog.take()
    assert not backlog.wait()
