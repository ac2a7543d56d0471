"""What makes a part, played on the loop: joined frames, gaps, bounces, overruns, requests."""

from __future__ import annotations

import pytest

from edge.inspector.link import Discard, Fire, Inspect
from edge.records import AuditEvent, Mode, Outcome, Reason
from edge.requests import Triggered
from edge.station.entries import TriggerEntry
from tests.support.parts import answers, audits, balanced, fired, freed, inspected, joined
from tests.support.station import Bench

TWO = ("cam1", "cam2")
LIVE = {"name": "cam1", "source": {"kind": "opencv", "device": 0, "rate_hz": 100}}


@pytest.mark.parametrize(("join", "first", "second"), [("tag", 1, 9), ("counter", 1, 101), ("time", 1, 9)])
def test_two_cameras_see_one_part(join: str, first: int, second: int) -> None:
    """The second camera's frame comes first and opens it; views stand in the order of the settings; PASS needs both."""
    bench = joined(join)
    bench.hear(bench.captured(second, camera="cam2", tag=7))
    bench.after(5)
    bench.hear(bench.captured(first, tag=7))
    bench.hear(bench.result(1, camera="cam2"))
    assert not bench.publisher.verdicts
    bench.hear(bench.result(1))
    assert answers(bench) == [(1, Outcome.PASS, None)]
    verdict = bench.publisher.verdicts[0]
    assert [(v.camera, v.frame) for v in verdict.views] == [("cam1", first), ("cam2", second)]
    assert verdict.tag == 7
    assert verdict.trigger_us == bench.clock.now_us() - 5_000, "the first capture opens the part"
    assert sorted(freed(bench)) == [("cam1", first), ("cam2", second)]
    assert {mask.camera for mask, _ in bench.publisher.masks} == set(TWO)


def test_two_parts_close_together_keep_their_own_views() -> None:
    """15 ms apart inside a window of 20: the view with the defect is the first part's, whenever it is reported."""
    bench = joined("time")
    bench.hear(bench.captured(1))
    bench.after(15)
    bench.hear(bench.captured(2))
    bench.hear(bench.captured(1, camera="cam2", age_ms=14), bench.captured(2, camera="cam2"))
    assert inspected(bench) == [(1, "cam1"), (2, "cam1"), (1, "cam2"), (2, "cam2")]
    frames = [o.frame_no for o in bench.supervisor.orders if isinstance(o, Inspect)]
    assert frames == [1, 2, 1, 2]


def test_a_gap_in_the_numbers_is_a_missing_view_where_numbers_name_parts() -> None:
    """cam1 never sent frame 2: part 2 is UNKNOWN(missed), though cam2 saw nothing wrong; parts 1 and 3 pass."""
    bench = joined("counter")
    for message in (
        bench.captured(1),
        bench.captured(101, camera="cam2"),
        bench.captured(102, camera="cam2"),
        bench.captured(3),
        bench.captured(103, camera="cam2"),
    ):
        bench.hear(message)
    for part in (1, 2, 3):
        bench.hear(bench.result(part, camera="cam2"))
    bench.hear(bench.result(1), bench.result(3))
    assert sorted(answers(bench)) == [
        (1, Outcome.PASS, None),
        (2, Outcome.UNKNOWN, Reason.MISSED),
        (3, Outcome.PASS, None),
    ]
    assert balanced(bench)


def test_a_gap_that_nobody_else_saw_is_a_part_all_the_same() -> None:
    """Both cameras lost frame 2: one part, UNKNOWN(missed), not two."""
    bench = joined("counter")
    bench.hear(bench.captured(1), bench.captured(101, camera="cam2"))
    bench.hear(bench.captured(3), bench.captured(103, camera="cam2"))
    bench.hear(*(bench.result(part, camera=camera) for part in (1, 2, 3) for camera in TWO))
    missed = [v for v in bench.publisher.verdicts if v.reason is Reason.MISSED]
    assert len(missed) == 1
    assert [v.frame for v in missed[0].views] == [2, 102]
    assert bench.journal.ledger.rows(0)[0].triggers == 3


def test_a_picture_that_nobody_asked_for_is_no_part() -> None:
    """A camera that is fired by requests reports a frame by itself: it is told, and its slot freed."""
    bench = Bench(trigger="software")
    bench.get_ready()
    bench.hear(bench.captured(1))
    assert [audit.event for audit in bench.publisher.audits] == [AuditEvent.LATE_VIEW]
    assert any(isinstance(order, Discard) for order in bench.supervisor.orders)
    assert bench.publisher.statuses[-1].triggers == 0


def test_a_gap_of_a_second_is_no_second_verdict_for_its_parts() -> None:
    """cam1 was gone for frames 2 to 4, which cam2 has shown and which are answered: they are no parts anew."""
    bench = joined("counter")
    bench.hear(bench.captured(1), bench.captured(101, camera="cam2"))
    for part in (2, 3, 4):
        bench.after(250)
        bench.hear(bench.captured(100 + part, camera="cam2"))
        bench.hear(bench.result(part, camera="cam2"))
        bench.after(20)
    bench.after(250)
    bench.hear(bench.captured(5), bench.captured(105, camera="cam2"))
    assert bench.journal.ledger.rows(0)[0].triggers == 5
    bench.hear(bench.result(5), bench.result(5, camera="cam2"))
    assert sorted(answers(bench))[1:] == [
        (2, Outcome.UNKNOWN, Reason.CAMERA),
        (3, Outcome.UNKNOWN, Reason.CAMERA),
        (4, Outcome.UNKNOWN, Reason.CAMERA),
        (5, Outcome.PASS, None),
    ]
    assert balanced(bench)


@pytest.mark.parametrize("join", ["tag", "time"])
def test_a_gap_is_told_where_numbers_do_not_name_parts(join: str) -> None:
    """Which part it was is not known: no verdict is invented."""
    bench = joined(join)
    bench.hear(bench.captured(1, tag=7), bench.captured(1, camera="cam2", tag=7))
    bench.after(50)
    bench.hear(bench.captured(3, tag=8))
    assert audits(bench) == ["numbers_jumped"]
    assert "frame 2 of camera cam1 never came" in bench.publisher.audits[0].detail
    assert bench.journal.ledger.rows(0)[0].triggers == 2


def test_frames_that_never_came_are_inferred_from_time() -> None:
    """A camera of 100 Hz without numbers of its own: 30 ms without a frame are two parts that nobody saw."""
    bench = Bench(cameras=(LIVE,))
    bench.get_ready()
    bench.hear(bench.captured(1, numbered=False))
    bench.after(30)
    bench.hear(bench.captured(2, numbered=False))
    assert [r for _, _, r in answers(bench)] == [Reason.MISSED, Reason.MISSED]
    assert "by the time stamps" in bench.publisher.verdicts[0].detail
    assert inspected(bench) == [(1, "cam1"), (4, "cam1")]


def test_a_bounce_is_no_part() -> None:
    """It is counted beside the ledger, told, and its slot is freed."""
    bench = Bench(parts={"debounce_ms": 5})
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.after(4)
    bench.hear(bench.captured(2))
    bench.after(1)
    bench.hear(bench.captured(3))
    assert inspected(bench) == [(1, "cam1"), (2, "cam1")]
    assert audits(bench) == ["bounced"]
    assert freed(bench) == [("cam1", 2)]
    [row] = bench.journal.ledger.rows(0)
    assert (row.triggers, row.bounced) == (2, 1)


def test_a_trigger_inside_the_minimum_interval_is_an_overrun() -> None:
    """It is a part, and it is not inspected."""
    bench = Bench(parts={"min_interval_ms": 10})
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.after(9)
    bench.hear(bench.captured(2))
    assert answers(bench) == [(2, Outcome.UNKNOWN, Reason.OVERRUN)]
    assert inspected(bench) == [(1, "cam1")]
    assert freed(bench) == [("cam1", 2)]


@pytest.mark.parametrize("parts", [{"debounce_ms": 5}, {"min_interval_ms": 10}])
def test_a_frame_behind_a_gap_is_no_bounce_of_the_gap(parts: dict[str, int]) -> None:
    """What never came has no time of its own: the frame that shows the gap is inspected."""
    bench = Bench(parts=parts)
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.after(40)
    bench.hear(bench.captured(4))
    assert [r for _, _, r in answers(bench)] == [Reason.MISSED, Reason.MISSED]
    assert inspected(bench) == [(1, "cam1"), (4, "cam1")]


def test_a_software_trigger_fires_its_cameras_and_becomes_a_verdict() -> None:
    """Of all such cameras; each picture answers to the part; the line's names of it stand in the verdict."""
    bench = fired(TWO)
    [answer] = bench.ask(bench.trigger("a", part_id="P1", tag=5, mode=Mode.CHALLENGE))
    assert isinstance(answer, Triggered)
    assert (answer.part, answer.journaled) == (1, True)
    assert answer.deadline_us == answer.trigger_us + 100_000 == bench.clock.now_us() + 100_000
    fire = bench.supervisor.orders[-1]
    assert fire == Fire(part=1, cameras=TWO, deadline_us=answer.deadline_us)
    bench.hear(bench.captured(1, camera="cam2", part=1), bench.captured(1, part=1))
    bench.hear(bench.result(1), bench.result(1, camera="cam2"))
    assert answers(bench) == [(1, Outcome.PASS, None)]
    verdict = bench.publisher.verdicts[0]
    assert (verdict.part_id, verdict.tag, verdict.mode) == ("P1", 5, Mode.CHALLENGE)
    assert [v.camera for v in verdict.views] == ["cam1", "cam2"]


def test_a_trigger_is_written_down_before_the_camera_is_told() -> None:
    """At the moment it comes to the journal nothing is ordered."""
    bench = fired()
    told: list[bool] = []
    trigger = bench.journal.trigger

    def kept(entry: TriggerEntry) -> int:
        told.append(any(isinstance(o, Fire) for o in bench.supervisor.orders))
        return trigger(entry)

    bench.journal.trigger = kept  # type: ignore[method-assign]
    bench.ask(bench.trigger("a"))
    assert told == [False]
    assert [o.part for o in bench.supervisor.orders if isinstance(o, Fire)] == [1]


def test_a_trigger_inside_the_minimum_interval_is_accepted_and_unknown() -> None:
    """It is a part, with its number; no camera is fired for it."""
    bench = fired(parts={"min_interval_ms": 10})
    bench.ask(bench.trigger("a"))
    bench.after(9)
    [answer] = bench.ask(bench.trigger("b"))
    assert isinstance(answer, Triggered)
    assert answers(bench) == [(2, Outcome.UNKNOWN, Reason.OVERRUN)]
    assert len([o for o in bench.supervisor.orders if isinstance(o, Fire)]) == 1


def test_a_camera_that_is_not_open_makes_the_part_unknown() -> None:
    """At once, with its name; the trigger counts."""
    bench = fired(TWO)
    bench.hear(bench.camera("cam2", "failed", "unplugged"))
    [answer] = bench.ask(bench.trigger("a"))
    assert isinstance(answer, Triggered)
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.CAMERA)]
    assert "cam2 is not open" in bench.publisher.verdicts[0].detail
    bench.ask(bench.trigger("b", cameras=("cam1",)))
    assert isinstance(bench.supervisor.orders[-1], Fire)


def test_no_inspector_makes_the_part_unknown() -> None:
    """Before the first is ready, and after it has died; the trigger counts."""
    bench = Bench(trigger="software")
    bench.ask(bench.trigger("a"))
    bench.get_ready()
    bench.supervisor.die(-9)
    bench.loop.cycle()
    bench.ask(bench.trigger("b"))
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.ENGINE), (2, Outcome.UNKNOWN, Reason.ENGINE)]


def test_an_inspector_that_takes_no_orders_makes_the_part_unknown() -> None:
    """At once, not at the deadline."""
    bench = fired()
    bench.supervisor.deaf = True
    bench.ask(bench.trigger("a"))
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.ENGINE)]


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


@pytest.mark.parametrize("number", [5000, 1])
def test_a_jump_that_cannot_be_counted_is_told(number: int) -> None:
    """Numbers that run back or very far ahead are an audit event, not thousands of verdicts."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(7))
    bench.hear(bench.captured(number))
    assert [a.event for a in bench.publisher.audits] == ["numbers_jumped"]
    assert not bench.publisher.verdicts
