"""The station's loop, played as a story: one verdict for every part, in time, whatever the inspector does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.errors import BundleError, CameraError
from edge.inspector.link import Answered, Begin, Failed, Inspect
from edge.records import Alarm, Outcome, Reason
from edge.requests import Pause, Triggered
from edge.station.nojournal import NoJournal
from edge.station.publisher import Topics
from tests.support.station import Bench, MemoryJournal


def _answers(bench: Bench) -> list[tuple[int, Outcome, Reason | None]]:
    return [(v.part, v.outcome, v.reason) for v in bench.publisher.verdicts]


def test_a_result_becomes_one_verdict_with_its_mask() -> None:
    """A part that was inspected in time is published once, and its mask under the same position."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.after(10)
    bench.hear(bench.result(1, Outcome.REJECT))
    assert _answers(bench) == [(1, Outcome.REJECT, None)]
    verdict, (mask, payload) = bench.publisher.verdicts[0], bench.publisher.masks[0]
    assert (mask.epoch, mask.seq, mask.camera) == (verdict.epoch, verdict.seq, "cam1") == (77, 1, "cam1")
    reference = verdict.views[0].mask
    assert reference is not None
    assert reference.sha256 == mask.sha256
    assert payload == b"\x00\x04\x00\x00"
    assert verdict.published_us - verdict.trigger_us == 10_000
    assert verdict.bundle_hash == "b" * 64


def test_the_slot_is_freed_after_every_answer() -> None:
    """The inspector is told of the verdict, also where there was nothing to inspect."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1), bench.captured(2, fault=Reason.CAMERA))
    bench.hear(bench.result(1))
    answered = [(o.frames[0].frame_no, o.outcome) for o in bench.supervisor.orders if isinstance(o, Answered)]
    assert answered == [(2, Outcome.UNKNOWN), (1, Outcome.PASS)]


def test_the_deadline_answers_late_and_the_result_goes_to_audit() -> None:
    """At the deadline the part is UNKNOWN(late), whatever the inspector does; what comes after is no verdict."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.after(99)
    assert not bench.publisher.verdicts
    bench.after(1)
    bench.hear(bench.result(1))
    assert _answers(bench) == [(1, Outcome.UNKNOWN, Reason.LATE)]
    assert [(a.event, a.part, a.outcome) for a in bench.publisher.audits] == [("late_result", 1, Outcome.PASS)]


def test_a_result_that_is_read_after_the_deadline_is_late() -> None:
    """A PASS that waited in the socket past the deadline is not published as a PASS."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.clock.us += 100_000
    bench.hear(bench.result(1))
    assert _answers(bench) == [(1, Outcome.UNKNOWN, Reason.LATE)]
    assert [a.event for a in bench.publisher.audits] == ["late_result"]


def test_a_capture_first_heard_of_after_its_deadline_is_late_on_arrival() -> None:
    """A report that was held up longer than the budget is answered in the same cycle."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1, age_ms=150))
    assert _answers(bench) == [(1, Outcome.UNKNOWN, Reason.LATE)]


def test_a_second_result_for_a_part_is_no_second_verdict() -> None:
    """The first claim wins."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1, Outcome.REJECT), bench.result(1, Outcome.PASS))
    assert _answers(bench) == [(1, Outcome.REJECT, None)]
    assert len(bench.publisher.masks) == 1


def test_an_engine_that_fails_gives_unknown() -> None:
    """A result that says UNKNOWN stays UNKNOWN, with its reason."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1, Outcome.UNKNOWN, Reason.ENGINE, payload=b""))
    assert _answers(bench) == [(1, Outcome.UNKNOWN, Reason.ENGINE)]
    assert not bench.publisher.masks
    assert not bench.publisher.verdicts[0].complete


@pytest.mark.parametrize("fault", [Reason.CAMERA, Reason.GEOMETRY, Reason.OVERLOAD])
def test_a_part_without_a_picture_is_answered_at_once(fault: Reason) -> None:
    """A fault of capture is the verdict's reason; the engines are not asked."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1, fault=fault))
    assert _answers(bench) == [(1, Outcome.UNKNOWN, fault)]
    assert not [o for o in bench.supervisor.orders if isinstance(o, Inspect)]


def test_a_gap_in_the_numbers_is_answered_part_by_part() -> None:
    """Frames 2 and 3 never came: both are UNKNOWN(missed), before frame 4's verdict."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.hear(bench.captured(4))
    assert [(v.views[0].frame, v.reason) for v in bench.publisher.verdicts] == [(2, Reason.MISSED), (3, Reason.MISSED)]


@pytest.mark.parametrize(("open_no", "numbered"), [(2, True), (1, False)])
def test_a_jump_is_no_gap_where_numbers_prove_nothing(open_no: int, numbered: bool) -> None:
    """Numbers are compared within one open of a camera that numbers its frames."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1, numbered=numbered))
    bench.hear(bench.captured(9, open_no=open_no, numbered=numbered))
    assert not bench.publisher.verdicts


def test_a_dead_inspector_is_answered_for_and_replaced() -> None:
    """Parts in its hands are UNKNOWN(engine) at once; the next inspector goes on in the same sequence, one frame on."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1), bench.captured(2))
    bench.hear(bench.result(1))
    bench.supervisor.die(-9)
    bench.loop.cycle()
    assert _answers(bench) == [(1, Outcome.PASS, None), (2, Outcome.UNKNOWN, Reason.ENGINE)]
    assert not bench.publisher.statuses[-1].ready
    bench.get_ready()
    assert bench.publisher.statuses[-1].ready
    assert bench.supervisor.resumed == [{}, {"cam1": 3}]
    bench.hear(bench.captured(3))
    bench.hear(bench.result(3, Outcome.REJECT))
    assert [(v.epoch, v.seq) for v in bench.publisher.verdicts] == [(77, 1), (77, 2), (77, 3)]


def test_a_message_of_an_older_inspector_is_dropped() -> None:
    """What a dead inspector had said is not taken for its successor's word."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    stale = bench.result(2)
    bench.supervisor.die(-9)
    bench.loop.cycle()
    bench.get_ready()
    bench.hear(bench.captured(2))
    bench.hear(stale)
    assert _answers(bench) == [(1, Outcome.UNKNOWN, Reason.ENGINE)]


def test_a_silent_inspector_is_killed() -> None:
    """An inspector that completes no cycle for hang_s is replaced; until then its parts are late, not lost."""
    bench = Bench(hang_s=1.0)
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.after(1100)
    assert bench.supervisor.killed
    assert _answers(bench) == [(1, Outcome.UNKNOWN, Reason.LATE)]


def test_nothing_begins_before_the_first_subscriber() -> None:
    """With replay.start = first-subscriber, frames are taken when somebody listens to verdicts, not to masks."""
    bench = Bench(replay={"start": "first-subscriber"})
    bench.get_ready()
    bench.publisher.topics = Topics([b"status/", b"verdict/line10/"], [b"mask/", b""])
    bench.loop.cycle()
    assert not [o for o in bench.supervisor.orders if isinstance(o, Begin)]
    bench.publisher.topics = Topics([b"verdict/"], [])
    bench.loop.cycle()
    assert len([o for o in bench.supervisor.orders if isinstance(o, Begin)]) == 1


def test_a_new_subscription_is_answered_by_a_heartbeat() -> None:
    """A reader learns at once that its subscription has arrived."""
    bench = Bench()
    bench.get_ready()
    before = len(bench.publisher.statuses)
    bench.after(20)
    bench.publisher.topics = Topics([], [b"mask/"])
    bench.loop.cycle()
    assert len(bench.publisher.statuses) == before + 1
    bench.publisher.topics = Topics([], [b"mask/"])
    bench.loop.cycle()
    assert len(bench.publisher.statuses) == before + 1, "a thousand are not told one by one"
    bench.after(20)
    assert len(bench.publisher.statuses) == before + 2


def test_the_heartbeat_carries_the_last_number() -> None:
    """A reader that lost the last verdict sees it in the next heartbeat."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1))
    bench.after(1000)
    status = bench.publisher.statuses[-1]
    assert (status.seq, status.triggers, status.counts["PASS"], status.open) == (1, 1, 1, 0)


def test_a_failed_camera_withdraws_ready_and_gives_it_back() -> None:
    """Ready means that every camera is open; the loss is told on the audit topic."""
    bench = Bench(cameras=("cam1", "cam2"))
    bench.get_ready()
    bench.hear(bench.camera("cam2", "failed", "unplugged"))
    assert bench.publisher.statuses[-1].state == "degraded"
    assert [a.event for a in bench.publisher.audits] == ["camera_lost"]
    bench.hear(bench.camera("cam2", "open"))
    assert bench.publisher.statuses[-1].ready


@pytest.mark.parametrize(("code", "kind"), [(3, BundleError), (4, CameraError)])
def test_a_required_start_ends_with_the_fault(code: int, kind: type[Exception]) -> None:
    """With start = require, what the first inspector could not do ends the station, in the inspector's words."""
    bench = Bench()
    bench.loop.cycle()
    with pytest.raises(kind, match="as told"):
        bench.hear(Failed(inspector=1, exit_code=code, text="as told"))


def test_a_waiting_start_goes_on_trying() -> None:
    """With start = wait the station stays up, says why it is not ready, and starts the next inspector."""
    bench = Bench(start="wait")
    bench.loop.cycle()
    bench.hear(Failed(inspector=1, exit_code=3, text="as told"))
    bench.supervisor.die(3)
    bench.loop.cycle()
    bench.get_ready()
    assert bench.supervisor.number == 2
    assert bench.publisher.statuses[-1].ready


def test_stop_answers_what_is_in_hand() -> None:
    """Parts open at the stop are UNKNOWN(stopped) when the inspector is gone; the last status says stopped."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1), bench.captured(2))
    bench.loop.stop_requested = True
    bench.loop.cycle()
    bench.hear(bench.result(1))
    bench.supervisor.die(0)
    assert bench.loop.run() == 0
    assert _answers(bench) == [(1, Outcome.PASS, None), (2, Outcome.UNKNOWN, Reason.STOPPED)]
    last = bench.publisher.statuses[-1]
    assert (last.state, last.ready, last.open) == ("stopped", False, 0)
    assert last.triggers == sum(last.counts.values()) == 2


def test_once_ends_when_every_source_has_ended() -> None:
    """With --once the station ends by itself, after the last verdict."""
    bench = Bench(once=True)
    bench.get_ready()
    bench.hear(bench.captured(1), bench.camera("cam1", "ended"))
    bench.supervisor.inbox.append(bench.result(1))
    assert bench.loop.run() == 0
    assert _answers(bench) == [(1, Outcome.PASS, None)]


def test_the_service_manager_is_fed_by_cycles() -> None:
    """READY=1 comes once, when everything is ready; WATCHDOG=1 only when a cycle was completed."""
    bench = Bench()
    bench.get_ready()
    for _ in range(5):
        bench.after(1000)
    assert bench.notifier.states.count("READY=1") == 1
    assert 2 <= bench.notifier.states.count("WATCHDOG=1") <= 4


def test_what_a_dead_inspector_had_reported_is_still_heard() -> None:
    """A frame and a result that were on their way when it died are a part and its verdict, not lost."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.supervisor.inbox.extend([bench.result(1, Outcome.REJECT), bench.captured(2)])
    for _ in range(300):  # More than several cycles read.
        bench.supervisor.inbox.appendleft(bench.camera("cam1", "open"))
    bench.supervisor.die(-9)
    bench.loop.cycle()
    assert _answers(bench) == [(1, Outcome.REJECT, None), (2, Outcome.UNKNOWN, Reason.ENGINE)]


def test_verdicts_of_a_dead_inspector_still_name_bundle_and_recipe() -> None:
    """A part was to be inspected with them, whatever became of the inspector."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.supervisor.die(-9)
    bench.loop.cycle()
    assert bench.publisher.verdicts[0].bundle_hash == "b" * 64
    recipe = bench.publisher.verdicts[0].recipe
    assert recipe is not None
    assert (recipe.name, recipe.hash) == ("station", "r" * 64)


def test_numbers_of_two_inspectors_are_not_compared() -> None:
    """A camera with a counter of its own goes on counting while no inspector runs: that is no gap we can answer."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1), bench.result(1))
    bench.supervisor.die(-9)
    bench.loop.cycle()
    bench.get_ready()
    bench.hear(bench.captured(50))
    assert len(bench.publisher.verdicts) == 1


@pytest.mark.parametrize("number", [5000, 1])
def test_a_jump_that_cannot_be_counted_is_told(number: int) -> None:
    """Numbers that run back or very far ahead are an audit event, not thousands of verdicts."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(7))
    bench.hear(bench.captured(number))
    assert [a.event for a in bench.publisher.audits] == ["numbers_jumped"]
    assert not bench.publisher.verdicts


def test_no_camera_begins_before_all_are_open() -> None:
    """Else a start that is required and fails would leave parts behind."""
    bench = Bench(cameras=("cam1", "cam2"))
    bench.loop.cycle()
    bench.hear(bench.ready(), bench.camera("cam1", "open"))
    assert not [o for o in bench.supervisor.orders if isinstance(o, Begin)]
    bench.hear(bench.camera("cam2", "open"))
    assert len([o for o in bench.supervisor.orders if isinstance(o, Begin)]) == 1


def test_a_lost_camera_does_not_hold_up_the_others_after_a_restart() -> None:
    """The second inspector begins as soon as it is proven."""
    bench = Bench(cameras=("cam1", "cam2"))
    bench.get_ready()
    bench.supervisor.die(-9)
    bench.loop.cycle()
    bench.loop.cycle()
    bench.hear(bench.ready(), bench.camera("cam1", "open"), bench.camera("cam2", "failed", "unplugged"))
    assert len([o for o in bench.supervisor.orders if isinstance(o, Begin)]) == 2
    assert not bench.publisher.statuses[-1].ready


def test_a_failed_start_still_says_stopped() -> None:
    """Whoever listens learns that the station is gone, and every part has its verdict."""
    bench = Bench()
    bench.loop.cycle()
    bench.supervisor.inbox.append(Failed(inspector=1, exit_code=3, text="as told"))
    with pytest.raises(BundleError):
        bench.loop.run()
    assert bench.publisher.statuses[-1].state == "stopped"


def test_the_inspectors_own_reason_is_told_not_its_exit_code() -> None:
    """With start = wait the status keeps the line that says what to mend."""
    bench = Bench(start="wait")
    bench.loop.cycle()
    bench.hear(Failed(inspector=1, exit_code=3, text="as told"))
    bench.supervisor.die(3)
    bench.supervisor.start_at_us = None
    bench.loop.cycle()
    assert bench.publisher.statuses[-1].detail == "as told"


# ---- what changes without a message ---------------------------------------------------------------------------------


class KeptJournal:
    """A journal that is none of NoJournal's kind, as the real one: it can fail, and say so."""

    def __init__(self) -> None:
        self.memory = MemoryJournal()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.memory, name)


def _with_journal() -> tuple[Bench, MemoryJournal]:
    journal: Any = KeptJournal()
    bench = Bench(journal=journal)
    bench.get_ready()
    return bench, journal.memory


def test_a_failing_journal_is_an_alarm_and_verdicts_go_on() -> None:
    """They say that they are not kept; when it is written again the alarm is over, without a restart."""
    bench, journal = _with_journal()
    assert bench.publisher.statuses[-1].alarms == ()
    journal.held = True
    journal.failing = journal.alarm = "disk full"
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1))
    status = bench.publisher.statuses[-1]
    assert (status.alarms, status.ready) == ((Alarm.JOURNAL_FAILING,), True)
    assert [(v.outcome, v.journaled) for v in bench.publisher.verdicts] == [(Outcome.PASS, False)]
    journal.held = False
    journal.failing = journal.alarm = ""
    bench.hear(bench.captured(2))
    bench.hear(bench.result(2))
    assert bench.publisher.statuses[-1].alarms == ()
    assert bench.publisher.verdicts[-1].journaled
    assert [a.event.value for a in bench.publisher.audits] == ["journal_failing", "journal_recovered"]
    assert bench.publisher.audits[0].detail == "disk full"


def test_a_fault_of_the_journal_is_told_once_though_its_words_change() -> None:
    """A new reason is in the heartbeat's alarm already."""
    bench, journal = _with_journal()
    for alarm in ("disk full", "disk full: 2 verdicts wait", ""):
        journal.alarm = alarm
        bench.loop.cycle()
    assert [a.event.value for a in bench.publisher.audits] == ["journal_failing", "journal_recovered"]


def test_a_journal_that_was_set_aside_is_an_alarm_from_the_start(tmp_path: Path) -> None:
    """Inspection goes on; where the damaged one lies is told."""
    journal = MemoryJournal()
    journal.set_aside = tmp_path / "journal.damaged"
    bench = Bench(journal=journal)
    assert "journal.damaged" in bench.publisher.audits[0].detail
    bench.get_ready()
    assert Alarm.JOURNAL_SET_ASIDE in bench.publisher.statuses[-1].alarms


def test_without_a_journal_every_verdict_says_so() -> None:
    """It leaves at once; the alarm says that nothing can be replayed; a trigger is answered as not kept."""
    journal = NoJournal()
    bench = Bench(journal=journal, trigger="software")
    bench.get_ready()
    [answer] = bench.ask(bench.trigger("a"))
    assert isinstance(answer, Triggered)
    assert not answer.journaled
    bench.hear(bench.captured(1, part=1))
    bench.hear(bench.result(1))
    assert [(v.seq, v.outcome, v.journaled) for v in bench.publisher.verdicts] == [(1, Outcome.PASS, False)]
    assert bench.publisher.statuses[-1].alarms == (Alarm.JOURNAL_OFF,)
    assert bench.publisher.statuses[-1].journaled_seq == 0
    journal.close(clean=True)


def test_each_run_without_a_journal_is_another_epoch() -> None:
    """Positions of two runs are never taken for one sequence."""
    journals = [NoJournal() for _ in range(3)]
    assert len({journal.epoch for journal in journals}) == 3
    assert all(0 < journal.epoch < 2**48 for journal in journals)
    for journal in journals:
        journal.close(clean=False)


def test_a_silent_camera_withdraws_ready_until_it_speaks() -> None:
    """It is told once; parts of the others go on."""
    bench = Bench(cameras=({"name": "cam1", "expect_every_ms": 50}, {"name": "cam2"}))
    bench.get_ready()
    bench.after(49)
    assert bench.publisher.statuses[-1].ready
    bench.after(1)
    status = bench.publisher.statuses[-1]
    assert (status.state, status.detail) == ("degraded", "camera cam1 reports nothing")
    assert Alarm.CAMERA_SILENT in status.alarms
    bench.after(50)
    bench.hear(bench.captured(1, camera="cam2"))
    bench.hear(bench.result(1, camera="cam2"))
    assert [v.outcome for v in bench.publisher.verdicts] == [Outcome.PASS]
    bench.hear(bench.captured(1))
    assert bench.publisher.statuses[-1].ready
    assert [a.event.value for a in bench.publisher.audits] == ["camera_silent"]


def test_a_line_that_stood_while_it_was_paused_is_not_silent() -> None:
    """A camera has its time again from the end of the pause on."""
    bench = Bench(cameras=({"name": "cam1", "expect_every_ms": 50},), hang_s=3600)
    bench.get_ready()
    bench.ask(Pause(version=1, id="p", role="fitter", reason="belt", minutes=1))
    bench.after(60_000)
    assert bench.publisher.statuses[-1].ready
    bench.after(49)
    assert bench.publisher.statuses[-1].ready
    bench.after(1)
    assert bench.publisher.statuses[-1].alarms == (Alarm.JOURNAL_OFF, Alarm.CAMERA_SILENT)


@pytest.mark.parametrize("state", ["paused", "unheard", "silent", "stopping", "lost"])
def test_the_loop_does_not_spin(state: str) -> None:
    """Whatever goes on, what is due is done once: the next thing lies ahead."""
    bench = Bench(
        cameras=({"name": "cam1", "expect_every_ms": 50},),
        replay={"start": "first-subscriber" if state == "unheard" else "immediately"},
        hang_s=3600,
    )
    bench.get_ready()
    if state == "paused":
        bench.ask(Pause(version=1, id="p", role="fitter", reason="belt", minutes=60))
    if state == "stopping":
        bench.loop.stop_requested = True
    if state == "lost":
        bench.supervisor.die(-9)
    for _ in range(20):
        bench.after(61)
        for _ in range(2):  # One to begin what is due, one to sleep.
            bench.loop.cycle()
        assert bench.dues[-1] > bench.clock.now_us()


def test_parts_that_passed_while_a_camera_was_closed_are_unseen() -> None:
    """Its own count went on: three parts without a verdict, in the ledger and on the audit topic."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.hear(bench.camera("cam1", "failed", "unplugged"), bench.camera("cam1", "open", counts=True))
    bench.hear(bench.captured(5, open_no=2))
    [row] = bench.journal.ledger.rows(0)
    assert (row.triggers, row.unseen) == (2, 3)
    assert [a.event.value for a in bench.publisher.audits] == ["camera_lost", "unseen"]


def test_the_sequence_goes_on_where_the_journal_ended() -> None:
    """Numbers of parts and verdicts, in the epoch that it continues; the heartbeat has the last from the start."""
    journal = MemoryJournal()
    journal.epoch, journal.part, journal.seq = 5, 70, 60
    bench = Bench(journal=journal)
    bench.get_ready()
    status = bench.publisher.statuses[-1]
    assert (status.epoch, status.seq, status.triggers) == (5, 60, 0)
    bench.hear(bench.captured(1))
    bench.hear(bench.result(71))
    assert [(v.epoch, v.seq, v.part) for v in bench.publisher.verdicts] == [(5, 61, 71)]


def test_a_station_that_is_stopped_gives_away_what_waits_for_the_journal() -> None:
    """Nothing that was decided is kept back; who asked is answered."""
    bench = Bench(trigger="software")
    bench.get_ready()
    journal = bench.journal
    assert isinstance(journal, MemoryJournal)
    assert journal.durable == journal._tickets
    journal.held = True
    assert bench.ask(bench.trigger("a")) == []
    bench.loop.stop_requested = True
    bench.supervisor.die(0)
    bench.loop.run()
    assert [(v.part, v.reason, v.journaled) for v in bench.publisher.verdicts] == [(1, Reason.STOPPED, False)]
    [answer] = bench.control.answers
    assert isinstance(answer, Triggered)
    assert not answer.journaled


def test_a_stop_waits_for_the_journal_before_it_says_the_last_verdicts() -> None:
    """What is in hand when the station is stopped is kept like any other verdict, if the disk does its part."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.journal.held = True
    waits = 0

    def commit(due_us: int) -> None:
        nonlocal waits
        waits += 1
        bench.journal.held = waits < 3

    bench.loop._wait = commit
    bench.loop._end()
    assert [(v.reason, v.journaled) for v in bench.publisher.verdicts] == [(Reason.STOPPED, True)]


def test_a_stop_does_not_wait_for_a_disk_for_ever() -> None:
    """The last verdicts leave all the same, and say that they are not kept."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.journal.held = True
    bench.loop._end()
    assert [(v.reason, v.journaled) for v in bench.publisher.verdicts] == [(Reason.STOPPED, False)]
    assert bench.publisher.statuses[-1].state == "stopped"
