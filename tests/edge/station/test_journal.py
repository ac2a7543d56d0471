"""The journal: tickets in order, nothing lost that was durable, a failing disk costs no count and no verdict."""

from __future__ import annotations

import gc
import resource
import select
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from edge.errors import ConfigurationError
from edge.records import Mode, Outcome, Reason
from edge.settings import JournalSettings
from edge.station import journal as module
from edge.station.backlog import REFUSALS_KNOWN
from edge.station.journal import BEGINNING, Gap, Journal, Position
from edge.station.ledger import LedgerKey, line_from_verdict
from edge.station.store import FILE, Store
from tests.support.journal import (
    DAY_US,
    SHIFT,
    Disk,
    HandClock,
    answer_parts,
    opened,
    page,
    records,
    trigger,
    verdict,
)

WAIT_MS = 30_000


def wait_for_news(journal: Journal) -> None:
    poller = select.poll()
    poller.register(journal.fd, select.POLLIN)
    assert poller.poll(WAIT_MS), "no news in 30 s"
    journal.acknowledge_wakeup()


def rows(folder: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(folder / FILE)
    found = connection.execute(statement).fetchall()
    connection.close()
    return found


# ---- committing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sync", ["normal", "full"])
def test_what_was_queued_becomes_durable_in_order(tmp_path: Path, sync: str) -> None:
    """Tickets ascend; one commit takes all that waits, and wakes the loop."""
    journal = opened(tmp_path, JournalSettings(sync=sync))  # type: ignore[arg-type]
    tickets = [journal.trigger(trigger(1)), journal.verdict(verdict(1)), journal.cursor("plc", Position(5, 1))]
    assert tickets == [1, 2, 3]
    assert journal.durable == 0
    journal.acknowledge_wakeup()
    assert journal.write_waiting()
    assert (journal.durable, journal.durable_seq) == (3, 1)
    wait_for_news(journal)
    assert not journal.write_waiting()
    journal.close(clean=True)


def test_the_threads_write_and_read_by_themselves(tmp_path: Path) -> None:
    """From queueing to the answered page with nothing but the descriptor to wait on."""
    journal = opened(tmp_path)
    journal.start()
    ticket = answer_parts(journal, 1, 50)
    journal.let_write()
    while journal.durable < ticket:
        wait_for_news(journal)
    journal.ask("mine", BEGINNING, 100)
    while not (answers := journal.answered()):
        wait_for_news(journal)
    assert answers[0][0] == "mine"
    assert answers[0][1].records == records(1, 50)
    journal.close(clean=True)
    assert opened(tmp_path).continued


def test_a_commit_is_bounded_and_settles_only_what_it_took(tmp_path: Path) -> None:
    """A long queue is written in several commits; the watermark never runs ahead."""
    journal = opened(tmp_path)
    ticket = answer_parts(journal, 1, 800)
    assert journal.write_waiting()
    assert journal.durable == 1000
    assert rows(tmp_path, "SELECT count(*) FROM parts") == [(500,)]
    assert journal.write_waiting()
    assert journal.durable == ticket == 1600


def test_every_value_arrives_as_it_was_queued(tmp_path: Path) -> None:
    """Text of any language with quotes, the highest numbers, nothing at all, and a record's very bytes."""
    odd = msgspec.structs.replace(
        trigger(2**53, request="a\"\\'é€😀"), part_id="", tag=65535, counter=2**32 - 1, utc_us=2**62, shift="Früh"
    )
    answer = verdict(3, part=odd.part, outcome=Outcome.UNKNOWN, reason=Reason.LATE, utc_us=2**62)
    journal = opened(tmp_path)
    journal.trigger(trigger(1))
    journal.trigger(odd)
    journal.verdict(msgspec.structs.replace(verdict(2, part=1), record=b"\0\xff{}"))
    journal.verdict(msgspec.structs.replace(answer, record="é€😀".encode()))
    journal.write_waiting()
    assert journal.alarm == ""
    columns = ", ".join(odd.__struct_fields__)
    assert rows(tmp_path, f"SELECT {columns} FROM parts ORDER BY part") == [
        msgspec.structs.astuple(trigger(1)),
        msgspec.structs.astuple(odd),
    ]
    answers = "SELECT seq, outcome, reason, verdict_utc_us, record, typeof(record) FROM parts ORDER BY part"
    assert rows(tmp_path, answers) == [
        (2, "PASS", None, verdict(2).utc_us, b"\0\xff{}", "blob"),
        (3, "UNKNOWN", "late", 2**62, "é€😀".encode(), "blob"),
    ]


def test_a_batch_that_is_refused_in_part_is_kept_for_the_rest(tmp_path: Path) -> None:
    """Whatever the fault's kind and place, all others are on the disk, and every count."""
    journal = opened(tmp_path)
    answer_parts(journal, 1, 40)
    refused = [
        journal.trigger(trigger(7, request="again")),
        journal.verdict(verdict(41, part=9)),
        journal.verdict(verdict(42, part=99)),
    ]
    journal.trigger(trigger(43))
    refused.append(journal.verdict(verdict(5, part=43)))
    last = answer_parts(journal, 44, 60)
    journal.write_waiting()
    assert [ticket for ticket in range(1, last + 1) if not journal.kept(ticket)] == refused
    assert rows(tmp_path, "SELECT count(*), count(seq) FROM parts") == [(58, 57)]
    assert rows(tmp_path, "SELECT sum(n) FROM ledger WHERE what = 'triggers'") == [(59,)]
    assert (41, 42) in rows(tmp_path, "SELECT * FROM lost")


def test_a_verdict_finds_its_part_by_number(tmp_path: Path) -> None:
    """However many parts are open: ten times as many cost ten times the steps, and not a hundred times."""
    journal = opened(tmp_path)
    connection = journal._store._connection
    assert connection is not None
    steps: Counter[int] = Counter()
    first = 1
    for parts in (40, 400):

        def step(parts: int = parts) -> None:
            steps[parts] += 1

        connection.set_progress_handler(step, 10)
        answer_parts(journal, first, first + parts - 1)
        journal.write_waiting()
        first += parts
    assert 5 * steps[40] < steps[400] < 20 * steps[40]


def test_an_older_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, in one line, and not at the first part."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 31, 1))
    with pytest.raises(ConfigurationError, match=r"expected 3\.33\.0 or later"):
        opened(tmp_path)


def test_a_second_verdict_for_a_part_is_seen(tmp_path: Path) -> None:
    """The first one stands in the file; the alarm stays, and the replay has a gap where the second would be."""
    journal = opened(tmp_path)
    answer_parts(journal, 1, 1)
    journal.verdict(verdict(2, part=1, outcome=Outcome.REJECT))
    assert journal.write_waiting()
    answer_parts(journal, 3, 3)
    journal.write_waiting()
    assert "verdict 2 of part 1" in journal.alarm
    assert journal.failing == ""
    assert rows(tmp_path, "SELECT seq, outcome FROM parts WHERE part = 1") == [(1, "PASS")]
    assert page(journal, Position(journal.epoch, 1)).gap == Gap(2, 2, "lost")
    assert not journal.ledger.balanced(0)
    journal.close(clean=True)
    assert not opened(tmp_path).continued, "a run with a fault is no clean one"


def test_a_verdict_without_a_trigger_is_seen(tmp_path: Path) -> None:
    """It finds no row, and is not swallowed."""
    journal = opened(tmp_path)
    journal.verdict(verdict(1, part=7))
    journal.write_waiting()
    assert "verdict 1 of part 7" in journal.alarm


def test_a_part_triggered_twice_is_seen(tmp_path: Path) -> None:
    """The first trigger stands."""
    journal = opened(tmp_path)
    journal.trigger(trigger(1, request="a"))
    journal.trigger(trigger(1, request="b"))
    journal.write_waiting()
    assert "part 1 was triggered a second time" in journal.alarm
    assert rows(tmp_path, "SELECT request FROM parts") == [("a",)]


def test_what_is_refused_is_settled_and_not_kept(tmp_path: Path) -> None:
    """Nobody may call it journaled, and the highest verdict on the disk is another one."""
    journal = opened(tmp_path)
    first = answer_parts(journal, 1, 1)
    again = journal.trigger(trigger(1))
    second = journal.verdict(verdict(2, part=1))
    assert not journal.kept(first)
    journal.write_waiting()
    assert (journal.durable, journal.durable_seq) == (second, 1)
    assert [journal.kept(ticket) for ticket in (first, again, second, second + 1)] == [True, False, False, False]
    last = answer_parts(journal, 3, 3)
    journal.write_waiting()
    assert (journal.kept(last), journal.durable_seq) == (True, 3)


def test_an_answer_to_a_part_whose_file_is_gone_is_not_kept(tmp_path: Path) -> None:
    """It is no fault of the loop's, but there is no row for it: the replay calls it lost."""
    journal = opened(tmp_path)
    journal.trigger(trigger(1))
    journal.write_waiting()
    (tmp_path / FILE).unlink()
    second = journal.trigger(trigger(2))
    assert not journal.write_waiting()
    assert journal.write_waiting()
    first = journal.verdict(verdict(1))
    journal.write_waiting()
    assert (journal.alarm, journal.durable) == ("", first)
    assert (journal.kept(second), journal.kept(first), journal.durable_seq) == (True, False, 0)
    assert page(journal, Position(journal.epoch, 0)).gap == Gap(1, 1, "lost")


def test_a_refusal_is_known_for_ten_thousand_tickets(tmp_path: Path) -> None:
    """Those that ask have asked by then; a station that runs for years remembers few."""
    journal = opened(tmp_path)
    refused = journal.verdict(verdict(1, part=7))
    journal.write_waiting()
    for _ in range(REFUSALS_KNOWN - 1):
        journal.count(SHIFT, Mode.PRODUCTION, "bounced")
    journal.write_waiting()
    assert not journal.kept(refused)
    later = journal.verdict(verdict(2, part=8))
    journal.write_waiting()
    assert not journal.kept(later)
    assert len(journal._refused) == 1
    # What is so old that a refusal of it may be forgotten is not said to be kept.
    assert not journal.kept(refused)


# ---- restarts ------------------------------------------------------------------------------------------------


def test_after_a_clean_close_the_epoch_goes_on(tmp_path: Path) -> None:
    """With its numbers, counts and cursors."""
    first = opened(tmp_path)
    answer_parts(first, 1, 3)
    first.cursor("plc", Position(first.epoch, 2))
    first.cursor("old", Position(first.epoch, 1))
    first.cursor("old", None)
    first.count(SHIFT, Mode.PRODUCTION, "bounced", 4)
    first.close(clean=True)
    second = opened(tmp_path)
    assert (second.epoch, second.continued, second.seq, second.part) == (first.epoch, True, 3, 3)
    assert second.cursors == {"plc": Position(first.epoch, 2)}
    assert second.ledger.rows(None) == first.ledger.rows(None)
    assert second.ledger.row("", Mode.PRODUCTION).bounced == 4


def test_a_crash_begins_a_new_epoch_and_numbers_go_on(tmp_path: Path) -> None:
    """What was not committed is gone, what was open is told, and its answer belongs to the new epoch."""
    first = opened(tmp_path)
    answer_parts(first, 1, 3)
    first.trigger(trigger(4))
    first.write_waiting()
    answer_parts(first, 5, 6)
    first.abandon()
    second = opened(tmp_path)
    assert second.epoch != first.epoch
    assert (second.continued, second.seq, second.part) == (False, 3, 4)
    assert second.left_open == (trigger(4),)
    assert second.ledger.balanced(open_parts=1)
    second.verdict(verdict(4, outcome=Outcome.UNKNOWN, reason=Reason.RESTART))
    second.write_waiting()
    assert page(second, Position(first.epoch, 3)).last == Position(second.epoch, 4)
    second.abandon()
    assert opened(tmp_path).left_open == ()


def test_an_opened_epoch_is_dirty_before_anything_else(tmp_path: Path) -> None:
    """A run that crashed at once is not taken for the clean one before it."""
    first = opened(tmp_path)
    first.close(clean=True)
    second = opened(tmp_path)
    assert second.epoch == first.epoch
    second.abandon()
    assert opened(tmp_path).epoch != first.epoch


def test_a_close_is_clean_only_if_nothing_is_open(tmp_path: Path) -> None:
    """Whatever the caller believes."""
    first = opened(tmp_path)
    first.trigger(trigger(1))
    first.close(clean=True)
    assert not opened(tmp_path).continued


def test_a_close_waits_a_second_for_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a clean close is the writer's too: when it does not come, the next run does not go on."""
    monkeypatch.setattr(module, "_CLOSE_S", 0.01)
    goes_on, asked = threading.Event(), threading.Event()
    end = Store.end

    def hang(store: Store) -> bool:
        asked.set()
        goes_on.wait(WAIT_MS / 1000)
        return end(store)

    monkeypatch.setattr(Store, "end", hang)
    journal = opened(tmp_path)
    journal.start()
    journal.close(clean=True)
    assert asked.wait(WAIT_MS / 1000)
    assert [thread.name for thread in journal._threads if thread.is_alive()] == ["journal.write"]
    assert not journal._proven
    goes_on.set()
    for thread in journal._threads:
        thread.join()


def test_a_close_that_is_not_said_to_be_clean_is_not(tmp_path: Path) -> None:
    """What waited is on the disk, but the epoch has ended."""
    first = opened(tmp_path)
    answer_parts(first, 1, 2)
    first.close(clean=False)
    second = opened(tmp_path)
    assert (second.continued, second.seq) == (False, 2)


def test_requested_triggers_are_remembered(tmp_path: Path) -> None:
    """In their order, answered or not: a sender that repeats one is not given a second part."""
    first = opened(tmp_path)
    for part, request in ((1, "r1"), (2, None), (3, "r3")):
        first.trigger(trigger(part, request=request))
    first.verdict(verdict(1))
    first.close(clean=False)
    assert opened(tmp_path).remembered == (("r1", trigger(1, request="r1")), ("r3", trigger(3, request="r3")))


def test_the_counter_of_the_newest_counted_trigger_is_remembered(tmp_path: Path) -> None:
    """Over restarts, also when the trigger itself was dropped, and when the file went and was begun anew."""
    disk = Disk()
    first = opened(tmp_path, connect=disk, most_entries=2)
    assert first.last_counter is None
    disk.full = True
    for part, counter in ((1, 41), (2, 42), (3, None), (4, None)):
        first.trigger(msgspec.structs.replace(trigger(part), counter=counter))
        first.verdict(verdict(part))
    disk.full = False
    first.close(clean=True)
    second = opened(tmp_path)
    assert second.last_counter == 42
    (tmp_path / FILE).unlink()
    answer_parts(second, 5, 5)
    assert not second.write_waiting()
    second.close(clean=True)
    assert opened(tmp_path).last_counter == 42


def test_a_second_station_is_refused(tmp_path: Path) -> None:
    """It is told which folder and which key; after the first one's end it may."""
    first = opened(tmp_path)
    with pytest.raises(ConfigurationError, match=f"state_dir = {tmp_path}: another station"):
        opened(tmp_path)
    first.close(clean=True)
    opened(tmp_path).close(clean=True)


def test_a_journal_that_is_off_is_not_opened(tmp_path: Path) -> None:
    """Nothing is half kept."""
    with pytest.raises(ConfigurationError, match="expected normal or full"):
        opened(tmp_path, JournalSettings(sync="off"))


_CHILD = """
import select
import sys
from pathlib import Path
from tests.support.journal import answer_parts, opened
journal = opened(Path(sys.argv[1]))
journal.start()
part = 0
while True:
    part += 1
    ticket = answer_parts(journal, part, part)
    journal.let_write()
    while journal.durable < ticket:
        select.select([journal.fd], [], [])
        journal.acknowledge_wakeup()
    sys.stdout.write(f"{part}\\n")
    sys.stdout.flush()
"""


def test_what_a_killed_process_said_to_be_durable_is_there(tmp_path: Path) -> None:
    """SIGKILL in the midst of writing: every verdict that was told is read again, and the next run knows."""
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    told = [int(child.stdout.readline()) for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    told += [int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    child.wait()
    child.stdout.close()
    journal = opened(tmp_path)
    assert journal.seq >= told[-1]
    assert not journal.continued
    assert page(journal, limit=10_000).records == records(1, journal.seq)
    assert journal.ledger.balanced(len(journal.left_open))


# ---- a disk that fails ---------------------------------------------------------------------------------------


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    """While it fails, entries wait; as soon as it takes them, they are durable in their order."""
    disk = Disk()
    journal = opened(tmp_path, connect=disk)
    answer_parts(journal, 1, 2)
    journal.write_waiting()
    disk.full = True
    ticket = answer_parts(journal, 3, 4)
    journal.acknowledge_wakeup()
    assert not journal.write_waiting()
    wait_for_news(journal)
    assert "disk is full" in journal.failing
    assert journal.durable < ticket
    ticket = answer_parts(journal, 5, 5)
    disk.full = False
    while journal.durable < ticket:
        assert journal.write_waiting()
    assert journal.failing == journal.alarm == ""
    assert page(journal).records == records(1, 5)
    assert journal.ledger.balanced(0)


def test_a_commit_of_unknown_end_is_not_written_twice(tmp_path: Path) -> None:
    """It landed and said that it had not: the next attempt finds it, with what it had refused."""
    disk = _Liar()
    journal = opened(tmp_path, connect=disk)
    ticket = answer_parts(journal, 1, 3)
    refused = journal.verdict(verdict(4, part=3))
    journal.count(SHIFT, Mode.PRODUCTION, "bounced", 2)
    disk.lies = True
    assert not journal.write_waiting()
    assert (journal.durable, journal.kept(ticket)) == (0, False)
    disk.lies = False
    assert journal.write_waiting()
    assert (journal.kept(ticket), journal.kept(refused)) == (True, False)
    assert "verdict 4 of part 3 refused" in journal.alarm
    journal.close(clean=False)
    again = opened(tmp_path)
    assert again.ledger.rows(None) == journal.ledger.rows(None)
    assert page(again).records == records(1, 3)


class _Liar(Disk):
    lies = False

    def __call__(self, path: Path, create: bool) -> sqlite3.Connection:
        liar = self

        class Connection(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                cursor = super().execute(*arguments)
                if liar.lies and arguments[0] == "COMMIT":
                    raise sqlite3.OperationalError("disk I/O error")
                return cursor

        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Connection)


def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    """The kernel refuses the bytes; the commit is taken back whole, and succeeds when there is room."""
    journal = opened(tmp_path)
    answer_parts(journal, 1, 2)
    journal.write_waiting()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / f"{FILE}-wal").stat().st_size, hard))
    try:
        ticket = answer_parts(journal, 3, 40)
        worked = journal.write_waiting()
        told = journal.failing
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert not worked
    assert FILE in told
    assert journal.write_waiting()
    assert (journal.durable, journal.failing) == (ticket, "")
    assert page(journal).records == records(1, 40)


def test_the_writer_tries_again_without_being_asked(tmp_path: Path) -> None:
    """A disk that works again is found by the thread, even when nothing waits."""
    disk = Disk()
    disk.full = True
    journal = opened(tmp_path, connect=disk)
    assert "disk is full" in journal.failing
    journal.start()
    disk.full = False
    while journal.failing:
        wait_for_news(journal)
    answer_parts(journal, 1, 1)
    journal.close(clean=True)
    again = opened(tmp_path)
    assert (again.epoch, again.seq) == (journal.epoch, 1)


def test_a_folder_that_comes_back_goes_on_as_it_was(tmp_path: Path) -> None:
    """Moved away and back, with verdicts in between: told, then written."""
    folder = tmp_path / "state"
    journal = opened(folder)
    answer_parts(journal, 1, 2)
    journal.write_waiting()
    folder.rename(tmp_path / "elsewhere")
    answer_parts(journal, 3, 4)
    for _ in range(2):
        assert not journal.write_waiting()
        assert "No such file or directory" in journal.failing
    (tmp_path / "elsewhere").rename(folder)
    assert journal.write_waiting()
    assert (journal.failing, journal.set_aside) == ("", None)
    assert page(journal).records == records(1, 4)


def test_a_folder_that_comes_back_empty_is_begun_anew_from_what_is_known(tmp_path: Path) -> None:
    """Numbers, counts and cursors go on; what was in the old file is a gap; its open part's answer is no fault."""
    folder = tmp_path / "state"
    journal = opened(folder)
    answer_parts(journal, 1, 2)
    journal.trigger(trigger(3))
    journal.cursor("plc", Position(journal.epoch, 1))
    journal.write_waiting()
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    journal.verdict(verdict(3))
    answer_parts(journal, 4, 5)
    assert not journal.write_waiting()
    assert journal.write_waiting()
    assert journal.alarm == ""
    found = page(journal, Position(journal.epoch, 1))
    assert (found.gap, found.records) == (Gap(2, 3, "lost"), records(4, 5))
    journal.close(clean=True)
    again = opened(folder)
    assert (again.epoch, again.seq, again.part) == (journal.epoch, 5, 5)
    assert again.cursors == {"plc": Position(journal.epoch, 1)}
    assert again.ledger.rows(None) == journal.ledger.rows(None)
    assert again.ledger.balanced(0)


def test_a_folder_that_is_gone_is_told_before_the_next_part(tmp_path: Path) -> None:
    """The housekeeping looks for it, so that the alarm does not wait for a verdict that cannot be kept."""
    folder = tmp_path / "state"
    journal = opened(folder)
    folder.rename(tmp_path / "elsewhere")
    journal.acknowledge_wakeup()
    assert not journal.keep_house()
    wait_for_news(journal)
    assert "upkeep" in journal.alarm
    (tmp_path / "elsewhere").rename(folder)
    journal.keep_house()
    assert journal.alarm == ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_writer_that_ended_is_told(tmp_path: Path) -> None:
    """A number no column can hold is a fault of the program's: verdicts go on, and nobody believes them kept."""
    journal = opened(tmp_path)
    journal.start()
    journal.trigger(trigger(2**63))
    journal.let_write()
    while not journal.failing:
        wait_for_news(journal)
    assert "thread journal.write ended" in journal.failing
    ticket = answer_parts(journal, 1, 1)
    journal.close(clean=True)
    assert journal.durable < ticket
    assert not opened(tmp_path).continued


def test_a_page_that_cannot_be_read_is_read_again(tmp_path: Path) -> None:
    """Once; the asker gets one answer."""
    disk = Disk()
    journal = opened(tmp_path, connect=disk)
    answer_parts(journal, 1, 2)
    journal.write_waiting()
    disk.full = True
    journal.ask("key", BEGINNING, 10)
    assert not journal.read_waiting()
    assert "read" in journal.alarm
    disk.full = False
    assert journal.read_waiting()
    assert [answer.records for _, answer in journal.answered()] == [records(1, 2)]
    assert journal.alarm == ""


def test_what_waits_too_long_is_dropped_but_counted(tmp_path: Path) -> None:
    """The oldest whole parts go; their range is a gap in the replay; the ledger is exact."""
    disk = Disk()
    journal = opened(tmp_path, connect=disk, most_entries=10)
    journal.trigger(trigger(1))
    journal.write_waiting()
    disk.full = True
    journal.count(SHIFT, Mode.PRODUCTION, "unseen", 2)
    assert not journal.write_waiting()
    journal.verdict(verdict(1))
    ticket = answer_parts(journal, 2, 30)
    disk.full = False
    while journal.durable < ticket:
        assert journal.write_waiting()
    first, second = page(journal), page(journal, Position(journal.epoch, 1))
    assert first.records == records(1, 1), "its trigger was on the disk: it would be answered twice"
    assert second.gap == Gap(2, 26, "lost")
    assert [journal.kept(2 * part + 1) for part in (1, 2, 26, 27, 30)] == [True, False, False, True, True]
    assert second.records == records(27, 30)
    journal.close(clean=True)
    again = opened(tmp_path)
    assert again.ledger.rows(None) == journal.ledger.rows(None)
    assert again.ledger.row("", Mode.PRODUCTION).triggers == 30
    assert again.ledger.balanced(0)
    assert again.left_open == ()


# ---- housekeeping --------------------------------------------------------------------------------------------


def test_old_verdicts_go_and_the_replay_says_so(tmp_path: Path) -> None:
    """In bites, the oldest first; counts, open parts and numbers stay."""
    clock = HandClock()
    journal = opened(tmp_path, JournalSettings(keep_days=1), clock)
    journal.trigger(trigger(1000))
    answer_parts(journal, 1, 300)
    journal.write_waiting()
    clock.us += DAY_US
    journal.keep_house()
    clock.us += DAY_US
    journal.trigger(trigger(301))
    journal.verdict(verdict(301, utc_us=clock.us))
    journal.write_waiting()
    assert journal.keep_house(), "there is more than a bite"
    while journal.keep_house():
        pass
    found = page(journal, Position(journal.epoch, 100))
    assert (found.gap, found.records) == (Gap(101, 300, "retention"), records(301, 301))
    assert page(journal).gap is None, "whoever asks for the beginning misses nothing"
    assert journal.ledger.row("", Mode.PRODUCTION).triggers == 302
    assert journal.left_open == ()
    journal.abandon()
    again = opened(tmp_path, clock=clock)
    assert (again.seq, again.part, again.left_open) == (301, 1000, (trigger(1000),))


def test_the_log_is_brought_home_in_time(tmp_path: Path) -> None:
    """A minute after the last time, if anything was written."""
    clock = HandClock()
    journal = opened(tmp_path, clock=clock)
    answer_parts(journal, 1, 100)
    journal.write_waiting()
    before = (tmp_path / FILE).stat().st_size
    journal.keep_house()
    assert (tmp_path / FILE).stat().st_size == before
    clock.us += 60_000_000
    journal.keep_house()
    assert (tmp_path / FILE).stat().st_size > before


# ---- the ledger and the rows ---------------------------------------------------------------------------------

steps = st.lists(
    st.one_of(
        st.sampled_from(["trigger", "write", "house", "close", "crash", "fail", "mend"]),
        st.tuples(st.integers(0, 20), st.sampled_from([None, *Reason])),
    ),
    max_size=60,
)


@examples(max_examples=40)
@given(steps)
def test_the_ledger_is_what_the_rows_say(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str | tuple[int, Reason | None]]
) -> None:
    """Whatever order of triggers, verdicts, failures and restarts: ledger, rows and what was told agree."""
    folder = tmp_path_factory.mktemp("journal")
    disk = Disk()
    journal = opened(folder, connect=disk)
    waiting: list[int] = []
    for step in steps:
        if isinstance(step, tuple):
            if waiting:
                part, reason = waiting.pop(step[0] % len(waiting)), step[1]
                outcome = Outcome.PASS if reason is None else Outcome.UNKNOWN
                journal.verdict(verdict(journal.seq + 1, part=part, outcome=outcome, reason=reason))
        elif step == "trigger":
            waiting.append(journal.part + 1)
            journal.trigger(trigger(journal.part + 1))
        elif step == "write":
            journal.write_waiting()
        elif step == "house":
            journal.keep_house()
        elif step in ("fail", "mend"):
            disk.full = step == "fail"
        else:
            disk.full = False
            journal.close(clean=True) if step == "close" else journal.abandon()
            journal = opened(folder, connect=disk)
            waiting = [entry.part for entry in journal.left_open]
        assert journal.ledger.balanced(len(waiting))
    disk.full = False
    journal.close(clean=False)
    counts: Counter[LedgerKey] = Counter()
    for shift, mode, outcome, reason in rows(folder, "SELECT shift, mode, outcome, reason FROM parts"):
        counts[str(shift), Mode(mode), "triggers"] += 1
        if outcome is not None:
            line = line_from_verdict(Outcome(outcome), None if reason is None else Reason(reason))
            counts[str(shift), Mode(mode), line] += 1
    assert journal.ledger.counts() == counts
    seqs = [row[0] for row in rows(folder, "SELECT seq FROM parts WHERE seq IS NOT NULL ORDER BY seq")]
    assert seqs == list(range(1, len(seqs) + 1))
    assert journal.failing == ""


def open_descriptors() -> int:
    # Connections that were left behind go when they are found, which must not be in between.
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    """Opening and closing a journal many times costs none."""
    opened(tmp_path).close(clean=True)
    before = open_descriptors()
    for _ in range(5):
        opened(tmp_path).close(clean=True)
    assert open_descriptors() == before
