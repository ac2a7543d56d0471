"""Parts: the first claim wins, the count always balances, deadlines come in their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.records import Outcome, Reason
from edge.station.parts import Claim, Part, Parts
from tests.support.records import view


def triggered(parts: Parts, deadline_us: int) -> Part:
    return parts.trigger("cam1", 1, parts.triggers + 1, "x.png", deadline_us - 100, deadline_us)


def claimed(parts: Parts, part: Part, outcome: Outcome = Outcome.PASS) -> Claim | None:
    reason = Reason.LATE if outcome is Outcome.UNKNOWN else None
    return parts.claim(part.number, outcome, reason, "", view(outcome=outcome))


def balanced(parts: Parts) -> bool:
    return parts.triggers == sum(parts.counts.values()) + parts.open


def test_parts_are_numbered_from_one_and_carry_what_was_triggered() -> None:
    """Number, camera, frame, source and both times."""
    parts = Parts()
    first, second = triggered(parts, 500), triggered(parts, 600)
    assert (first.number, second.number) == (1, 2)
    assert (second.camera, second.frame_no, second.source) == ("cam1", 2, "x.png")
    assert (second.trigger_us, second.deadline_us) == (500, 600)
    assert parts.find(2) is second
    assert parts.all_open() == [first, second]


def test_the_first_claim_wins() -> None:
    """A second one gets nothing, takes no number and changes no count."""
    parts = Parts()
    part = triggered(parts, 500)
    claim = claimed(parts, part, Outcome.UNKNOWN)
    assert claim is not None
    assert (claim.seq, claim.outcome, claim.reason) == (1, Outcome.UNKNOWN, Reason.LATE)
    assert claimed(parts, part) is None
    assert parts.find(part.number) is None
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
    assert parts.claim(7, Outcome.PASS, None, "", view()) is None
    assert (parts.seq, parts.triggers) == (0, 0)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(Outcome.UNKNOWN, None), (Outcome.PASS, Reason.LATE), (Outcome.REJECT, Reason.ENGINE)],
)
def test_a_reason_belongs_to_unknown_and_to_nothing_else(outcome: Outcome, reason: Reason | None) -> None:
    """Anything else is refused, and the part stays open for the right answer."""
    parts = Parts()
    part = triggered(parts, 500)
    with pytest.raises(ValueError, match="part 1"):
        parts.claim(part.number, outcome, reason, "", view())
    assert parts.open == 1
    assert claimed(parts, part) is not None


def test_a_part_is_late_at_its_deadline_not_before() -> None:
    """And only while it is open; it stays open until it is claimed."""
    parts = Parts()
    part = triggered(parts, 500)
    assert parts.expired(499) == []
    assert parts.next_deadline_us() == 500
    assert parts.expired(500) == [part]
    assert parts.find(1) is part


def test_nothing_is_due_without_open_parts() -> None:
    """Neither at the start nor after the last claim."""
    parts = Parts()
    assert parts.next_deadline_us() is None
    claimed(parts, triggered(parts, 500))
    assert parts.next_deadline_us() is None
    assert parts.expired(10_000) == []


@given(st.lists(st.tuples(st.sampled_from(["trigger", "claim", "expire"]), st.integers(0, 1000)), max_size=40))
def test_the_books_balance_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """triggers = PASS + UNKNOWN + REJECT + open after each step; late are the open ones only, the earliest first."""
    parts = Parts()
    now_us = 0
    open_parts: dict[int, Part] = {}
    for what, value in steps:
        if what == "trigger":
            part = triggered(parts, now_us + value)
            open_parts[part.number] = part
        elif what == "claim" and open_parts:
            part = open_parts.pop(sorted(open_parts)[value % len(open_parts)])
            assert claimed(parts, part, list(Outcome)[value % 3]) is not None
        elif what == "expire":
            now_us += value
            late = parts.expired(now_us)
            expected = [p for p in open_parts.values() if p.deadline_us <= now_us]
            assert late == sorted(expected, key=lambda p: (p.deadline_us, p.number))
            for part in late:
                del open_parts[part.number]
                assert claimed(parts, part, Outcome.UNKNOWN) is not None
        assert balanced(parts)
        assert parts.open == len(open_parts)
        assert parts.next_deadline_us() == min((p.deadline_us for p in open_parts.values()), default=None)
        assert parts.seq == parts.triggers - parts.open
