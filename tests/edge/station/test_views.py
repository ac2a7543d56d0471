"""The views of a part, played on the loop: which decides, who is missing, who is late."""

from __future__ import annotations

import pytest

from edge.inspector.link import Inspect, Progress
from edge.records import Outcome, Reason
from tests.support.parts import answers, audits, balanced, fired, freed, inspected, joined
from tests.support.station import Bench


def _with_reserve(ms: int) -> Bench:
    bench = Bench(reserve_ms=ms)
    bench.get_ready()
    return bench


def test_a_view_that_rejects_claims_at_once() -> None:
    """The other view is not waited for; its frame and its result come late, and are told."""
    bench = joined()
    bench.hear(bench.captured(1, tag=7), bench.captured(1, camera="cam2", tag=7))
    bench.hear(bench.result(1, Outcome.REJECT))
    assert answers(bench) == [(1, Outcome.REJECT, None)]
    assert [(v.camera, v.outcome, v.reason) for v in bench.publisher.verdicts[0].views] == [
        ("cam1", Outcome.REJECT, None),
        ("cam2", Outcome.UNKNOWN, None),
    ]
    bench.hear(bench.result(1, camera="cam2"))
    assert audits(bench) == ["late_result"]
    assert len(bench.publisher.verdicts) == 1


def test_the_worst_view_wins() -> None:
    """A PASS beside a view that could not be judged is UNKNOWN, with that view's reason."""
    bench = joined()
    bench.hear(bench.captured(1, tag=7), bench.captured(1, camera="cam2", tag=7, fault=Reason.GEOMETRY))
    bench.hear(bench.result(1))
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.GEOMETRY)]
    assert balanced(bench)


def test_a_view_that_rejects_wins_over_one_that_failed() -> None:
    """A known defect is no UNKNOWN."""
    bench = joined()
    bench.hear(bench.captured(1, camera="cam2", tag=7, fault=Reason.CAMERA), bench.captured(1, tag=7))
    assert not bench.publisher.verdicts
    bench.hear(bench.result(1, Outcome.REJECT))
    assert answers(bench) == [(1, Outcome.REJECT, None)]


def test_a_view_that_is_missing_after_the_window_makes_the_part_unknown() -> None:
    """With the camera's name; when it comes all the same it is told, freed, and opens no part of its own."""
    bench = joined()
    bench.hear(bench.captured(1, tag=7))
    bench.hear(bench.result(1))
    bench.after(19)
    assert not bench.publisher.verdicts
    assert bench.dues[-1] <= bench.clock.now_us() + 1_000, "the loop would sleep past the window"
    bench.after(1)
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.CAMERA)]
    assert "no view of camera cam2 within 20 ms" in bench.publisher.verdicts[0].detail
    bench.hear(bench.captured(33, camera="cam2", tag=7))
    assert audits(bench) == ["late_view"]
    assert len(bench.publisher.verdicts) == 1
    assert ("cam2", 33) in freed(bench)
    assert inspected(bench) == [(1, "cam1")]


def test_a_view_in_hand_is_waited_for_beyond_the_window() -> None:
    """The other camera's silence is known, but this one may still find a defect."""
    bench = joined()
    bench.hear(bench.captured(1, tag=7))
    bench.after(30)
    assert not bench.publisher.verdicts
    bench.hear(bench.result(1, Outcome.REJECT))
    assert answers(bench) == [(1, Outcome.REJECT, None)]


def test_views_of_a_trigger_stand_in_the_order_of_the_settings() -> None:
    """Whatever order the request names the cameras in."""
    bench = fired(("cam1", "cam2", "cam3"))
    bench.ask(bench.trigger("a", cameras=("cam3", "cam1")))
    bench.after(100)
    assert [v.camera for v in bench.publisher.verdicts[0].views] == ["cam1", "cam3"]


def test_a_camera_that_never_begins_is_late_in_stage_trigger() -> None:
    """The stage says that the picture was never begun."""
    bench = fired()
    bench.ask(bench.trigger("a"))
    bench.after(100)
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.LATE)]
    assert bench.publisher.verdicts[0].stage == "trigger"
    bench.hear(bench.captured(1, part=1))
    assert audits(bench) == ["late_view"]
    assert freed(bench) == [("cam1", 1)]


def test_a_late_part_is_claimed_the_reserve_before_its_deadline() -> None:
    """So that it can be kept by then; the stage that had it is told."""
    bench = _with_reserve(2)
    bench.hear(bench.captured(1))
    bench.hear(Progress(inspector=1, part=1, camera="cam1", stage="segment"))
    bench.after(97.999)
    assert not bench.publisher.verdicts
    bench.after(0.001)
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.LATE)]
    verdict = bench.publisher.verdicts[0]
    assert (verdict.stage, verdict.journaled) == ("segment", True)
    assert "camera cam1 in stage 'segment'" in verdict.detail
    assert verdict.published_us == verdict.deadline_us - 2_000


def test_a_result_in_the_reserve_is_late() -> None:
    """The reserve is for the journal and the way out: what comes then could not be published by the deadline."""
    bench = _with_reserve(2)
    bench.hear(bench.captured(1))
    bench.clock.us += 99_000
    bench.hear(bench.result(1))
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.LATE)]


def test_the_wall_clock_changes_no_deadline() -> None:
    """It is set by an hour, forth and back, while a part is open."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.clock.utc_ahead_us = 3_600_000_000
    bench.after(50)
    bench.clock.utc_ahead_us = -3_600_000_000
    bench.after(49)
    assert not bench.publisher.verdicts
    bench.after(1)
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.LATE)]
    assert balanced(bench)


def test_the_deadline_answers_late_and_the_result_goes_to_audit() -> None:
    """At the deadline the part is UNKNOWN(late), whatever the inspector does; what comes after is no verdict."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.after(99)
    assert not bench.publisher.verdicts
    bench.after(1)
    bench.hear(bench.result(1))
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.LATE)]
    assert [(a.event, a.part, a.outcome) for a in bench.publisher.audits] == [("late_result", 1, Outcome.PASS)]


def test_late_results_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Each is published; the log has the first, and a minute later how many there were."""
    bench = Bench()
    bench.get_ready()
    for number in range(1, 7):
        bench.hear(bench.captured(number))
        bench.after(100)
        bench.hear(bench.result(number))
        if number == 5:
            bench.clock.us += 60_000_000
    assert audits(bench).count("late_result") == 6
    assert [line for line in caplog.messages if line.startswith("late_result")] == [
        "late_result: cam1: result after the verdict",
        "late_result: cam1: result after the verdict (4 more since the last line of these)",
    ]


def test_a_result_that_is_read_after_the_deadline_is_late() -> None:
    """A PASS that waited in the socket past the deadline is not published as a PASS."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.clock.us += 100_000
    bench.hear(bench.result(1))
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.LATE)]
    assert [a.event for a in bench.publisher.audits] == ["late_result"]


def test_a_capture_first_heard_of_after_its_deadline_is_late_on_arrival() -> None:
    """A report that was held up longer than the budget is answered in the same cycle."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1, age_ms=150))
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.LATE)]


def test_a_second_result_for_a_part_is_no_second_verdict() -> None:
    """The first claim wins."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1, Outcome.REJECT), bench.result(1, Outcome.PASS))
    assert answers(bench) == [(1, Outcome.REJECT, None)]
    assert len(bench.publisher.masks) == 1


def test_an_engine_that_fails_gives_unknown() -> None:
    """A result that says UNKNOWN stays UNKNOWN, with its reason."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1, Outcome.UNKNOWN, Reason.ENGINE, payload=b""))
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.ENGINE)]
    assert not bench.publisher.masks
    assert not bench.publisher.verdicts[0].complete


@pytest.mark.parametrize("fault", [Reason.CAMERA, Reason.GEOMETRY, Reason.OVERLOAD])
def test_a_part_without_a_picture_is_answered_at_once(fault: Reason) -> None:
    """A fault of capture is the verdict's reason; the engines are not asked."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1, fault=fault))
    assert answers(bench) == [(1, Outcome.UNKNOWN, fault)]
    assert not [o for o in bench.supervisor.orders if isinstance(o, Inspect)]
