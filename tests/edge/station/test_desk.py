"""The desk, played on the loop: each request is done or refused in one line, and answered when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.inspector.link import Fire
from edge.records import AuditEvent, Mode, Outcome, Reason
from edge.requests import (
    Ack,
    AnyAnswer,
    AnyRequest,
    AskStatus,
    Attach,
    Detach,
    Done,
    Ledger,
    LedgerAnswer,
    Pause,
    Refusal,
    Refused,
    Reload,
    Replay,
    Selftest,
    StatusAnswer,
    Triggered,
    UseRecipe,
)
from edge.station.entries import Page, Position, TriggerEntry
from tests.support.journal import opened
from tests.support.station import Bench, MemoryJournal

MIXED = (
    {"name": "cam1", "trigger": "software"},
    {"name": "cam2", "trigger": "free-run"},
    {"name": "cam3", "trigger": "software"},
)


def fired(**settings: Any) -> Bench:
    bench = Bench(**{"trigger": "software", **settings})
    bench.get_ready()
    return bench


def answered(bench: Bench, request: AnyRequest) -> Any:
    """Ask; return the one answer that is given at once."""
    [answer] = bench.ask(request)
    assert answer.version == 1
    return answer


def refused(bench: Bench, request: AnyRequest) -> tuple[Refusal, str]:
    answer = answered(bench, request)
    assert isinstance(answer, Refused)
    assert "\n" not in answer.text
    return answer.code, answer.text


# ---- triggers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cameras", "code", "told"),
    [
        (("cam9",), Refusal.UNKNOWN_CAMERA, "camera 'cam9': expected one of cam1, cam2, cam3"),
        (("cam1", "cam9"), Refusal.UNKNOWN_CAMERA, "camera 'cam9'"),
        (("cam1", "cam2"), Refusal.NOT_TRIGGERED, "camera 'cam2': its trigger is not software"),
    ],
)
def test_a_trigger_of_the_wrong_camera_is_refused(cameras: tuple[str, ...], code: Refusal, told: str) -> None:
    """It is no part, fires nothing, and is counted as refused; the next one is part 1."""
    bench = fired(cameras=MIXED)
    refusal = refused(bench, bench.trigger("a", cameras=cameras))
    assert refusal[0] is code
    assert told in refusal[1]
    assert not [o for o in bench.supervisor.orders if isinstance(o, Fire)]
    assert bench.journal.ledger.counts()[_key(bench, "refused")] == 1
    assert answered(bench, bench.trigger("b")).part == 1
    assert [o.cameras for o in bench.supervisor.orders if isinstance(o, Fire)] == [("cam1", "cam3")]


def _key(bench: Bench, line: str) -> tuple[str, Mode, str]:
    [shift] = {shift for shift, _, _ in bench.journal.ledger.counts()}
    return shift, Mode.PRODUCTION, line


def test_a_trigger_of_a_station_without_such_cameras_is_refused() -> None:
    """The setting is told."""
    bench = Bench()
    bench.get_ready()
    code, text = refused(bench, bench.trigger("a"))
    assert (code, text) == (Refusal.NOT_TRIGGERED, "no camera of the station has trigger = software")


@pytest.mark.parametrize("mode", [Mode.PAUSED, Mode.SELFTEST])
def test_a_mode_that_is_the_stations_to_give_is_no_request(mode: Mode) -> None:
    """It cannot be made, and one from outside is malformed."""
    bench = fired()
    with pytest.raises(ValueError, match=rf"mode = {mode.value}: expected one of production, challenge"):
        bench.trigger("a", mode=mode)


def test_a_part_id_counts_once() -> None:
    """Under another request id it is refused, with the part that has it; without one, parts are as many as they are."""
    bench = fired()
    assert answered(bench, bench.trigger("a", part_id="P1")).part == 1
    code, text = refused(bench, bench.trigger("b", part_id="P1"))
    assert code is Refusal.PART_ID_USED
    assert "part_id = P1: it was part 1" in text
    assert [answered(bench, bench.trigger(id_)).part for id_ in "cd"] == [2, 3]


def test_a_part_id_of_an_earlier_run_is_known_and_its_request_answered() -> None:
    """The sender that repeats its request over the restart gets the answer it has missed; the part counts once."""
    journal = MemoryJournal()
    journal.part = 7
    entry = TriggerEntry(
        part=7, request="a", part_id="P1", tag=None, counter=None, mode=Mode.PRODUCTION, source="software",
        trigger_us=5, deadline_us=6, utc_us=3, shift="2026-11-22T06:00",
    )  # fmt: skip
    journal.remembered = (("a", entry),)
    bench = fired(journal=journal)
    remembered = bench.control.remembered["a"]
    assert isinstance(remembered, Triggered)
    assert (remembered.part, remembered.trigger_us, remembered.journaled) == (7, 5, True)
    assert refused(bench, bench.trigger("b", part_id="P1"))[0] is Refusal.PART_ID_USED


def test_a_trigger_inside_the_debounce_time_is_refused() -> None:
    """It is the same part; counted beside the ledger; a refused one does not prolong the time."""
    bench = fired(parts={"debounce_ms": 5})
    answered(bench, bench.trigger("a"))
    for ms, id_ in ((3, "b"), (1, "c")):
        bench.after(ms)
        assert refused(bench, bench.trigger(id_)) == (
            Refusal.BOUNCED,
            "less than debounce_ms = 5 after the last trigger; it is the same part",
        )
    bench.after(1)
    assert answered(bench, bench.trigger("d")).part == 2
    assert bench.journal.ledger.rows(0)[0].bounced == 2


def test_a_trigger_while_the_station_stops_is_refused() -> None:
    """It may be repeated later."""
    bench = fired()
    bench.loop.stop_requested = True
    bench.loop.cycle()
    assert refused(bench, bench.trigger("a"))[0] is Refusal.STOPPING


def test_a_trigger_is_answered_when_it_is_kept() -> None:
    """Not before: what is answered is never lost."""
    bench = fired()
    journal = _held(bench)
    assert bench.ask(bench.trigger("a")) == []
    assert isinstance(bench.supervisor.orders[-1], Fire), "the camera does not wait for the disk"
    journal.held = False
    bench.after(3)
    [answer] = bench.control.answers
    assert isinstance(answer, Triggered)
    assert (answer.journaled, answer.trigger_us) == (True, bench.clock.now_us() - 3_000)


def test_a_trigger_that_cannot_be_kept_is_answered_at_its_deadline() -> None:
    """And says so; the verdict too."""
    bench = fired()
    _held(bench)
    assert bench.ask(bench.trigger("a")) == []
    bench.after(99.999)
    assert bench.control.answers == []
    bench.after(0.001)
    [answer] = bench.control.answers
    assert isinstance(answer, Triggered)
    assert not answer.journaled
    [verdict] = bench.publisher.verdicts
    assert (verdict.reason, verdict.journaled) == (Reason.LATE, False)


def test_triggers_that_never_came_are_unseen() -> None:
    """The line's counter went on by three: two parts have no verdict, the ledger and the audit say so."""
    bench = fired()
    for id_, counter in (("a", 2**32 - 1), ("b", 2)):
        answered(bench, bench.trigger(id_, counter=counter))
    [audit] = bench.publisher.audits
    assert audit.event is AuditEvent.UNSEEN
    assert "counter is at 2: 2 triggers before it never came" in audit.detail
    ledger = answered(bench, Ledger(version=1, id="l", shifts=0))
    assert isinstance(ledger, LedgerAnswer)
    assert [(row.triggers, row.unseen) for row in ledger.rows] == [(2, 2)]
    [line] = ledger.independent
    assert (line.source, line.counted, line.triggered, line.state) == ("counter", 4, 2, "unbalanced")


def test_a_counter_that_was_set_is_told_once() -> None:
    """How many are missing is not known, and the count is unverified from then on."""
    bench = fired()
    for id_, counter in (("a", 5), ("b", 2**31), ("c", 7)):
        answered(bench, bench.trigger(id_, counter=counter))
    assert [a.event for a in bench.publisher.audits] == [AuditEvent.NUMBERS_JUMPED]
    assert answered(bench, Ledger(version=1, id="l", shifts=0)).independent[0].state == "unverified"


def test_a_refused_trigger_does_not_count_the_counter() -> None:
    """It is no part of ours, so it stays missing: the count shows it."""
    bench = fired()
    for id_, counter, part_id in (("a", 1, "P1"), ("b", 2, "P1"), ("c", 3, "P2")):
        bench.ask(bench.trigger(id_, counter=counter, part_id=part_id))
    assert answered(bench, Ledger(version=1, id="l", shifts=0)).independent[0].state == "unbalanced"


def test_a_flood_of_requests_does_not_keep_the_loop() -> None:
    """Some in each cycle; the rest waits its turn, and a part that is due is answered meanwhile."""
    bench = fired()
    answered(bench, bench.trigger("a"))
    bench.clock.us += 100_000
    first = bench.ask(*(AskStatus(version=1, id=str(i)) for i in range(100)))
    assert 0 < len(first) < 100
    assert [v.reason for v in bench.publisher.verdicts] == [Reason.LATE]
    while bench.control.waiting:
        bench.loop.cycle()
    assert len(bench.control.answers) == 101


# ---- people ---------------------------------------------------------------------------------------------------------


def pause(minutes: float, id_: str = "p") -> Pause:
    return Pause(version=1, id=id_, role="fitter", reason="new belt", minutes=minutes)


def test_a_pause_is_its_own_state_and_its_own_count() -> None:
    """Parts are UNKNOWN(paused) in mode paused, whoever triggers them; production is not touched by them."""
    bench = Bench(cameras=MIXED)
    bench.get_ready()
    answer = answered(bench, pause(1))
    assert isinstance(answer, Done)
    status = bench.publisher.statuses[-1]
    assert (status.state, status.ready) == ("paused", False)
    assert status.paused is not None
    assert status.paused.role == "fitter"
    bench.hear(bench.captured(1, camera="cam2"))
    assert isinstance(answered(bench, bench.trigger("a", mode=Mode.CHALLENGE)), Triggered)
    assert [(v.mode, v.outcome, v.reason) for v in bench.publisher.verdicts] == [
        (Mode.PAUSED, Outcome.UNKNOWN, Reason.PAUSED)
    ] * 2
    assert "paused by fitter: new belt" in bench.publisher.verdicts[0].detail
    rows = answered(bench, Ledger(version=1, id="l", shifts=0)).rows
    assert [(row.mode, row.triggers, row.unknown) for row in rows] == [(Mode.PAUSED, 2, {"paused": 2})]


def test_a_pause_ends_in_time_or_by_request() -> None:
    """Then parts are inspected again; the loop wakes for it."""
    bench = Bench(hang_s=3600)
    bench.get_ready()
    bench.ask(pause(0.005))
    bench.after(299)
    assert bench.dues[-1] <= bench.clock.now_us() + 1_000
    assert bench.publisher.statuses[-1].state == "paused"
    bench.after(1)
    assert bench.publisher.statuses[-1].ready
    bench.ask(pause(60))
    assert not bench.publisher.statuses[-1].ready
    bench.ask(pause(0, "q"))
    status = bench.publisher.statuses[-1]
    assert (status.state, status.ready, status.paused) == ("ready", True, None)
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1))
    assert bench.publisher.verdicts[0].mode is Mode.PRODUCTION


def test_a_part_that_was_triggered_before_a_pause_is_inspected() -> None:
    """It is a product, and it counts as one."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.ask(pause(1))
    bench.hear(bench.result(1))
    [verdict] = bench.publisher.verdicts
    assert (verdict.mode, verdict.outcome) == (Mode.PRODUCTION, Outcome.PASS)


@pytest.mark.parametrize(
    "request_",
    [
        UseRecipe(version=1, id="a", name="x"),
        Reload(version=1, id="a", bundle=None),
        Selftest(version=1, id="a"),
    ],
)
def test_nothing_is_changed_while_the_station_stops(request_: AnyRequest) -> None:
    """And nothing is tried."""
    bench = fired()
    bench.loop.stop_requested = True
    bench.loop.cycle()
    assert refused(bench, request_)[0] is Refusal.STOPPING
    assert bench.trials.tasks == []


def test_the_status_is_given_at_once() -> None:
    """As the heartbeat has it."""
    bench = fired()
    answer = answered(bench, AskStatus(version=1, id="s"))
    assert isinstance(answer, StatusAnswer)
    assert (answer.status.state, answer.status.station, answer.status.epoch) == ("ready", "line1", 77)
    assert answer.status.sent_us == bench.clock.now_us()


def test_the_ledger_has_a_second_count_for_each_camera() -> None:
    """One that has not counted is unverified, never balanced; without fired cameras there is no counter."""
    bench = Bench(cameras=("cam1", "cam2"))
    bench.get_ready()
    bench.hear(bench.captured(1))
    lines = answered(bench, Ledger(version=1, id="l", shifts=1)).independent
    assert [(line.source, line.state) for line in lines] == [("cam1", "balanced"), ("cam2", "unverified")]


# ---- without a journal ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        Replay(version=1, id="a", epoch=0, seq=0, limit=10),
        Attach(version=1, id="a", consumer="plc", session="s", origin="now", take_over=False),
        Ack(version=1, id="a", consumer="plc", session="s", epoch=77, seq=0),
        Detach(version=1, id="a", consumer="plc", session="s", forget=True),
    ],
)
def test_consumers_need_a_journal(request_: AnyRequest) -> None:
    """Without one there is nothing to replay and no cursor to keep: refused, not promised."""
    bench = fired()
    answer = answered(bench, request_)
    assert isinstance(answer, Refused)
    assert answer.code in (Refusal.NOT_JOURNALED, Refusal.NOT_ATTACHED)


def _held(bench: Bench) -> MemoryJournal:
    """Hold everything back from the disk from now on."""
    assert isinstance(bench.journal, MemoryJournal)
    assert bench.journal.durable == bench.journal._tickets
    bench.journal.held = True
    return bench.journal


def _replay_of(page: Page | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnyAnswer:
    """Ask a station for a replay; None = its journal takes no further one."""
    journal = opened(tmp_path)
    asked: list[object] = []
    monkeypatch.setattr(journal, "ask", lambda key, after, limit: page is not None and not asked.append(key))
    monkeypatch.setattr(journal, "answered", lambda: [(asked.pop(), page)] if asked else [])
    bench = Bench(journal=journal)
    request = Replay(version=1, id="a", epoch=0, seq=0, limit=10)
    answers = bench.ask(request) or bench.ask()
    journal.close(clean=False)
    return answers[0]


def test_more_replays_than_can_wait_are_refused_for_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks repeats it later."""
    answer = _replay_of(None, tmp_path, monkeypatch)
    assert isinstance(answer, Refused)
    assert answer.code is Refusal.BUSY


def test_a_page_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is no empty page: the asker would believe that there is nothing."""
    page = Page(last=Position(5, 0), end=False, fault="row 7 is no verdict")
    answer = _replay_of(page, tmp_path, monkeypatch)
    assert isinstance(answer, Refused)
    assert (answer.code, "row 7 is no verdict" in answer.text) == (Refusal.NOT_JOURNALED, True)
