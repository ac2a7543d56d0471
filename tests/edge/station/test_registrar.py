"""Parts from their trigger to what is kept of them, played on the loop: journal, deadlines, restart, archive."""

from __future__ import annotations

from edge.inspector.link import Answered
from edge.records import Mode, Outcome, Reason
from edge.station.entries import TriggerEntry
from tests.support.parts import answers, balanced, freed, joined
from tests.support.station import Bench, MemoryJournal


def _held(bench: Bench) -> MemoryJournal:
    """Get ready, then hold everything back from the disk."""
    bench.get_ready()
    assert isinstance(bench.journal, MemoryJournal)
    assert bench.journal.durable == bench.journal._tickets
    assert bench.journal.durable_seq == bench.journal.seq
    bench.journal.held = True
    return bench.journal


def test_a_part_remembers_no_masks_after_its_verdict() -> None:
    """Parts are remembered for views that come late; a thousand masks are not."""
    bench = joined()
    bench.hear(bench.captured(1, tag=7), bench.captured(1, camera="cam2", tag=7))
    part = bench.loop._registrar.parts.find(1)
    assert part is not None
    bench.hear(bench.result(1), bench.result(1, camera="cam2"))
    assert answers(bench) == [(1, Outcome.PASS, None)]
    assert [view.result for view in part.views.values()] == [None, None]


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
