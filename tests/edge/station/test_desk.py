"""The desk, played on the loop: each request is done or refused in one line, and answered when it is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.records import Mode, Outcome, Reason
from edge.requests import (
    Ack,
    AnyAnswer,
    AnyRequest,
    AskStatus,
    Attach,
    Detach,
    Done,
    Ledger,
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
from edge.station.entries import Page, Position
from tests.support.journal import opened
from tests.support.parts import answered, fired, refused
from tests.support.station import Bench

MIXED = (
    {"name": "cam1", "trigger": "software"},
    {"name": "cam2", "trigger": "free-run"},
    {"name": "cam3", "trigger": "software"},
)


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


def test_a_station_that_starts_paused_has_started(tmp_path: Path) -> None:
    """A service manager is told, parts are seen and counted as paused; when the pause is over they are inspected."""
    one = Bench(folder=tmp_path)
    one.get_ready()
    one.ask(pause(1))
    two = Bench(folder=tmp_path, clock=one.clock, hang_s=3600)
    two.get_ready()
    assert two.notifier.states.count("READY=1") == 1
    assert (two.publisher.statuses[-1].state, two.publisher.statuses[-1].ready) == ("paused", False)
    two.hear(two.captured(1))
    assert [(v.mode, v.reason) for v in two.publisher.verdicts] == [(Mode.PAUSED, Reason.PAUSED)]
    two.after(61_000)
    assert two.publisher.statuses[-1].ready
    assert two.notifier.states.count("READY=1") == 1
