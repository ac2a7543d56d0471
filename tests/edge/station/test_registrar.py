"""Parts with several cameras, by triggers of both kinds, played on the loop: who opens, who is missing, who is late."""

from __future__ import annotations

import pytest

from edge.inspector.link import Answered, Discard, Fire, Inspect, Progress
from edge.records import AuditEvent, Mode, Outcome, Reason
from edge.requests import Triggered
from edge.station.entries import TriggerEntry
from tests.support.station import Bench, MemoryJournal

TWO = ("cam1", "cam2")
LIVE = {"name": "cam1", "source": {"kind": "opencv", "device": 0, "rate_hz": 100}}


def answers(bench: Bench) -> list[tuple[int, Outcome, Reason | None]]:
    return [(v.part, v.outcome, v.reason) for v in bench.publisher.verdicts]


def audits(bench: Bench) -> list[str]:
    return [a.event.value for a in bench.publisher.audits]


def joined(join: str = "tag", **settings: object) -> Bench:
    parts = {"join": join, "window_ms": 20, **settings}
    bench = Bench(cameras=({"name": "cam1"}, {"name": "cam2", "counter_offset": -100}), parts=parts)
    bench.get_ready()
    return bench


def inspected(bench: Bench) -> list[tuple[int, str]]:
    return [(o.part, o.camera) for o in bench.supervisor.orders if isinstance(o, Inspect)]


def freed(bench: Bench) -> list[tuple[str, int]]:
    """Return the frames whose slots were given back, by camera and number."""
    frames = []
    for order in bench.supervisor.orders:
        if isinstance(order, Answered):
            frames += [(frame.camera, frame.frame_no) for frame in order.frames]
        elif isinstance(order, Discard):
            frames.append((order.frame.camera, order.frame.frame_no))
    return frames


def balanced(bench: Bench) -> bool:
    return all(
        row.triggers == row.passed + row.rejected + sum(row.unknown.values()) + row.open
        for row in bench.journal.ledger.rows(None)
    )


# ---- several cameras ------------------------------------------------------------------------------------------------


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


def test_a_part_remembers_no_masks_after_its_verdict() -> None:
    """Parts are remembered for views that come late; a thousand masks are not."""
    bench = joined()
    bench.hear(bench.captured(1, tag=7), bench.captured(1, camera="cam2", tag=7))
    part = bench.loop._registrar.parts.find(1)
    assert part is not None
    bench.hear(bench.result(1), bench.result(1, camera="cam2"))
    assert answers(bench) == [(1, Outcome.PASS, None)]
    assert [view.result for view in part.views.values()] == [None, None]


# ---- debounce, minimum interval, gaps by time -----------------------------------------------------------------------


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


# ---- deadlines and the journal --------------------------------------------------------------------------------------


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


def test_a_verdict_waits_for_the_journal() -> None:
    """And says how long; the heartbeat's number is that of the last published, not of the last claimed."""
    bench = Bench()
    held = _held(bench)
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1))
    assert not bench.publisher.verdicts
    bench.after(1)
    bench.loop._send_status()
    status = bench.publisher.statuses[-1]
    assert (status.seq, status.counts["PASS"]) == (0, 1)
    held.held = False
    bench.after(1)
    verdict = bench.publisher.verdicts[0]
    assert verdict.journaled
    assert verdict.timings_us["journal"] == 2_000
    assert verdict.published_us == bench.clock.now_us()


def test_a_verdict_leaves_at_its_deadline_kept_or_not() -> None:
    """And says that it is not; those before it in the sequence leave with it, in order."""
    bench = Bench()
    _held(bench)
    bench.hear(bench.captured(1), bench.captured(2))
    bench.after(50)
    bench.hear(bench.captured(3))
    bench.hear(bench.result(3), bench.result(1), bench.result(2))
    bench.after(49.999)
    assert not bench.publisher.verdicts
    assert bench.dues[-1] == bench.clock.now_us() + 1
    bench.after(0.001)
    assert [(v.seq, v.part, v.journaled) for v in bench.publisher.verdicts] == [
        (1, 3, False),
        (2, 1, False),
        (3, 2, False),
    ]


def test_parts_of_an_earlier_run_are_answered_first() -> None:
    """UNKNOWN(restart), before anything of this run; numbers go on; what they were triggered as stays."""
    journal = MemoryJournal()
    journal.part, journal.seq = 41, 7
    journal.left_open = tuple(
        TriggerEntry(
            part=part,
            request=None,
            part_id=f"A-{part}",
            tag=part,
            counter=None,
            mode=mode,
            source="cam1",
            trigger_us=10**15,
            deadline_us=10**15 + 100_000,
            utc_us=3,
            shift="2026-11-22T06:00",
        )
        for part, mode in ((40, Mode.PRODUCTION), (41, Mode.CHALLENGE))
    )
    for entry in journal.left_open:
        journal.ledger.add(entry.shift, entry.mode, "triggers")
    bench = Bench(journal=journal)
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.hear(bench.result(42))
    assert [(v.seq, v.part, v.part_id, v.mode, v.reason) for v in bench.publisher.verdicts] == [
        (8, 40, "A-40", Mode.PRODUCTION, Reason.RESTART),
        (9, 41, "A-41", Mode.CHALLENGE, Reason.RESTART),
        (10, 42, None, Mode.PRODUCTION, None),
    ]
    assert bench.publisher.verdicts[0].recipe is None
    assert balanced(bench)


def test_a_deadline_of_before_a_reboot_holds_up_nothing() -> None:
    """The monotonic clock has begun anew: such a part leaves after the reserve, kept or not."""
    journal = MemoryJournal()
    journal.held = True
    journal.left_open = (
        TriggerEntry(
            part=1, request=None, part_id=None, tag=None, counter=None, mode=Mode.PRODUCTION, source="cam1",
            trigger_us=10**15, deadline_us=10**15 + 100_000, utc_us=3, shift="2026-11-22T06:00",
        ),
    )  # fmt: skip
    bench = Bench(journal=journal)
    bench.after(1)
    assert [(v.part, v.journaled) for v in bench.publisher.verdicts] == [(1, False)]


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


def test_a_part_is_counted_in_the_shift_of_its_trigger() -> None:
    """Also when its verdict comes in the next: otherwise neither adds up."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.clock.utc_ahead_us = 8 * 3_600_000_000
    bench.hear(bench.result(1))
    *shifts, for_ever = bench.journal.ledger.rows(None)
    assert [(row.triggers, row.passed, row.open) for row in shifts] == [(1, 1, 0)]
    assert (for_ever.triggers, for_ever.passed) == (1, 1)


# ---- what is kept ---------------------------------------------------------------------------------------------------


def test_parts_answered_without_an_inspector_are_kept_by_the_next() -> None:
    """Without their pictures, which died with the old one; each once."""
    bench = Bench(archive={"path": "archive"})
    bench.get_ready()
    bench.hear(bench.captured(1), bench.captured(2))
    bench.supervisor.die(-9)
    bench.loop.cycle()
    assert not [o for o in bench.supervisor.orders if isinstance(o, Answered)]
    bench.get_ready()
    kept = [o for o in bench.supervisor.orders if isinstance(o, Answered)]
    assert [(o.part, o.seq, o.frames, b'"reason":"engine"' in o.record) for o in kept] == [
        (1, 1, (), True),
        (2, 2, (), True),
    ]


def test_the_next_inspector_is_not_asked_for_slots_of_the_last() -> None:
    """A verdict that waited for the journal until the next one ran frees nothing there."""
    bench = Bench()
    held = _held(bench)
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1))
    bench.supervisor.die(-9)
    bench.loop.cycle()
    bench.loop.cycle()
    assert bench.supervisor.number == 2
    held.held = False
    bench.loop.cycle()
    assert [v.part for v in bench.publisher.verdicts] == [1]
    assert freed(bench) == []


def test_nothing_is_recorded_where_nothing_is_archived() -> None:
    """The inspector is told of the slots alone."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1))
    [answered] = [o for o in bench.supervisor.orders if isinstance(o, Answered)]
    assert answered.record == b""


def _with_reserve(ms: int) -> Bench:
    bench = Bench(reserve_ms=ms)
    bench.get_ready()
    return bench


def _held(bench: Bench) -> MemoryJournal:
    """Get ready, then hold everything back from the disk."""
    bench.get_ready()
    assert isinstance(bench.journal, MemoryJournal)
    assert bench.journal.durable == bench.journal._tickets
    assert bench.journal.durable_seq == bench.journal.seq
    bench.journal.held = True
    return bench.journal


# ---- software triggers ----------------------------------------------------------------------------------------------


def fired(cameras: tuple[str, ...] = ("cam1",), **settings: object) -> Bench:
    bench = Bench(cameras=cameras, trigger="software", **settings)  # type: ignore[arg-type]
    bench.get_ready()
    return bench


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
