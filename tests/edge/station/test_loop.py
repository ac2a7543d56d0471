"""The station's loop, played as a story: one verdict for every part, in time, whatever the inspector does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.errors import BundleError
from edge.inspector.link import Answered, Failed
from edge.records import Alarm, Outcome, Reason
from edge.requests import AskStatus, Pause, Triggered
from edge.settings import CalibrationFile
from edge.station.nojournal import NoJournal
from edge.station.publisher import Topics
from tests.support.parts import answers
from tests.support.station import Bench, MemoryJournal


def test_a_result_becomes_one_verdict_with_its_mask() -> None:
    """A part that was inspected in time is published once, and its mask under the same position."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.after(10)
    bench.hear(bench.result(1, Outcome.REJECT))
    assert answers(bench) == [(1, Outcome.REJECT, None)]
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
    assert answers(bench) == [(1, Outcome.PASS, None), (2, Outcome.UNKNOWN, Reason.STOPPED)]
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
    assert answers(bench) == [(1, Outcome.PASS, None)]


def test_the_service_manager_is_fed_by_cycles() -> None:
    """READY=1 comes once, when everything is ready; WATCHDOG=1 only when a cycle was completed."""
    bench = Bench()
    bench.get_ready()
    for _ in range(5):
        bench.after(1000)
    assert bench.notifier.states.count("READY=1") == 1
    assert 2 <= bench.notifier.states.count("WATCHDOG=1") <= 4


@pytest.mark.parametrize(("start", "said"), [("wait", 1), ("require", 0)])
def test_a_station_that_may_wait_for_ever_has_started_with_its_first_cycle(start: str, said: int) -> None:
    """A camera that is off must not hold up a machine's start; whether parts are inspected is told in the status."""
    bench = Bench(start=start)
    assert "READY=1" not in bench.notifier.states
    bench.loop.cycle()
    assert bench.notifier.states.count("READY=1") == said
    assert (bench.publisher.statuses[-1].state, bench.publisher.statuses[-1].ready) == ("starting", False)
    bench.get_ready()
    bench.after(1000)
    assert bench.notifier.states.count("READY=1") == 1
    assert bench.publisher.statuses[-1].ready


@pytest.mark.parametrize("start", ["wait", "require"])
def test_a_station_that_is_stopped_before_has_not_started(start: str) -> None:
    """READY=1 behind STOPPING=1 would be a contradiction."""
    bench = Bench(start=start)
    bench.loop.stop_requested = True
    bench.loop.cycle()
    bench.loop.cycle()
    assert "READY=1" not in bench.notifier.states


def test_a_failed_start_still_says_stopped() -> None:
    """Whoever listens learns that the station is gone, and every part has its verdict."""
    bench = Bench()
    bench.loop.cycle()
    bench.supervisor.inbox.append(Failed(inspector=1, exit_code=3, text="as told"))
    with pytest.raises(BundleError):
        bench.loop.run()
    assert bench.publisher.statuses[-1].state == "stopped"


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
        bench.journal.held = waits < 30

    # News of other things do not count: half a second is half a second.
    bench.loop._wait_for_journal = commit
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


def test_the_loop_does_not_sleep_on_requests_that_were_read_already() -> None:
    """More requests than one cycle takes: the next cycle begins at once, and the one after all are answered sleeps."""
    bench = Bench()
    bench.ask(*(AskStatus(version=1, id=str(n)) for n in range(40)))
    assert len(bench.control.answers) < 40
    bench.loop.cycle()
    assert bench.dues[-1] == 0
    assert len(bench.control.answers) == 40
    bench.loop.cycle()
    assert bench.dues[-1] > bench.clock.us


def test_an_old_calibration_is_an_alarm_and_no_stop() -> None:
    """It stands in the status from the day on which it is too old; parts are inspected."""
    table = {"name": "cam1", "date": "2023-11-14T00:00:00Z", "by": "x", "height": 256, "width": 1600}
    calibration = CalibrationFile.model_validate({"version": 1, "station": "line1", "cameras": [table]})
    bench = Bench(calibration=calibration, calibration_max_age_days=10, hang_s=1e6)
    bench.get_ready()
    assert Alarm.CALIBRATION_OLD not in bench.publisher.statuses[-1].alarms
    bench.after(11 * 86_400_000)
    status = bench.publisher.statuses[-1]
    assert Alarm.CALIBRATION_OLD in status.alarms
    assert status.ready
