"""Consumers: one at a time under each name, and a cursor that only moves forward, over journaled verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.records import Verdict
from edge.requests import (
    LEASE_S,
    Ack,
    Acknowledged,
    Attach,
    Attached,
    Detach,
    Done,
    Missing,
    Refusal,
    Refused,
    Replay,
    Replayed,
)
from edge.station import consumers as module
from edge.station.consumers import Consumers, Due, replay_from_page
from edge.station.entries import BEGINNING, Gap, Page, Position
from edge.wire import frames_from_message
from tests.support import journal as journals
from tests.support.records import verdict
from tests.support.station import FakeClock

LIVE = Position(9, 30)


class FakeJournal:
    """Epoch 7 gave verdicts 1 to 10, epoch 8 none, epoch 9 goes on; durable when it is told."""

    def __init__(self) -> None:
        self.epoch = 9
        self.epochs = ((7, 1), (8, 11), (9, 11))
        self.durable_seq = 28
        self.failing = ""
        self.cursors: dict[str, Position] = {}
        self.tickets = 0

    def cursor(self, consumer: str, position: Position | None) -> int:
        if position is None:
            del self.cursors[consumer]
        else:
            self.cursors[consumer] = position
        self.tickets += 1
        return self.tickets


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def journal() -> FakeJournal:
    return FakeJournal()


@pytest.fixture
def consumers(journal: FakeJournal, clock: FakeClock) -> Consumers:
    return Consumers(journal, clock)


def attach(session: str = "s1", **changes: Any) -> Attach:
    values = {"consumer": "mes", "origin": "now", "take_over": False, **changes}
    return Attach(version=1, id="a", session=session, **values)


def ack(seq: int, epoch: int = 9, session: str = "s1") -> Ack:
    return Ack(version=1, id="b", consumer="mes", session=session, epoch=epoch, seq=seq)


def detach(session: str = "s1", forget: bool = False) -> Detach:
    return Detach(version=1, id="c", consumer="mes", session=session, forget=forget)


def attached(due: Due | Refused) -> Attached:
    assert isinstance(due, Due)
    assert isinstance(due.answer, Attached)
    return due.answer


def acknowledged(due: Due | Refused) -> Position:
    assert isinstance(due, Due)
    assert isinstance(due.answer, Acknowledged)
    return Position(due.answer.epoch, due.answer.seq)


def code(due: Due | Refused) -> Refusal:
    assert isinstance(due, Refused)
    assert due.text.isprintable()
    return due.code


@pytest.mark.parametrize(("origin", "position"), [("now", LIVE), ("oldest", BEGINNING)])
def test_new_name_begins_where_it_wants(origin: str, position: Position, consumers: Consumers) -> None:
    """Behind the last verdict, or before the oldest; told when the journal has it."""
    due = consumers.attach(attach(origin=origin), LIVE)
    answer = attached(due)
    assert isinstance(due, Due)
    assert (Position(answer.epoch, answer.seq), answer.new, due.ticket) == (position, True, 1)
    assert (answer.live_epoch, answer.live_seq) == (9, 30)


def test_known_name_goes_on_where_it_was(consumers: Consumers, journal: FakeJournal) -> None:
    """A cursor of an earlier run is found, whatever origin says; there is nothing to wait for."""
    journal.cursors["mes"] = Position(7, 4)
    due = consumers.attach(attach(origin="now"), LIVE)
    answer = attached(due)
    assert isinstance(due, Due)
    assert (answer.epoch, answer.seq, answer.new, due.ticket) == (7, 4, False, 0)


def test_name_is_one_session_s(consumers: Consumers) -> None:
    """Another session is refused, the same one is not."""
    attached(consumers.attach(attach("s1"), LIVE))
    refused = consumers.attach(attach("s2"), LIVE)
    assert code(refused) is Refusal.NAME_TAKEN
    assert not attached(consumers.attach(attach("s1"), LIVE)).new


def test_expired_lease_is_free(consumers: Consumers, clock: FakeClock) -> None:
    """Who asked for nothing for LEASE_S may be replaced, and then is no longer attached."""
    consumers.attach(attach("s1"), LIVE)
    clock.us += round(LEASE_S * 1e6) - 1
    assert code(consumers.attach(attach("s2"), LIVE)) is Refusal.NAME_TAKEN
    clock.us += 1
    attached(consumers.attach(attach("s2"), LIVE))
    assert code(consumers.ack(ack(20, session="s1"))) is Refusal.NOT_ATTACHED


def test_ack_renews_the_lease(consumers: Consumers, clock: FakeClock) -> None:
    """A consumer that works keeps its name."""
    consumers.attach(attach("s1"), LIVE)
    clock.us += round(LEASE_S * 1e6) - 1
    consumers.ack(ack(12))
    clock.us += round(LEASE_S * 1e6) - 1
    assert code(consumers.attach(attach("s2"), LIVE)) is Refusal.NAME_TAKEN


def test_slow_consumer_that_nobody_replaced_is_attached(
    consumers: Consumers, journal: FakeJournal, clock: FakeClock
) -> None:
    """An expired lease alone takes nothing away."""
    journal.cursors["mes"] = Position(9, 11)
    consumers.attach(attach("s1"), LIVE)
    clock.us += round(10 * LEASE_S * 1e6)
    assert acknowledged(consumers.ack(ack(20))) == Position(9, 20)


def test_take_over_replaces(consumers: Consumers) -> None:
    """Who knows that its predecessor is dead need not wait."""
    consumers.attach(attach("s1"), LIVE)
    attached(consumers.attach(attach("s2", take_over=True), LIVE))
    assert code(consumers.ack(ack(20, session="s1"))) is Refusal.NOT_ATTACHED


def test_ack_moves_the_cursor_forward(consumers: Consumers, journal: FakeJournal) -> None:
    """It is told when the journal has it; an earlier position is answered by where the cursor stands."""
    journal.cursors["mes"] = Position(7, 4)
    consumers.attach(attach(), LIVE)
    due = consumers.ack(ack(20))
    assert acknowledged(due) == Position(9, 20)
    assert isinstance(due, Due)
    assert due.ticket == journal.tickets == 1
    for earlier in (ack(20), ack(19), ack(3, epoch=7)):
        again = consumers.ack(earlier)
        assert acknowledged(again) == Position(9, 20)
        # Not durable yet, perhaps: it is waited for all the same.
        assert isinstance(again, Due)
        assert again.ticket == 1
    assert journal.cursors["mes"] == Position(9, 20)


def test_ack_of_what_a_crash_kept_out_stands_before_the_next_epoch(consumers: Consumers, journal: FakeJournal) -> None:
    """Verdict 12 of epoch 7 was published and never journaled: it does not count as the 12 of epoch 9."""
    journal.cursors["mes"] = Position(7, 4)
    consumers.attach(attach(), LIVE)
    assert acknowledged(consumers.ack(ack(12, epoch=7))) == Position(7, 12)
    assert acknowledged(consumers.ack(ack(11, epoch=9))) == Position(9, 11)
    assert acknowledged(consumers.ack(ack(12, epoch=7))) == Position(9, 11)


def test_ack_ahead_of_the_journal_is_refused(consumers: Consumers, journal: FakeJournal) -> None:
    """What is published but not journaled cannot be acknowledged; the text says both places."""
    journal.cursors["mes"] = Position(9, 20)
    consumers.attach(attach(), LIVE)
    refused = consumers.ack(ack(29))
    assert code(refused) is Refusal.AHEAD
    assert isinstance(refused, Refused)
    assert "seq = 29: the journal ends at 28 of epoch 9" in refused.text
    assert acknowledged(consumers.ack(ack(28))) == Position(9, 28)


def test_ack_of_an_unknown_epoch_is_refused(consumers: Consumers, journal: FakeJournal) -> None:
    """Nothing says where that is."""
    journal.cursors["mes"] = Position(9, 20)
    consumers.attach(attach(), LIVE)
    assert code(consumers.ack(ack(1, epoch=1234))) is Refusal.UNKNOWN_EPOCH


def test_cursor_of_an_unknown_epoch_moves_on(consumers: Consumers, journal: FakeJournal) -> None:
    """A cursor that nobody understands any more does not hold its consumer."""
    journal.cursors["mes"] = Position(1234, 99)
    consumers.attach(attach(), LIVE)
    assert acknowledged(consumers.ack(ack(20))) == Position(9, 20)


def test_ack_without_attach_is_refused(consumers: Consumers, journal: FakeJournal) -> None:
    """After a restart of the station everybody attaches anew."""
    journal.cursors["mes"] = Position(9, 20)
    assert code(consumers.ack(ack(21))) is Refusal.NOT_ATTACHED
    assert code(consumers.detach(detach())) is Refusal.NOT_ATTACHED


@pytest.mark.parametrize("forget", [True, False])
def test_detach_gives_the_name_back(forget: bool, consumers: Consumers, journal: FakeJournal) -> None:
    """Another session has it at once; the cursor is kept unless it is to be forgotten."""
    consumers.attach(attach("s1"), LIVE)
    due = consumers.detach(detach(forget=forget))
    assert isinstance(due, Due)
    assert isinstance(due.answer, Done)
    assert due.ticket == (2 if forget else 0)
    assert attached(consumers.attach(attach("s2"), LIVE)).new is forget


def test_failing_journal_takes_no_change(consumers: Consumers, journal: FakeJournal) -> None:
    """A known name is let in; whatever needs the disk is refused with the journal's reason."""
    journal.cursors["mes"] = Position(9, 20)
    journal.failing = "disk full"
    attached(consumers.attach(attach(), LIVE))
    for refused in (
        consumers.ack(ack(21)),
        consumers.detach(detach(forget=True)),
        consumers.attach(attach(consumer="new"), LIVE),
    ):
        assert code(refused) is Refusal.NOT_JOURNALED
        assert isinstance(refused, Refused)
        assert "disk full" in refused.text
    assert acknowledged(consumers.ack(ack(20))) == Position(9, 20)


def test_journal_that_is_off_keeps_no_cursor(clock: FakeClock) -> None:
    """Everything is refused."""
    consumers = Consumers(None, clock)
    for refused in (consumers.attach(attach(), LIVE), consumers.ack(ack(1)), consumers.detach(detach())):
        assert code(refused) is Refusal.NOT_JOURNALED


def test_names_are_bounded(consumers: Consumers, journal: FakeJournal) -> None:
    """Names that somebody makes up do not fill the disk; those that are known are let in."""
    journal.cursors = {f"c{i}": LIVE for i in range(module.MOST_CONSUMERS)}
    assert code(consumers.attach(attach(), LIVE)) is Refusal.TOO_MANY
    attached(consumers.attach(attach(consumer="c1"), LIVE))


def test_real_journal_knows_its_epochs(tmp_path: Path, clock: FakeClock) -> None:
    """After a crash the cursor of the old epoch is behind every verdict of the new one, and moves on over it."""
    journal = journals.opened(tmp_path, epoch=70)
    first = Consumers(journal, clock)
    first.attach(attach(origin="oldest"), Position(70, 0))
    journal.write_waiting()
    journal.abandon()
    journal = journals.opened(tmp_path, epoch=80)
    assert [epoch for epoch, _ in journal.epochs] == [70, 80]
    consumers = Consumers(journal, clock)
    answer = attached(consumers.attach(attach(), Position(80, 0)))
    assert (answer.epoch, answer.seq, answer.new) == (0, 0, False)
    assert code(consumers.ack(ack(1, epoch=80))) is Refusal.AHEAD
    assert acknowledged(consumers.ack(ack(1, epoch=70))) == BEGINNING
    journal.close(clean=False)


def replay(epoch: int = 9, seq: int = 10) -> Replay:
    return Replay(version=1, id="a", epoch=epoch, seq=seq, limit=10)


def test_page_becomes_an_answer() -> None:
    """Each verdict says that it is journaled and replayed; the position is that of the last."""
    records = tuple(frames_from_message(verdict(seq, epoch=9))[1] for seq in (11, 12))
    answer, payload = replay_from_page(replay(), Page(records=records, last=Position(9, 12), end=True))
    assert answer == Replayed(version=1, id="a", now_us=0, count=2, epoch=9, seq=12, end=True, missing=None)
    again = [msgspec.json.decode(record, type=Verdict) for record in payload]
    assert again == [verdict(seq, epoch=9, journaled=True, replayed=True) for seq in (11, 12)]


@pytest.mark.parametrize(
    ("gap", "missing"),
    [
        (Gap(11, 20, "retention"), Missing(epoch=9, first=11, last=20, why="retention")),
        (Gap(11, 11, "lost"), Missing(epoch=9, first=11, last=11, why="lost")),
        (Gap(None, None, "unknown epoch"), Missing(epoch=9, first=11, last=None, why="unknown_epoch")),
    ],
)
def test_gap_is_told(gap: Gap, missing: Missing) -> None:
    """Which verdicts are gone for good, and why; an unknown epoch is told as far as it is known."""
    answer, payload = replay_from_page(replay(), Page(last=Position(9, 20), gap=gap, end=True))
    assert isinstance(answer, Replayed)
    assert (answer.missing, answer.count, payload) == (missing, 0, [])


def test_replay_ahead_of_the_journal_is_refused() -> None:
    """A position that was never given is no place to wait at."""
    answer, payload = replay_from_page(replay(seq=99), Page(last=Position(9, 12), end=True, ahead=True))
    assert isinstance(answer, Refused)
    assert (answer.code, payload) == (Refusal.AHEAD, [])
    assert "seq = 99: the journal ends at 12 of epoch 9" in answer.text
