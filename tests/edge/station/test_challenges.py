"""Challenges: when one is due, what follows, and that nothing of it is forgotten or forgiven."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from edge.inspector.link import Inspect
from edge.records import Alarm, ChallengeState, Mode, Outcome, Reason
from edge.requests import Challenge, Challenged, Pause, Refusal, Refused, Selftest, Shown, Triggered
from tests.support.station import Bench, FakeClock

MASTERS = [{"name": "good-1", "expect": "PASS"}, {"name": "bad-1", "expect": "REJECT"}]
MINUTE_MS = 60_000


def bench(folder: Path | None = None, clock: FakeClock | None = None, **challenge: Any) -> Bench:
    """Return a station that asks for challenges, ready but for them; without *clock* it is ten in the morning."""
    if clock is None:
        clock = FakeClock()
        clock.utc_ahead_us = round(datetime(2026, 11, 23, 10).timestamp() * 1e6) - clock.utc_us()
    settings = {"hang_s": 1e6, "trigger": "software", "challenge": {"parts": MASTERS, **challenge}}
    one = Bench(folder=folder, clock=clock, **settings)  # type: ignore[arg-type]
    one.get_ready()
    return one


def show(one: Bench, name: str, outcome: Outcome) -> Shown:
    """Show a master; the inspector says *outcome* of it."""
    number = one.journal.part + 1 if one.loop._registrar.parts.last == 0 else one.loop._registrar.parts.last + 1
    [answer] = one.ask(one.trigger(f"t{number}", part_id=f"{name}@{number}", mode=Mode.CHALLENGE))
    assert isinstance(answer, Triggered)
    if one.publisher.verdicts and one.publisher.verdicts[-1].part == answer.part:
        return Shown(name=name, part=answer.part)  # The line is closed to it.
    one.hear(one.captured(number, part=answer.part))
    one.hear(one.result(answer.part, outcome))
    return Shown(name=name, part=answer.part)


def give(one: Bench, good: Outcome = Outcome.PASS, bad: Outcome = Outcome.REJECT, id_: str = "c") -> Challenged:
    parts = (show(one, "good-1", good), show(one, "bad-1", bad))
    [answer] = one.ask(Challenge(version=1, id=id_, by="M. Muster", parts=parts))
    assert isinstance(answer, Challenged), answer
    return answer


def product(one: Bench) -> tuple[Outcome, Reason | None]:
    """Trigger a product that the inspector would pass; return its verdict."""
    number = one.loop._registrar.parts.last + 1
    one.ask(one.trigger(f"p{number}"))
    if one.publisher.verdicts[-1:] == [] or one.publisher.verdicts[-1].part != number:
        one.hear(one.captured(number, part=number))
        one.hear(one.result(number))
    said = one.publisher.verdicts[-1]
    assert said.part == number
    return said.outcome, said.reason


def state(one: Bench) -> ChallengeState | None:
    mark = one.publisher.statuses[-1].challenge
    return None if mark is None else mark.state


PASSED, CLOSED = (Outcome.PASS, None), (Outcome.UNKNOWN, Reason.SELFTEST)


def test_a_station_that_asks_for_none_says_nothing() -> None:
    """No mark, no alarm, and a challenge that is given all the same is refused."""
    one = Bench()
    one.get_ready()
    assert one.publisher.statuses[-1].challenge is None
    [answer] = one.ask(Challenge(version=1, id="c", by="x", parts=(Shown(name="good-1", part=1),)))
    assert isinstance(answer, Refused)
    assert (answer.code, "no table [challenge]" in answer.text) == (Refusal.CHALLENGE, True)


def test_the_first_one_is_due_at_once_and_closes_the_line_after_the_grace() -> None:
    """Products are inspected while it is due; then they are UNKNOWN(selftest) and the station is not ready."""
    one = bench(grace_min=30)
    assert (state(one), product(one)) == ("due", PASSED)
    assert one.publisher.statuses[-1].ready
    one.after(31 * MINUTE_MS)
    status = one.publisher.statuses[-1]
    assert (status.state, status.ready, state(one)) == ("degraded", False, "overdue")
    assert Alarm.CHALLENGE_OVERDUE in status.alarms
    assert "a challenge is overdue (none was ever passed here): edge-inspectd challenge" in status.detail
    assert product(one) == CLOSED
    assert [a.event.value for a in one.publisher.audits] == ["challenge_overdue"]


def test_one_that_is_passed_opens_the_line() -> None:
    """Masters are judged while products are not; the answer, the audit and the heartbeat say who and when."""
    one = bench(grace_min=0)
    assert product(one) == CLOSED
    answer = give(one)
    assert (answer.passed, [part.right for part in answer.parts]) == (True, [True, True])
    one.after(1)
    mark = one.publisher.statuses[-1].challenge
    assert mark is not None
    assert (mark.state, mark.last_by) == ("passed", "M. Muster")
    assert datetime.fromtimestamp(mark.due_utc_us / 1e6) == datetime(2026, 11, 23, 14), "the next shift"
    assert product(one) == PASSED
    assert one.publisher.audits[-1].detail == "challenge by M. Muster passed; 2 masters"


def test_one_that_failed_closes_the_line_at_once_whatever_was_passed_before() -> None:
    """Products in hand are answered too; masters are judged on, until one is passed."""
    one = bench(grace_min=30)
    give(one)
    one.ask(one.trigger("in hand"))
    held = one.loop._registrar.parts.last
    answer = give(one, bad=Outcome.PASS, id_="d")
    assert (answer.passed, answer.text) == (
        False,
        "challenge by M. Muster failed: bad-1 PASS, expected REJECT; 2 masters",
    )
    one.after(1)
    assert (state(one), one.publisher.statuses[-1].ready) == ("failed", False)
    assert Alarm.CHALLENGE_FAILED in one.publisher.statuses[-1].alarms
    in_hand = next(v for v in one.publisher.verdicts if v.part == held)
    assert (in_hand.outcome, in_hand.reason) == CLOSED
    assert product(one) == CLOSED
    assert give(one, id_="e").passed
    one.after(1)
    assert (state(one), product(one)) == ("passed", PASSED)


def test_a_master_that_is_unknown_is_judged_wrongly() -> None:
    """It proves nothing, though the line would have sorted it out."""
    answer = give(bench(), bad=Outcome.UNKNOWN)
    assert not answer.passed
    assert "bad-1 UNKNOWN(engine), expected REJECT" in answer.text


def test_each_shift_makes_one_due_and_a_shift_that_was_left_out_gives_no_new_grace() -> None:
    """From the first shift after the last one on: who was closed at noon is closed at the next shift too."""
    one = bench(grace_min=30)
    give(one)
    one.after(4 * 60 * MINUTE_MS + 1000)
    assert (state(one), product(one)) == ("due", PASSED)
    one.after(31 * MINUTE_MS)
    assert state(one) == "overdue"
    one.after(8 * 60 * MINUTE_MS)
    assert (state(one), product(one)) == ("overdue", CLOSED)


def test_hours_instead_of_shifts() -> None:
    """So long after the last one was passed."""
    one = bench(grace_min=30, every_h=1.5)
    give(one)
    one.after(89 * MINUTE_MS)
    assert state(one) == "passed"
    one.after(2 * MINUTE_MS)
    assert state(one) == "due"


def test_another_recipe_or_bundle_makes_one_due() -> None:
    """With the grace, once; when the old values are back, what was passed with them holds again."""
    one = bench(grace_min=30)
    give(one)
    one.after(1)
    mark = one.changes.mark
    assert mark is not None
    one.changes.mark = type(mark)(name="other", hash="o" * 64, author="a", since_utc_us=1)
    one.after(300)
    one.after(1000)
    mark_of = one.publisher.statuses[-1].challenge
    assert mark_of is not None
    assert (mark_of.state, "recipe or bundle are others" in mark_of.why) == ("due", True)
    one.changes.mark = mark
    one.after(1300)
    assert state(one) == "passed"


def test_it_outlives_a_restart(tmp_path: Path) -> None:
    """Passed, failed, and since when it is due: a restart is no new grace."""
    one = bench(tmp_path, grace_min=30)
    one.after(20 * MINUTE_MS)
    one = bench(tmp_path, one.clock, grace_min=30)
    one.after(11 * MINUTE_MS)
    assert state(one) == "overdue"
    give(one)
    one = bench(tmp_path, one.clock, grace_min=30)
    assert (state(one), product(one)) == ("passed", PASSED)
    give(one, good=Outcome.REJECT, id_="d")
    one = bench(tmp_path, one.clock, grace_min=30)
    assert (state(one), product(one)) == ("failed", CLOSED)


def test_a_clock_that_was_set_back_is_not_believed(tmp_path: Path) -> None:
    """What was passed in the future was passed at no time that is known: the line is closed without grace."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    one.clock.utc_ahead_us -= 3600 * 1_000_000
    one.after(1300)
    assert (state(one), product(one)) == ("overdue", CLOSED)


def test_a_part_counts_once_and_only_if_the_station_saw_it() -> None:
    """The parts of a challenge that was given prove nothing a second time, and no client can invent one."""
    one = bench()
    parts = (show(one, "good-1", Outcome.PASS), show(one, "bad-1", Outcome.REJECT))
    assert isinstance(one.ask(Challenge(version=1, id="c", by="x", parts=parts))[0], Challenged)
    [again] = one.ask(Challenge(version=1, id="d", by="x", parts=parts))
    assert isinstance(again, Refused)
    assert "a challenge has named it already" in again.text
    product(one)
    invented = (Shown(name="good-1", part=3), Shown(name="bad-1", part=2))
    assert isinstance(one.ask(Challenge(version=1, id="e", by="x", parts=invented))[0], Refused)


def test_tries_that_came_to_nothing_are_counted() -> None:
    """Who shows the bad one until it is rejected is told of."""
    one = bench()
    for _ in range(3):
        show(one, "bad-1", Outcome.PASS)
    assert give(one).text == "challenge by M. Muster passed; 2 masters, 3 parts beside them"


def test_a_pause_and_a_failed_self_test_close_the_line_to_masters_too() -> None:
    """Neither has to do with products alone."""
    one = bench()
    one.ask(Pause(version=1, id="p", role="fitter", reason="belt", minutes=1))
    show(one, "good-1", Outcome.PASS)
    said = one.publisher.verdicts[-1]
    assert (said.mode, said.reason) == (Mode.PAUSED, Reason.PAUSED)
    one.ask(Pause(version=1, id="q", role="fitter", reason="belt", minutes=0))
    one.ask(Selftest(version=1, id="s"))
    one.changes.selftest_failed = "blind"
    one.loop._inspection.advance()
    show(one, "good-1", Outcome.PASS)
    assert one.publisher.verdicts[-1].reason is Reason.SELFTEST


def test_parts_of_a_study_are_judged_on_a_closed_line() -> None:
    """They are no products, and who looks for the cause needs them."""
    one = bench(grace_min=0)
    one.ask(one.trigger("g", mode=Mode.GAUGE))
    assert [o.cameras for o in one.supervisor.orders if type(o).__name__ == "Fire"] == [("cam1",)]
    one.hear(one.captured(1, part=1))
    assert [o.part for o in one.supervisor.orders if isinstance(o, Inspect)] == [1]


@pytest.mark.parametrize("grace_min", [0, 30])
def test_a_start_is_done_when_the_station_is_able_to_inspect(grace_min: int) -> None:
    """A service manager that waits for ready would give up a station that waits for people."""
    one = bench(grace_min=grace_min)
    assert one.notifier.states.count("READY=1") == 1
    assert one.publisher.statuses[-1].ready is (grace_min > 0)
