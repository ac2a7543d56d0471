"""The file: checked at the start, kept when it is damaged, begun anew when it is gone, refused when it is too new."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

import edge.station.store
from edge.errors import ConfigurationError
from edge.station.folder import Folder
from edge.station.journal import BEGINNING, Gap, Position
from edge.station.store import FILE, Store, connect, connect_past_locks
from tests.support.journal import SHIFT, Disk, HandClock, answer_parts, opened, page, records, trigger, verdict


def altered(path: Path, statement: str) -> None:
    connection = connect(path, False)
    connection.execute(statement)
    connection.close()


def test_a_damaged_file_is_kept_beside_a_new_one(tmp_path: Path) -> None:
    """Overwritten in the middle: inspection starts, the old bytes stay, consumers are told of the gap."""
    first = opened(tmp_path)
    answer_parts(first, 1, 500)
    first.close(clean=True)
    with (tmp_path / FILE).open("r+b") as file:
        file.seek((tmp_path / FILE).stat().st_size // 2)
        file.write(b"\xa5" * 8192)
    damaged = (tmp_path / FILE).read_bytes()
    second = opened(tmp_path)
    assert second.set_aside is not None
    assert second.set_aside.name.startswith(f"{FILE}.damaged-20")
    assert second.set_aside.read_bytes() == damaged
    assert second.failing == ""
    assert (second.seq, second.part, second.continued) == (0, 0, False)
    answer_parts(second, 1, 2)
    second.write_waiting()
    found = page(second, Position(first.epoch, 400))
    assert (found.gap, found.records) == (Gap(None, None, "unknown epoch"), records(1, 2))


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"\0" * 4096])
def test_a_file_that_is_no_journal_is_kept_beside_a_new_one(tmp_path: Path, content: bytes) -> None:
    """Never deleted, never an obstacle; one set aside before is not overwritten."""
    (tmp_path / FILE).write_bytes(content)
    clock = HandClock()
    first = opened(tmp_path, clock=clock)
    first.close(clean=True)
    (tmp_path / FILE).write_bytes(content)
    second = opened(tmp_path, clock=clock)
    assert first.set_aside is not None
    assert second.set_aside is not None
    assert first.set_aside != second.set_aside
    assert first.set_aside.read_bytes() == second.set_aside.read_bytes() == content


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET mode = 'productiom'",
        "UPDATE ledger SET what = 'PAST'",
        "UPDATE ledger SET n = 'many'",
        "UPDATE parts SET mode = x'ff' WHERE seq IS NULL",
        "UPDATE ledger SET n = -1",
        "UPDATE ledger SET shift = x'00'",
        "UPDATE cursors SET epoch = 'abc'",
        "UPDATE cursors SET seq = x'00'",
        "UPDATE epochs SET epoch = 'abc'",
        "UPDATE epochs SET first_seq = 1.5",
        "UPDATE ends SET seq = 'abc'",
        "UPDATE ends SET part = 9223372036854775807",
        "UPDATE ends SET counter = 'abc'",
        "UPDATE parts SET tag = 'abc'",
        "DELETE FROM ends",
    ],
)
def test_content_that_was_never_written_is_damage(tmp_path: Path, statement: str) -> None:
    """The structure is whole, but a value is none of ours."""
    first = opened(tmp_path)
    first.trigger(trigger(1))
    first.cursor("plc", Position(first.epoch, 0))
    first.close(clean=False)
    altered(tmp_path / FILE, statement)
    second = opened(tmp_path)
    assert second.set_aside is not None
    assert (second.failing, second.left_open) == ("", ())


def test_damage_found_while_writing_is_set_aside_too(tmp_path: Path) -> None:
    """The next commit goes into a new file, with the numbers and counts of this run."""
    journal = opened(tmp_path, connect=(disk := _Rotten()))
    answer_parts(journal, 1, 2)
    journal.write_waiting()
    disk.rotten = True
    answer_parts(journal, 3, 4)
    assert not journal.write_waiting()
    assert "malformed" in journal.failing
    disk.rotten = False
    assert journal.write_waiting()
    assert journal.set_aside is not None
    found = page(journal, Position(journal.epoch, 0))
    assert (found.gap, found.records) == (Gap(1, 2, "lost"), records(3, 4))
    journal.close(clean=True)
    assert opened(tmp_path).ledger.rows(None) == journal.ledger.rows(None)


def test_a_damaged_file_that_cannot_be_moved_is_told_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing more is written to it; the writer lives, and goes on in a new one as soon as there may be one."""
    journal = opened(tmp_path, connect=(disk := _Rotten()))
    answer_parts(journal, 1, 2)
    journal.write_waiting()
    disk.rotten = True
    ticket = answer_parts(journal, 3, 4)
    with monkeypatch.context() as patch:
        patch.setattr(edge.station.store, "set_aside", _refuse)
        assert not journal.write_waiting()
        assert "malformed; it cannot be set aside as yet: [Errno 30]" in journal.failing
        disk.rotten = False
        assert not journal.write_waiting()
        assert "Read-only file system" in journal.failing
        assert not journal.kept(ticket)
    assert journal.write_waiting()
    assert (journal.failing, journal.kept(ticket)) == ("", True)
    assert journal.set_aside is not None
    assert page(journal, Position(journal.epoch, 0)).gap == Gap(1, 2, "lost")


def test_a_start_beside_a_damaged_file_that_cannot_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inspection begins without a file, which is told; what waited is written as soon as the damaged one is away."""
    (tmp_path / FILE).write_bytes(b"x" * 8192)
    with monkeypatch.context() as patch:
        patch.setattr(edge.station.store, "set_aside", _refuse)
        journal = opened(tmp_path)
        assert "Read-only file system" in journal.alarm
        answer_parts(journal, 1, 2)
        assert not journal.write_waiting()
    assert (tmp_path / FILE).read_bytes() == b"x" * 8192
    assert journal.write_waiting()
    assert journal.set_aside is not None
    assert page(journal).records == records(1, 2)


def test_a_file_that_is_damaged_as_soon_as_it_is_begun_is_a_disk_that_refuses(tmp_path: Path) -> None:
    """The start ends all the same."""
    disk = _Rotten()
    disk.rotten = True
    journal = opened(tmp_path, connect=disk)
    assert "malformed" in journal.failing


def _refuse(path: Path, utc_us: int) -> Path | None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


class _Rotten(Disk):
    rotten = False

    def refuse_if_full(self) -> None:
        if self.rotten:
            raise sqlite3.DatabaseError("database disk image is malformed")


def test_a_file_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    """And left as it is, byte for byte, also one that is kept in another mode; the folder is free again."""
    opened(tmp_path).close(clean=True)
    altered(tmp_path / FILE, "PRAGMA journal_mode = DELETE")
    altered(tmp_path / FILE, "PRAGMA user_version = 99")
    before = (tmp_path / FILE).read_bytes()
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="version 99, expected 2 at most"):
            opened(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE]
    assert (tmp_path / FILE).read_bytes() == before


def test_a_file_of_a_newer_release_is_refused_on_a_full_disk_too(tmp_path: Path) -> None:
    """It is not taken for one that cannot be read, and set aside when there is room again."""
    opened(tmp_path).close(clean=True)
    altered(tmp_path / FILE, "PRAGMA user_version = 99")
    disk = Disk()
    disk.full = True
    with pytest.raises(ConfigurationError, match="version 99, expected 2 at most"):
        opened(tmp_path, connect=disk)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE]


def test_a_disk_that_is_full_at_the_start_costs_the_epoch_nothing(tmp_path: Path) -> None:
    """The station runs; when there is room again the file is begun, and all that waited is in it."""
    disk = Disk()
    disk.full = True
    journal = opened(tmp_path, connect=disk)
    assert "disk is full" in journal.failing
    ticket = answer_parts(journal, 1, 3)
    assert not journal.write_waiting()
    disk.full = False
    assert journal.write_waiting()
    assert (journal.durable, journal.failing) == (ticket, "")
    assert page(journal).records == records(1, 3)


def test_a_start_on_a_full_disk_knows_what_the_last_run_left(tmp_path: Path) -> None:
    """It is only read: numbers go on and open parts are answered; the epoch is new, since it cannot be marked."""
    first = opened(tmp_path)
    answer_parts(first, 1, 3)
    first.trigger(trigger(4))
    first.write_waiting()
    first.abandon()
    disk = Disk()
    disk.full = True
    second = opened(tmp_path, connect=disk)
    assert (second.seq, second.part, second.left_open) == (3, 4, (trigger(4),))
    second.verdict(verdict(4))
    answer_parts(second, 5, 5)
    assert not second.write_waiting()
    disk.full = False
    assert second.write_waiting()
    assert (second.alarm, second.set_aside) == ("", None)
    assert page(second, Position(first.epoch, 2)).records == records(3, 5)
    assert second.ledger.balanced(0)


def test_a_clean_epoch_that_cannot_be_marked_as_open_is_not_continued(tmp_path: Path) -> None:
    """After a crash it would still be taken for well ended, and its numbers given twice."""
    first = opened(tmp_path)
    answer_parts(first, 1, 3)
    first.close(clean=True)
    disk = Disk()
    disk.full = True
    second = opened(tmp_path, connect=disk)
    assert (second.epoch != first.epoch, second.continued, second.seq) == (True, False, 3)
    disk.full = False
    answer_parts(second, 4, 4)
    assert second.write_waiting()
    assert page(second, Position(first.epoch, 3)).last == Position(second.epoch, 4)


def test_a_log_that_was_not_brought_home_is_read_past_locks(tmp_path: Path) -> None:
    """A killed run leaves nearly everything in it, and the shared memory may be gone."""
    journal = opened(tmp_path)
    answer_parts(journal, 1, 3)
    journal.write_waiting()
    (tmp_path / f"{FILE}-shm").rename(tmp_path / "gone")
    connection = connect_past_locks(tmp_path / FILE)
    assert connection.execute("SELECT max(seq) FROM parts").fetchone() == (3,)
    connection.close()
    assert not (tmp_path / f"{FILE}-shm").exists()


def test_a_file_that_was_closed_is_read_without_making_another(tmp_path: Path) -> None:
    """A read-only disk would refuse the log that SQLite wants beside it."""
    journal = opened(tmp_path)
    answer_parts(journal, 1, 3)
    journal.close(clean=True)
    connection = connect_past_locks(tmp_path / FILE)
    assert connection.execute("SELECT max(seq) FROM parts").fetchone() == (3,)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    connection.close()


def test_a_deleted_file_is_noticed(tmp_path: Path) -> None:
    """The kernel would take writes to it without complaint: a new one is begun, the gap is told."""
    journal = opened(tmp_path)
    answer_parts(journal, 1, 2)
    journal.write_waiting()
    (tmp_path / FILE).unlink()
    answer_parts(journal, 3, 3)
    assert not journal.write_waiting()
    assert journal.write_waiting()
    assert page(journal, BEGINNING).records == records(3, 3)
    assert page(journal, Position(journal.epoch, 0)).gap == Gap(1, 2, "lost")


def test_verdicts_on_the_disk_survive_every_number_of_restarts(tmp_path: Path) -> None:
    """Seq goes on over epochs, and one walk through all of them has no gap."""
    for first in (1, 4, 7):
        journal = opened(tmp_path)
        assert journal.seq == first - 1
        answer_parts(journal, first, first + 2)
        journal.write_waiting()
        journal.abandon()
    found = page(opened(tmp_path))
    assert (found.records, found.gap, found.end) == (records(1, 9), None, True)


def test_the_clean_close_record_is_refused_by_the_file_itself(tmp_path: Path) -> None:
    """A part that is open in the file is open, whoever says what."""
    folder = Folder(tmp_path)
    store = Store(folder, "normal", 7, HandClock())
    store.begin()
    assert store.end()
    store.drop()
    journal_of_another_run = Store(folder, "normal", 8, HandClock())
    assert journal_of_another_run.epoch == 7
    journal_of_another_run.drop()
    altered(
        tmp_path / FILE,
        "INSERT INTO parts (part, mode, source, trigger_us, deadline_us, utc_us, shift) "
        f"VALUES (1, 'production', '', 0, 0, 0, '{SHIFT}')",
    )
    store.begin()
    assert not store.end()
    store.drop()
    folder.release()


def test_a_clean_close_record_beside_an_open_part_is_not_believed(tmp_path: Path) -> None:
    """The two contradict each other: a new epoch it is."""
    first = opened(tmp_path)
    first.trigger(trigger(1))
    first.close(clean=False)
    altered(tmp_path / FILE, "UPDATE epochs SET clean = 1")
    assert not opened(tmp_path).continued


def test_a_verdict_cannot_be_changed_in_the_file(tmp_path: Path) -> None:
    """Two parts of one seq, or UNKNOWN without a reason: the schema itself refuses."""
    journal = opened(tmp_path)
    answer_parts(journal, 1, 1)
    journal.trigger(trigger(2))
    journal.verdict(verdict(1, part=2))
    journal.write_waiting()
    assert "verdict 1 of part 2 refused" in journal.alarm
    journal.abandon()
    with pytest.raises(sqlite3.IntegrityError):
        altered(tmp_path / FILE, "UPDATE parts SET outcome = 'UNKNOWN' WHERE part = 1")
