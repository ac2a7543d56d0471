"""A page of the journal: given bit by bit, refused when there is a hole in it."""

from __future__ import annotations

import pytest

from edge.errors import WireError
from edge.records import Verdict
from edge.requests import Missing, Replayed
from edge.subscription.page import Page
from edge.subscription.sequence import Missed, Position, Sequence
from tests.support.records import verdict

EPOCH = verdict(1).epoch
START = Position(EPOCH, 4)


def replayed(*verdicts: Verdict, missing: Missing | None = None) -> Replayed:
    last = verdicts[-1].seq if verdicts else START.seq
    return Replayed(version=1, id="a", now_us=0, count=len(verdicts), epoch=EPOCH, seq=last, end=True, missing=missing)


def test_verdicts_come_in_their_order_with_their_numbers() -> None:
    """Then nothing more; what the station said with them stays until it is dropped."""
    page, sequence = Page(), Sequence(START)
    verdicts = verdict(5), verdict(6)
    page.take(sequence.position, replayed(*verdicts), verdicts)
    assert [page.deliver(sequence) for _ in range(3)] == [(verdicts[0], 1), (verdicts[1], 2), None]
    assert page.answer is not None
    page.drop()
    assert page.answer is None


def test_what_was_delivered_live_is_passed_over() -> None:
    """A verdict has one number, however often it is given."""
    page, sequence = Page(), Sequence(START)
    sequence.deliver_live(EPOCH, 5, journaled=False)
    verdicts = verdict(5), verdict(6)
    page.take(sequence.position, replayed(*verdicts), verdicts)
    assert page.deliver(sequence) == (verdicts[1], 2)


def test_what_can_no_longer_be_given_is_told_first() -> None:
    """In its place, before the verdicts behind it."""
    page, sequence = Page(), Sequence(START)
    missing = Missing(epoch=EPOCH, first=5, last=7, why="retention")
    page.take(sequence.position, replayed(verdict(8), missing=missing), (verdict(8),))
    assert page.deliver(sequence) == Missed(EPOCH, 5, 7, "retention")
    assert page.deliver(sequence) == (verdict(8), 1)


@pytest.mark.parametrize("seqs", [(6,), (5, 7)], ids=["before the page", "in it"])
def test_a_hole_is_refused(seqs: tuple[int, ...]) -> None:
    """The verdict that is not there would be taken for one that never was."""
    page = Page()
    verdicts = tuple(verdict(seq) for seq in seqs)
    with pytest.raises(WireError, match=f"to {seqs[-1]}, expected no hole"):
        page.take(START, replayed(*verdicts), verdicts)
