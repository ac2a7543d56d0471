"""The station's loop, played as a story: one verdict for every part, in time, whatever the inspector does."""

from __future__ import annotations

import pytest

from edge.errors import BundleError, CameraError
from edge.inspector.link import Answered, Begin, Failed, Inspect
from edge.records import Outcome, Reason
from edge.station.publisher import Topics
from tests.support.station import Bench


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
    bench.publisher.topics = Topics([], [b"mask/"])
    bench.loop.cycle()
    assert len(bench.publisher.statuses) == before + 1


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
