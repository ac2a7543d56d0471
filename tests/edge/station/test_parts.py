"""Parts: the first claim wins, the count always balances, deadlines come in their order, the worst view decides."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.inspector.link import FrameOf, ViewResult
from edge.records import MaskReference, Mode, Outcome, Reason
from edge.station.parts import Claim, Part, Parts, PartView, decision_from_views, holder_of
from tests.support.records import mask_reference, result


def part(number: int = 1, deadline_us: int = 500, window_us: int | None = None, *cameras: str) -> Part:
    return Part(
        number=number,
        mode=Mode.PRODUCTION,
        source="cam1",
        trigger_us=deadline_us - 100,
        deadline_us=deadline_us,
        shift="2026-11-22T06:00",
        views={name: PartView(name) for name in cameras or ("cam1",)},
        recipe=None,
        window_us=window_us,
    )


def triggered(parts: Parts, deadline_us: int, window_us: int | None = None) -> Part:
    opened = part(parts.next_number(), deadline_us, window_us)
    parts.add(opened)
    return opened


def claimed(parts: Parts, of: Part, outcome: Outcome = Outcome.PASS) -> Claim | None:
    return parts.claim(of.number, outcome, Reason.LATE if outcome is Outcome.UNKNOWN else None)


def balanced(parts: Parts) -> bool:
    return parts.triggers == sum(parts.counts.values()) + parts.open


def test_numbers_and_positions_go_on_after_a_restart() -> None:
    """Part numbers and the sequence begin behind the last ones of the journal; the counts are of this run."""
    parts = Parts(last=41, seq=7)
    first, second = triggered(parts, 500), triggered(parts, 600)
    assert (first.number, second.number, parts.last) == (42, 43, 43)
    claim = claimed(parts, first)
    assert claim is not None
    assert claim.seq == 8
    assert (parts.triggers, parts.open) == (2, 1)
    assert parts.find(43) is second
    assert parts.all_open() == [second]


def test_the_first_claim_wins() -> None:
    """A second one gets nothing, takes no number and changes no count."""
    parts = Parts()
    opened = triggered(parts, 500)
    claim = claimed(parts, opened, Outcome.UNKNOWN)
    assert claim is not None
    assert (claim.seq, claim.outcome, claim.reason) == (1, Outcome.UNKNOWN, Reason.LATE)
    assert claimed(parts, opened) is None
    assert parts.find(opened.number) is None
    assert (parts.seq, parts.open) == (1, 0)
    assert parts.counts == {Outcome.PASS: 0, Outcome.UNKNOWN: 1, Outcome.REJECT: 0}


def test_the_sequence_follows_the_claims() -> None:
    """Not the triggers: the position is given when the verdict is."""
    parts = Parts()
    first, second = triggered(parts, 500), triggered(parts, 600)
    claims = [claimed(parts, second), claimed(parts, first)]
    assert [(claim.seq, claim.part.number) for claim in claims if claim is not None] == [(1, 2), (2, 1)]


def test_a_part_that_never_was_cannot_be_claimed() -> None:
    """Whoever claims it gets nothing."""
    parts = Parts()
    assert parts.claim(7, Outcome.PASS, None) is None
    assert (parts.seq, parts.triggers) == (0, 0)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(Outcome.UNKNOWN, None), (Outcome.PASS, Reason.LATE), (Outcome.REJECT, Reason.ENGINE)],
)
def test_a_reason_belongs_to_unknown_and_to_nothing_else(outcome: Outcome, reason: Reason | None) -> None:
    """Anything else is refused, and the part stays open for the right answer."""
    parts = Parts()
    opened = triggered(parts, 500)
    with pytest.raises(ValueError, match="part 1"):
        parts.claim(opened.number, outcome, reason)
    assert parts.open == 1
    assert claimed(parts, opened) is not None


def test_a_part_is_late_at_its_deadline_not_before() -> None:
    """And only while it is open; it stays open until it is claimed."""
    parts = Parts()
    opened = triggered(parts, 500)
    assert parts.due(499) == []
    assert not parts.is_late(opened, 499)
    assert parts.next_due_us() == 500
    assert parts.due(500) == [opened]
    assert parts.is_late(opened, 500)
    assert parts.find(1) is opened


def test_a_part_is_due_the_reserve_before_its_deadline() -> None:
    """So that its verdict can be kept by then."""
    parts = Parts(reserve_us=20)
    opened = triggered(parts, 500)
    assert parts.next_due_us() == 480
    assert parts.due(479) == []
    assert parts.due(480) == [opened]
    assert parts.is_late(opened, 480)


def test_a_part_is_due_at_its_window_and_again_at_its_deadline() -> None:
    """At the window it is not late yet."""
    parts = Parts()
    opened = triggered(parts, 500, window_us=450)
    assert parts.next_due_us() == 450
    assert parts.due(450) == [opened]
    assert not parts.is_late(opened, 450)
    assert parts.next_due_us() == 500
    assert parts.due(499) == []
    assert parts.due(500) == [opened]


def test_a_part_whose_window_and_deadline_have_passed_is_due_once() -> None:
    """A loop that was held up does not answer it twice."""
    parts = Parts()
    opened = triggered(parts, 500, window_us=450)
    assert parts.due(1000) == [opened]


def test_nothing_is_due_without_open_parts() -> None:
    """Neither at the start nor after the last claim."""
    parts = Parts()
    assert parts.next_due_us() is None
    claimed(parts, triggered(parts, 500, window_us=450))
    assert parts.next_due_us() is None
    assert parts.due(10_000) == []


@given(st.lists(st.tuples(st.sampled_from(["trigger", "claim", "expire"]), st.integers(0, 1000)), max_size=40))
def test_the_books_balance_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """triggers = PASS + UNKNOWN + REJECT + open after each step; late are the open ones only, the earliest first."""
    parts = Parts()
    now_us = 0
    open_parts: dict[int, Part] = {}
    for what, value in steps:
        if what == "trigger":
            opened = triggered(parts, now_us + value)
            open_parts[opened.number] = opened
        elif what == "claim" and open_parts:
            opened = open_parts.pop(sorted(open_parts)[value % len(open_parts)])
            assert claimed(parts, opened, list(Outcome)[value % 3]) is not None
        elif what == "expire":
            now_us += value
            late = parts.due(now_us)
            expected = [p for p in open_parts.values() if p.deadline_us <= now_us]
            assert late == sorted(expected, key=lambda p: (p.deadline_us, p.number))
            for opened in late:
                del open_parts[opened.number]
                assert claimed(parts, opened, Outcome.UNKNOWN) is not None
        assert balanced(parts)
        assert parts.open == len(open_parts)
        assert parts.next_due_us() == min((p.deadline_us for p in open_parts.values()), default=None)
        assert parts.seq == parts.triggers - parts.open


# ---- what the views decide ------------------------------------------------------------------------------------------


def viewed(*outcomes: Outcome | Reason | None) -> Part:
    """Return a part whose cameras found these outcomes, failed for these reasons, or have said nothing yet (None)."""
    names = [f"cam{i}" for i in range(1, len(outcomes) + 1)]
    seen = part(1, 500, None, *names)
    for view, outcome in zip(seen.views.values(), outcomes, strict=True):
        if isinstance(outcome, Reason):
            view.reason, view.detail = outcome, f"{view.camera} {outcome.value}"
        elif outcome is not None:
            reason = Reason.ENGINE if outcome is Outcome.UNKNOWN else None
            mask = mask_reference()
            view.result = result(camera=view.camera, outcome=outcome, reason=reason, stage=None, mask=mask)
    return seen


_SEVERITY = {Outcome.PASS: 0, Outcome.UNKNOWN: 1, Outcome.REJECT: 2}


@pytest.mark.parametrize("outcomes", list(itertools.product([*Outcome, Reason.CAMERA, None], repeat=3)))
def test_the_worst_view_decides(outcomes: tuple[Outcome | Reason | None, ...]) -> None:
    """REJECT at once, whatever the others say; else nothing before every view is known, then the worst of them."""
    decision = decision_from_views(viewed(*outcomes))
    known = [Outcome.UNKNOWN if isinstance(o, Reason) else o for o in outcomes if o is not None]
    if Outcome.REJECT in known:
        assert decision is not None
        assert (decision.outcome, decision.reason) == (Outcome.REJECT, None)
    elif None in outcomes:
        assert decision is None
    else:
        assert decision is not None
        assert decision.outcome is max(known, key=lambda outcome: _SEVERITY[outcome])
        assert (decision.reason is None) == (decision.outcome is Outcome.PASS)


def test_the_first_unknown_view_says_why() -> None:
    """In the order of the settings, with its own detail."""
    decision = decision_from_views(viewed(Outcome.PASS, Reason.DRIFT, Reason.CAMERA))
    assert decision is not None
    assert (decision.reason, decision.detail) == (Reason.DRIFT, "cam2 drift")


@pytest.mark.parametrize("mask", [None, mask_reference(complete=False)])
def test_a_pass_without_a_complete_mask_proves_nothing(mask: MaskReference | None) -> None:
    """Whatever an inspector says: what was not segmented may hold a defect."""
    seen = viewed(Outcome.PASS, Outcome.PASS)
    seen.views["cam2"].result = result(camera="cam2", outcome=Outcome.PASS, reason=None, stage=None, mask=mask)
    decision = decision_from_views(seen)
    assert decision is not None
    assert (decision.outcome, decision.reason) == (Outcome.UNKNOWN, Reason.ENGINE)


def test_a_part_in_doubt_is_never_a_pass() -> None:
    """If it is not certain that its views are its own; a REJECT stays one."""
    seen = viewed(Outcome.PASS)
    seen.doubt = "whose view is whose is not known"
    decision = decision_from_views(seen)
    assert decision is not None
    assert (decision.outcome, decision.reason, decision.detail) == (Outcome.UNKNOWN, Reason.CAMERA, seen.doubt)


def test_a_part_nobody_was_to_see_is_not_decided() -> None:
    """No view is no PASS."""
    seen = part()
    seen.views.clear()
    assert decision_from_views(seen) is None


def test_a_view_that_is_unknown_without_a_reason_is_a_failed_inspector() -> None:
    """A result is never better than what it proves."""
    seen = viewed(Outcome.PASS)
    unexplained: ViewResult = result(outcome=Outcome.UNKNOWN, reason=None)
    seen.views["cam1"].result = unexplained
    decision = decision_from_views(seen)
    assert decision is not None
    assert (decision.outcome, decision.reason) == (Outcome.UNKNOWN, Reason.ENGINE)


def test_the_stage_of_an_overload_is_told() -> None:
    """The result says in which stage there was no more time."""
    seen = viewed(Outcome.PASS)
    seen.views["cam1"].result = result(outcome=Outcome.UNKNOWN, reason=Reason.OVERLOAD, stage="segment")
    decision = decision_from_views(seen)
    assert decision is not None
    assert (decision.reason, decision.stage) == (Reason.OVERLOAD, "segment")


def test_a_fault_of_capture_outweighs_a_result() -> None:
    """A view that was given up stays UNKNOWN, also when a PASS is noted for it."""
    seen = viewed(Outcome.PASS)
    seen.views["cam1"].reason = Reason.CAMERA
    assert seen.views["cam1"].outcome is Outcome.UNKNOWN


def test_the_first_view_that_is_awaited_has_spent_the_time() -> None:
    """Also where a later one is awaited too; nobody, when all are known."""
    seen = viewed(Outcome.PASS, None, None)
    seen.views["cam2"].frame = FrameOf(camera="cam2", open_no=1, frame_no=1)
    holder = holder_of(seen)
    assert holder is not None
    assert holder.camera == "cam2"
    assert holder_of(viewed(Outcome.PASS, Reason.CAMERA)) is None
