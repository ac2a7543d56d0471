"""Which epoch is the present one, and which are over."""

from __future__ import annotations

from edge.subscription.epochs import Epochs


def test_an_epoch_is_over_when_another_is_entered() -> None:
    """The one before, and one that was heard of in between and was not it."""
    epochs = Epochs()
    epochs.enter(1)
    epochs.doubt(2)
    epochs.enter(3)
    assert epochs.present == 3
    assert [epochs.is_over(epoch) for epoch in (1, 2, 3)] == [True, True, False]


def test_a_doubted_epoch_may_be_the_present_one() -> None:
    """Then it is not over."""
    epochs = Epochs()
    epochs.enter(1)
    epochs.doubt(2)
    epochs.enter(2)
    assert [epochs.is_over(epoch) for epoch in (1, 2)] == [True, False]


def test_what_is_over_stays_over_when_all_begins_again() -> None:
    """The present one is asked for anew; it is not over for that."""
    epochs = Epochs()
    epochs.enter(1)
    epochs.enter(2)
    epochs.begin()
    assert epochs.present is None
    assert [epochs.is_over(epoch) for epoch in (1, 2)] == [True, False]
