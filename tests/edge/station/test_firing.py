"""Software triggers as they are asked for, played on the loop: accepted once each, refused with the reason."""

from __future__ import annotations

import pytest

from edge.inspector.link import Fire
from edge.records import AuditEvent, Mode, Reason
from edge.requests import (
    Ledger,
    LedgerAnswer,
    Refusal,
    Triggered,
)
from edge.station.entries import TriggerEntry
from tests.support.parts import answered, fired, refused
from tests.support.station import Bench, MemoryJournal

MIXED = (
    {"name": "cam1", "trigger": "software"},
    {"name": "cam2", "trigger": "free-run"},
    {"name": "cam3", "trigger": "software"},
)


def _held(bench: Bench) -> MemoryJournal:
    """Hold everything back from the disk from now on."""
    assert isinstance(bench.journal, MemoryJournal)
    assert bench.journal.durable == bench.journal._tickets
    bench.journal.held = True
    return bench.journal


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
