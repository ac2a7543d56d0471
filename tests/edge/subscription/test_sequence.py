"""What comes next, what is proven, what may be acknowledged."""

from __future__ import annotations

from edge.requests import Missing
from edge.subscription.sequence import Missed, Position, Sequence

# Falling: nobody may compare them.
A, B = 20, 10


def tentative(*seqs: int, start: int = 4) -> Sequence:
    """Return a sequence behind (A, start) that was given these live, not journaled."""
    sequence = Sequence(Position(A, start))
    for seq in seqs:
        sequence.deliver_live(A, seq, journaled=False)
    return sequence


def test_a_journaled_verdict_moves_the_position() -> None:
    """And proves those before it."""
    sequence = tentative(5, 6)
    assert sequence.position == Position(A, 4)
    assert sequence.follows(A, 7)
    sequence.deliver_live(A, 7, journaled=True)
    assert sequence.position == Position(A, 7)


def test_a_verdict_counts_when_the_journal_has_it() -> None:
    """The heartbeat's journaled_seq proves so many; the rest stays tentative and is not delivered again."""
    sequence = tentative(5, 6, 7)
    sequence.prove(A, 6)
    assert sequence.position == Position(A, 6)
    assert sequence.had(A, 7)
    assert sequence.deliver_replayed(A, 7) is None
    assert sequence.position == Position(A, 7)
    assert sequence.follows(A, 8)


def test_proof_of_another_epoch_proves_nothing() -> None:
    """Nor does one of earlier verdicts."""
    sequence = tentative(5, 6)
    sequence.prove(B, 6)
    sequence.prove(A, 4)
    assert sequence.position == Position(A, 4)


def test_a_number_that_is_given_anew_is_delivered_again() -> None:
    """Verdicts that their station lost are another's now: (A, 5) is not (B, 5)."""
    sequence = tentative(5, 6)
    assert sequence.deliver_replayed(B, 5) == 3
    assert sequence.position == Position(B, 5)
    assert sequence.follows(B, 6)


def test_an_epoch_may_begin_while_the_journal_fails() -> None:
    """Live verdicts go on behind the position, though those of the last epoch were never proven."""
    sequence = tentative(5, 6)
    assert sequence.follows(B, 5)
    assert not sequence.had(B, 5)
    assert sequence.deliver_live(B, 5, journaled=False) == 3
    assert sequence.position == Position(A, 4)
    assert sequence.last_seq(B) == 5
    sequence.prove(A, 6)
    assert sequence.position == Position(A, 4)
    sequence.prove(B, 5)
    assert sequence.position == Position(B, 5)


def test_what_was_journaled_before_the_crash_is_not_delivered_again() -> None:
    """Of three tentative verdicts the journal kept one."""
    sequence = tentative(5, 6, 7)
    assert sequence.deliver_replayed(A, 5) is None
    sequence.stand(Position(B, 5))
    assert sequence.follows(B, 6)
    assert sequence.deliver_live(B, 6, journaled=False) == 4
    assert sequence.position == Position(B, 5)


def test_a_lost_verdict_is_acknowledged_as_the_last_one_kept_before_it() -> None:
    """Never a position that the journal does not have."""
    sequence = Sequence(Position(A, 4))
    sequence.deliver_live(A, 5, journaled=True)
    lost = sequence.deliver_live(A, 6, journaled=False)
    sequence.acknowledge(lost)
    assert sequence.acknowledgeable() == Position(A, 5)
    number = sequence.deliver_replayed(B, 6)
    assert number is not None
    assert sequence.acknowledgeable() == Position(A, 5)
    sequence.acknowledge(number)
    assert sequence.acknowledgeable() == Position(B, 6)


def test_nothing_is_acknowledged_before_something_is() -> None:
    """Delivered alone is not dealt with; tentative alone is not kept."""
    sequence = tentative(5)
    assert sequence.acknowledgeable() is None
    sequence.acknowledge(1)
    assert sequence.acknowledgeable() is None
    sequence.prove(A, 5)
    assert sequence.acknowledgeable() == Position(A, 5)


def test_acknowledgements_never_go_back() -> None:
    """An older one after a newer one changes nothing."""
    sequence = Sequence(Position(A, 0))
    for seq in (1, 2, 3):
        sequence.deliver_live(A, seq, journaled=True)
    sequence.acknowledge(3)
    sequence.acknowledge(1)
    assert sequence.acknowledgeable() == Position(A, 3)


def test_a_hole_is_told_once_and_without_what_was_seen_live() -> None:
    """(A, 5) and (A, 6) were delivered and never journaled: 7 to 9 are missed, and when it grows only the rest."""
    sequence = tentative(5, 6)
    assert sequence.deliver_missing(Missing(epoch=A, first=5, last=9, why="lost")) == Missed(A, 7, 9, "lost")
    assert sequence.deliver_missing(Missing(epoch=A, first=5, last=9, why="lost")) is None
    assert sequence.deliver_missing(Missing(epoch=A, first=5, last=12, why="lost")) == Missed(A, 10, 12, "lost")
    seen = tentative(5, 6)
    assert seen.deliver_missing(Missing(epoch=A, first=5, last=6, why="lost")) is None


def test_a_hole_of_unknown_length_is_told_once() -> None:
    """As after a journal that was lost."""
    sequence = Sequence(Position(A, 4))
    missing = Missing(epoch=A, first=5, last=None, why="unknown_epoch")
    assert sequence.deliver_missing(missing) == Missed(A, 5, None, "unknown_epoch")
    assert sequence.deliver_missing(missing) is None
