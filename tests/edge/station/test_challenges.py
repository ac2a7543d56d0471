"""Challenges: when one is due, what follows, and that nothing of it is forgotten or forgiven."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from edge.inspector.link import Inspect
from edge.records import Alarm, ChallengeState, Mode, Outcome, Reason, RecipeMark
from edge.requests import AnyAnswer, Challenge, Challenged, Expect, Pause, Refusal, Refused, Selftest, Shown, Triggered
from edge.station import challenges
from edge.station import scribe as scribes
from edge.station.challenges import Challenges
from edge.station.kept import KeptFile
from edge.station.nojournal import Records
from edge.station.scribe import Scribe
from tests.support.station import Bench, FakeClock

MASTERS = [{"name": "good-1", "expect": "PASS"}, {"name": "bad-1", "expect": "REJECT"}]
MINUTE_MS = 60_000


def bench(
    folder: Path | None = None,
    clock: FakeClock | None = None,
    cameras: Sequence[str | dict[str, str]] = ("cam1",),
    scribe: Scribe | None = None,
    journal: Records | None = None,
    **challenge: Any,
) -> Bench:
    """Return a station that asks for challenges, ready but for them; without *clock* it is ten in the morning."""
    if clock is None:
        clock = FakeClock()
        clock.utc_ahead_us = round(datetime(2026, 11, 23, 10).timestamp() * 1e6) - clock.utc_us()
    settings = {"hang_s": 1e6, "trigger": "software", "challenge": {"parts": MASTERS, **challenge}}
    one = Bench(folder=folder, clock=clock, cameras=cameras, scribe=scribe, journal=journal, **settings)  # type: ignore[arg-type]
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


def test_without_one_that_was_passed_the_line_is_closed() -> None:
    """Nothing speaks for the station yet: no grace. Without a journal nothing is kept, so that each start begins so."""
    one = bench(grace_min=30)
    status = one.publisher.statuses[-1]
    assert (status.state, status.ready, state(one)) == ("degraded", False, "overdue")
    assert Alarm.CHALLENGE_OVERDUE in status.alarms
    assert "a challenge is overdue (none was ever passed here): edge-inspectd challenge" in status.detail
    assert product(one) == CLOSED
    give(one)
    assert not give(one, bad=Outcome.PASS, id_="d").passed
    one = bench(None, one.clock, grace_min=30)
    assert (state(one), product(one)) == ("overdue", CLOSED)


def test_one_that_is_due_closes_the_line_after_the_grace() -> None:
    """Products are inspected while it is due; then they are UNKNOWN(selftest) and the station is not ready."""
    one = bench(grace_min=30, every_h=1)
    give(one)
    one.after(61 * MINUTE_MS)
    assert (state(one), product(one), one.publisher.statuses[-1].ready) == ("due", PASSED, True)
    one.after(30 * MINUTE_MS)
    assert (state(one), product(one), one.publisher.statuses[-1].ready) == ("overdue", CLOSED, False)
    assert one.publisher.audits[-1].event.value == "challenge_overdue"


def test_one_that_is_passed_opens_the_line() -> None:
    """Masters are judged while products are not; the answer, the audit and the heartbeat say who and when."""
    one = bench(grace_min=30)
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


def use(one: Bench, mark: RecipeMark) -> None:
    """Make another recipe active."""
    one.changes.mark = mark
    one.loop._inspection.advance()
    one.after(300)
    one.after(1000)


OTHER = RecipeMark(name="other", hash="o" * 64, author="a", since_utc_us=1)


def test_another_recipe_or_bundle_makes_one_due() -> None:
    """With the grace, once; when the old values are back, what was passed with them holds again."""
    one = bench(grace_min=30)
    give(one)
    one.after(1)
    mark = one.changes.mark
    assert mark is not None
    use(one, OTHER)
    mark_of = one.publisher.statuses[-1].challenge
    assert mark_of is not None
    assert (mark_of.state, "recipe or bundle are others" in mark_of.why) == ("due", True)
    use(one, mark)
    assert state(one) == "passed"


def test_changing_recipes_to_and_fro_gives_no_new_grace() -> None:
    """What was used once has begun its grace for good; only a challenge that is passed with it gives another."""
    one = bench(grace_min=30, every_h=100)
    give(one)
    one.after(1)
    mark = one.changes.mark
    assert mark is not None
    use(one, OTHER)
    one.after(29 * MINUTE_MS)
    assert state(one) == "due"
    use(one, mark)
    assert (state(one), product(one)) == ("passed", PASSED)
    one.after(2 * MINUTE_MS)
    use(one, OTHER)
    assert (state(one), product(one)) == ("overdue", CLOSED)
    use(one, mark)
    assert (state(one), product(one)) == ("overdue", CLOSED), "what closed the line is mended by a challenge alone"
    give(one, id_="d")
    one.after(1)
    assert (state(one), product(one)) == ("passed", PASSED)


def test_it_outlives_a_restart(tmp_path: Path) -> None:
    """Passed, failed, overdue, and since when it is due: a restart is no new grace."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    one = bench(tmp_path, one.clock, grace_min=30)
    assert (state(one), product(one)) == ("passed", PASSED)
    one.after(4 * 60 * MINUTE_MS + 20 * MINUTE_MS)
    one = bench(tmp_path, one.clock, grace_min=30)
    assert state(one) == "due"
    one.after(11 * MINUTE_MS)
    assert state(one) == "overdue"
    one.clock.utc_ahead_us -= 40 * 60 * 1_000_000
    one = bench(tmp_path, one.clock, grace_min=30)
    assert (state(one), product(one)) == ("overdue", CLOSED)
    give(one, id_="d")
    give(one, good=Outcome.REJECT, id_="e")
    one = bench(tmp_path, one.clock, grace_min=30)
    assert (state(one), product(one)) == ("failed", CLOSED)


def test_what_is_overdue_stays_so_when_the_clock_is_set_back(tmp_path: Path) -> None:
    """From 14:31 to 13:51, before the shift that has made it due: only a challenge that is passed opens the line."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    one.after(4 * 60 * MINUTE_MS + 31 * MINUTE_MS)
    assert state(one) == "overdue"
    one.clock.utc_ahead_us -= 40 * 60 * 1_000_000
    one.after(1300)
    assert (state(one), product(one)) == ("overdue", CLOSED)
    one.after(60 * MINUTE_MS)
    assert (state(one), product(one)) == ("overdue", CLOSED)
    give(one, id_="d")
    one.after(1)
    assert (state(one), product(one)) == ("passed", PASSED)


def test_a_clock_that_was_set_back_is_not_believed(tmp_path: Path) -> None:
    """When the last one was passed is not known then: the line is closed without grace, also if that was at a start."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    one.clock.utc_ahead_us -= 3600 * 1_000_000
    one.after(1300)
    assert (state(one), product(one)) == ("overdue", CLOSED)
    give(one, id_="d")
    one.clock.utc_ahead_us -= 3600 * 1_000_000
    one = bench(tmp_path, one.clock, grace_min=30)
    assert (state(one), product(one)) == ("overdue", CLOSED)


@pytest.mark.parametrize(("right_after_s", "expected"), [(60, "passed"), (121, "overdue")])
def test_a_clock_that_is_put_right_after_a_start_closes_nothing_for_good(
    tmp_path: Path, right_after_s: int, expected: ChallengeState
) -> None:
    """A machine without a battery for its clock boots forty minutes behind: closed until the network has the time."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    one.after(10 * MINUTE_MS)
    product(one)
    one.clock.utc_ahead_us -= 40 * 60 * 1_000_000
    one = bench(tmp_path, one.clock, grace_min=30)
    for _ in range(right_after_s):
        one.after(1000)
        assert state(one) == "overdue"
    assert product(one) == CLOSED
    one.clock.utc_ahead_us += 40 * 60 * 1_000_000
    one.after(1300)
    assert state(one) == expected
    one.clock.utc_ahead_us -= 40 * 60 * 1_000_000
    one.after(1300)
    one.clock.utc_ahead_us += 40 * 60 * 1_000_000
    one.after(1300)
    assert state(one) == "overdue", "within a run it is for good"


def test_other_masters_or_cameras_make_one_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was passed was of other parts, or seen with another exposure; recipe and bundle need not tell."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    clock = one.clock
    with monkeypatch.context() as patched:
        patched.setattr(f"{__name__}.MASTERS", [*MASTERS, {"name": "bad-2", "expect": "REJECT"}])
        one = bench(tmp_path, clock, grace_min=30)
        one.after(1300)
        mark = one.publisher.statuses[-1].challenge
        assert mark is not None
        assert (mark.state, "masters or cameras are others" in mark.why) == ("due", True)
    one = bench(tmp_path, clock, grace_min=30)
    one.after(1300)
    assert state(one) == "passed"


def full(path: Path, data: bytes) -> None:
    raise OSError(28, "No space left on device")


def test_one_that_failed_on_a_full_disk_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written as soon as that can be, with an alarm until then; a restart before that finds nothing passed."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    with monkeypatch.context() as patched:
        patched.setattr("edge.station.kept._replace", full)
        answer = give(one, bad=Outcome.PASS, id_="d")
        assert "challenge.json: cannot be written" in answer.text
        one.after(1)
        assert Alarm.CHALLENGE_NOT_KEPT in one.publisher.statuses[-1].alarms
        assert not (tmp_path / "challenge.json").exists(), "what it said is no longer so"
    again = bench(tmp_path, one.clock, grace_min=30)
    assert (state(again), product(again)) == ("overdue", CLOSED)
    one.after(1300)
    assert (state(one), Alarm.CHALLENGE_NOT_KEPT in one.publisher.statuses[-1].alarms) == ("failed", False)
    again = bench(tmp_path, one.clock, grace_min=30)
    assert (state(again), product(again)) == ("failed", CLOSED)


def read_only(*_: object, **__: object) -> None:
    raise OSError(30, "Read-only file system")


def test_one_that_failed_on_a_disk_that_became_read_only_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the first master it is on the disk that there is one; a start that knows no more believes nothing."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    first = show(one, "good-1", Outcome.PASS)
    assert product(one) == PASSED
    with monkeypatch.context() as patched:
        patched.setattr("edge.station.kept._replace", read_only)
        patched.setattr(Path, "unlink", read_only)
        shown = (first, show(one, "bad-1", Outcome.PASS))
        [answer] = one.ask(Challenge(version=1, id="d", by="M. Muster", parts=shown))
        assert isinstance(answer, Challenged)
        assert not answer.passed
    one = bench(tmp_path, one.clock, grace_min=30)
    assert (state(one), product(one)) == ("overdue", CLOSED)
    assert "masters were shown before the last start" in one.publisher.statuses[-1].detail
    assert give(one, id_="e").passed
    one = bench(tmp_path, one.clock, grace_min=30)
    assert (state(one), product(one)) == ("passed", PASSED)


def test_none_is_judged_on_a_disk_that_can_neither_keep_nor_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart would believe the one before; the line is closed until the disk is mended and one is passed."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    with monkeypatch.context() as patched:
        patched.setattr("edge.station.kept._replace", read_only)
        patched.setattr(Path, "unlink", read_only)
        shown = (show(one, "good-1", Outcome.PASS), show(one, "bad-1", Outcome.PASS))
        [answer] = one.ask(Challenge(version=1, id="d", by="M. Muster", parts=shown))
        assert isinstance(answer, Refused)
        assert (answer.code, "mend the disk" in answer.text) == (Refusal.CHALLENGE, True)
        one.after(300)
        assert (state(one), product(one)) == ("overdue", CLOSED)
        assert Alarm.CHALLENGE_NOT_KEPT in one.publisher.statuses[-1].alarms
    one.after(1300)
    assert (state(one), state(bench(tmp_path, one.clock, grace_min=30))) == ("overdue", "overdue")
    assert give(one, id_="e").passed
    one.after(300)
    assert (state(one), product(one)) == ("passed", PASSED)


def test_a_start_on_a_disk_that_takes_nothing_believes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies there may be older than what was found: the line is closed until a challenge is passed."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    with monkeypatch.context() as patched:
        patched.setattr("edge.station.kept._replace", full)
        again = bench(tmp_path, one.clock, grace_min=30)
        assert (state(again), product(again)) == ("overdue", CLOSED)
        assert give(again, id_="d").passed
        again.after(1)
        assert (state(again), product(again)) == ("passed", PASSED)
        assert Alarm.CHALLENGE_NOT_KEPT in again.publisher.statuses[-1].alarms


@pytest.mark.parametrize("content", [b"{", b'{"given":[{"utc_us":1}]}'])
def test_a_file_that_cannot_be_read_closes_the_line_and_no_more(tmp_path: Path, content: bytes) -> None:
    """The station starts and says so; the file is kept under another name; a challenge that is passed mends it."""
    path = tmp_path / "challenge.json"
    path.write_bytes(content)
    one = bench(tmp_path, grace_min=30)
    assert (state(one), product(one)) == ("overdue", CLOSED)
    assert "what was passed cannot be read" in one.publisher.statuses[-1].detail
    [audit] = one.publisher.audits
    assert (audit.event.value, "it is kept as" in audit.detail) == ("challenge_overdue", True)
    assert [kept.read_bytes() for kept in tmp_path.glob("challenge.json.unreadable-*")] == [content]
    give(one)
    one = bench(tmp_path, one.clock, grace_min=30)
    assert (state(one), product(one)) == ("passed", PASSED)


def test_what_a_newer_release_has_written_is_read(tmp_path: Path) -> None:
    """A reason that this one does not know is a word like any other."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    path = tmp_path / "challenge.json"
    path.write_text(path.read_text().replace('"reason":null', '"reason":"dust"', 1).replace("{", '{"new":1,', 1))
    one = bench(tmp_path, one.clock, grace_min=30)
    assert (state(one), product(one)) == ("passed", PASSED)


def test_the_ledger_knows_a_later_time_than_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """The last thing that was written was the challenge; parts of two shifts came after it."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    reporter = one.loop._reporter
    again = Challenges(one.station, tmp_path, one.clock, reporter, lambda: ("2026-11-23T22:00",))
    assert again.state == "overdue"
    assert Challenges(one.station, tmp_path, one.clock, reporter).state == "overdue", "for good"


def test_a_part_that_was_counted_under_a_clock_that_was_ahead_closes_no_later_start(tmp_path: Path) -> None:
    """The ledger knows a shift of 2031 for ever; a challenge that is passed with the right clock ends that."""
    one = bench(tmp_path, grace_min=30)
    give(one)
    years_us = 5 * 365 * 86_400_000_000
    one.clock.utc_ahead_us += years_us
    product(one)
    one.after(1300)
    one.clock.utc_ahead_us -= years_us
    one.after(1300)
    assert (state(one), max(one.journal.ledger.shifts)[:4]) == ("overdue", "2031")
    give(one, id_="d")
    for _ in range(2):
        one = bench(tmp_path, one.clock, journal=one.journal, grace_min=30)
        assert (state(one), product(one)) == ("passed", PASSED)
    one.journal.ledger.add("2031-12-01T06:00", Mode.PRODUCTION, "refused")
    one = bench(tmp_path, one.clock, journal=one.journal, grace_min=30)
    assert state(one) == "overdue", "of a shift that came after it nothing was known then"


def test_a_part_counts_once_and_only_if_the_station_saw_it() -> None:
    """The parts of a challenge that was given prove nothing a second time, and no client can invent one."""
    one = bench()
    parts = (show(one, "good-1", Outcome.PASS), show(one, "bad-1", Outcome.REJECT))
    assert isinstance(one.ask(Challenge(version=1, id="c", by="x", parts=parts))[0], Challenged)
    [again] = one.ask(Challenge(version=1, id="d", by="x", parts=parts))
    assert isinstance(again, Refused)
    assert "no such part of mode challenge was judged since the last challenge" in again.text
    product(one)
    invented = (Shown(name="good-1", part=3), Shown(name="bad-1", part=2))
    assert isinstance(one.ask(Challenge(version=1, id="e", by="x", parts=invented))[0], Refused)


def test_tries_that_came_to_nothing_are_counted(tmp_path: Path) -> None:
    """Who shows the bad one until it is rejected is told of: at once, and with the challenge, over a restart too."""
    one = bench(tmp_path)
    for _ in range(2):
        show(one, "bad-1", Outcome.PASS)
    show(one, "good-1", Outcome.PASS)
    show(one, "unmarked", Outcome.PASS)
    told = [(a.event.value, a.part, a.detail) for a in one.publisher.audits]
    assert told == [("master_wrong", part, "bad-1 PASS, expected REJECT") for part in (1, 2)]
    one.after(300)
    one = bench(tmp_path, one.clock)
    assert give(one).text == "challenge by M. Muster passed; 2 masters, 4 parts beside them"


def ask(one: Bench, parts: tuple[Shown, ...], id_: str = "z") -> AnyAnswer:
    [answer] = one.ask(Challenge(version=1, id=id_, by="M. Muster", parts=parts))
    return answer


def test_masters_shown_before_one_that_failed_do_not_mend_it() -> None:
    """They were judged before the lamp went out; a part in hand then is no better. They count as tries."""
    one = bench(grace_min=30)
    before = (show(one, "good-1", Outcome.PASS), show(one, "bad-1", Outcome.REJECT))
    one.ask(one.trigger("late", part_id="good-1@late", mode=Mode.CHALLENGE))
    in_hand = one.loop._registrar.parts.last
    one.after(1)
    assert give(one, bad=Outcome.PASS).text.endswith("; 2 masters, 2 parts beside them")
    one.after(1)
    assert isinstance(ask(one, before), Refused)
    one.hear(one.captured(90, part=in_hand))
    one.hear(one.result(in_hand))
    bad = show(one, "bad-1", Outcome.REJECT)
    assert isinstance(ask(one, (Shown(name="good-1", part=in_hand), bad), "y"), Refused)
    one.after(1)
    assert (state(one), product(one)) == ("failed", CLOSED)
    assert give(one, id_="x").text.endswith("passed; 2 masters, 2 parts beside them")


def test_masters_that_another_inspector_or_opening_has_seen_prove_nothing() -> None:
    """Of the engines, or the camera, that judge the products now."""
    one = bench(grace_min=0)
    parts = (show(one, "good-1", Outcome.PASS), show(one, "bad-1", Outcome.REJECT))
    one.supervisor.die(1)
    one.after(1)
    one.after(2000)
    one.get_ready()
    assert isinstance(ask(one, parts), Refused)
    parts = (show(one, "good-1", Outcome.PASS), show(one, "bad-1", Outcome.REJECT))
    one.after(1)
    one.hear(one.camera("cam1", "failed"), one.camera("cam1", "open"))
    answer = ask(one, parts, "y")
    assert isinstance(answer, Refused)
    assert "since inspector and cameras were opened" in answer.text
    assert give(one, id_="x").passed


def test_each_camera_must_see_each_master() -> None:
    """A station that fires one camera and is triggered by the other: its lamp may be out."""
    cameras = ({"name": "cam1", "trigger": "software"}, {"name": "cam2", "trigger": "free-run"})
    one = bench(cameras=cameras, grace_min=0)
    parts = (show(one, "good-1", Outcome.PASS), show(one, "bad-1", Outcome.REJECT))
    answer = ask(one, parts)
    assert isinstance(answer, Refused)
    assert "expected each master of the settings once before each of cam1, cam2" in answer.text
    shown = []
    for frame, (name, outcome) in enumerate((("good-1", Outcome.PASS), ("bad-1", Outcome.REJECT)), 1):
        one.ask(Expect(version=1, id=name, part_id=f"{name}@cam2", mode=Mode.CHALLENGE, camera="cam2", seconds=9))
        one.after(1)
        one.hear(one.captured(frame, camera="cam2"))
        shown.append(Shown(name=name, part=one.loop._registrar.parts.last))
        one.hear(one.result(shown[-1].part, outcome, camera="cam2"))
    answer = ask(one, (*parts, *shown), "y")
    assert isinstance(answer, Challenged)
    assert answer.passed


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


def test_a_start_is_done_when_the_station_is_able_to_inspect() -> None:
    """A service manager that waits for ready would give up a station that waits for people."""
    one = bench()
    assert one.notifier.states.count("READY=1") == 1
    assert not one.publisher.statuses[-1].ready


def test_a_disk_that_hangs_holds_up_no_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is handed over; a line that is closed waits for it, but not for ever, and is closed at once."""
    monkeypatch.setattr(challenges, "_CLOSED_S", 0.001)
    monkeypatch.setattr(scribes, "_LATE_S", 60.0)
    scribe, goes_on = Scribe(), threading.Event()
    one = bench(tmp_path, scribe=scribe)
    assert give(one).passed
    assert scribe.close()
    write = KeptFile.write
    monkeypatch.setattr(KeptFile, "write", lambda file, value: write(file, value) if goes_on.wait(30) else "")
    assert give(one, id_="d").passed
    assert product(one) == PASSED
    assert not give(one, bad=Outcome.PASS, id_="e").passed
    assert product(one) == CLOSED
    assert '"passed":false' not in (tmp_path / "challenge.json").read_text()
    goes_on.set()
    assert scribe.close()
    assert state(bench(tmp_path, one.clock)) == "failed"


def test_one_on_a_disk_that_hangs_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That masters were shown is not on the disk after a second: whether it ever will be is not known."""
    scribe, goes_on = Scribe(), threading.Event()
    one = bench(tmp_path, scribe=scribe)
    give(one)
    assert scribe.close()
    write = KeptFile.write
    monkeypatch.setattr(KeptFile, "write", lambda file, value: write(file, value) if goes_on.wait(30) else "")
    monkeypatch.setattr(scribes, "_LATE_S", 0.0)
    shown = (show(one, "good-1", Outcome.PASS), show(one, "bad-1", Outcome.PASS))
    [answer] = one.ask(Challenge(version=1, id="d", by="M. Muster", parts=shown))
    assert isinstance(answer, Refused)
    one.after(300)
    assert product(one) == CLOSED
    goes_on.set()
    monkeypatch.setattr(scribes, "_LATE_S", 60.0)
    assert scribe.close()
    assert give(one, id_="e").passed


def test_a_fault_that_comes_behind_is_told_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full only when the file is written: the alarm comes with the next look, and goes when it is kept."""
    monkeypatch.setattr(scribes, "_RETRY_S", 0.001)
    scribe = Scribe()
    one = bench(tmp_path, scribe=scribe)
    write = KeptFile.write
    monkeypatch.setattr(KeptFile, "write", lambda *_: "challenge.json: cannot be written")
    assert give(one).passed
    file = one.loop._challenges._file
    scribe.wait(file, 30)
    one.after(300)
    assert one.loop._challenges.unkept == "challenge.json: cannot be written"
    monkeypatch.setattr(KeptFile, "write", write)
    one.after(1100)
    with scribe._news:
        assert scribe._news.wait_for(lambda: file.durable, 30)
    one.after(300)
    assert one.loop._challenges.unkept == ""
