"""How long phases last, and how fast they learn."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigurationError
from training.fit.schedule import (
    END,
    START,
    Stopwatch,
    legs_from_phases,
    rate_factor,
    seconds_from_text,
    text_from_seconds,
)
from training.fit.strategy import phases


@given(st.integers(2, 500))
def test_all_epochs_are_dealt_and_each_phase_has_one(epochs: int) -> None:
    """The phases' epochs sum up, and their shares are kept to the epoch."""
    staged = phases("staged")
    legs = legs_from_phases(staged, epochs, None)
    assert sum(leg.epochs or 0 for leg in legs) == epochs
    for leg in legs:
        assert leg.epochs is not None
        assert leg.epochs >= 1
        assert abs(leg.epochs - leg.phase.share * epochs) <= 1.0


def test_time_is_dealt_by_shares() -> None:
    """The last phase ends with the budget."""
    legs = legs_from_phases(phases("staged"), None, 100.0)
    assert [leg.until_s for leg in legs] == [pytest.approx(100.0 * legs[0].phase.share), 100.0]
    assert [leg.epochs for leg in legs] == [None, None]


@pytest.mark.parametrize(("epochs", "budget_s"), [(None, None), (3, 60.0)])
def test_a_length_is_given_once(epochs: int | None, budget_s: float | None) -> None:
    """Neither and both are refused."""
    with pytest.raises(ConfigurationError, match="--epochs and --time-budget: expected one"):
        legs_from_phases(phases("scratch"), epochs, budget_s)


def test_each_phase_needs_an_epoch() -> None:
    """One epoch cannot be frozen and finetune."""
    with pytest.raises(ConfigurationError, match="--epochs 1: expected at least 2, one each for frozen and finetune"):
        legs_from_phases(phases("staged"), 1, None)


def test_the_rate_is_that_of_pytorchs_one_cycle() -> None:
    """At each step the factor is what OneCycleLR gives for the same warm-up, within its last step."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=1001, pct_start=0.3, cycle_momentum=False)
    for step in range(1000):
        assert rate_factor(step / 1000.0, 0.3) == pytest.approx(theirs.get_last_lr()[0], abs=4e-3)
        optimizer.step()
        theirs.step()


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_the_rate_stays_between_its_end_and_its_peak(share: float, warm_up: float) -> None:
    """Whatever the warm-up, also none and nothing else."""
    assert END <= rate_factor(share, warm_up) <= 1.0


def test_the_rate_begins_low_and_ends_at_nothing() -> None:
    """A warm-up from START, then down to END; without one it begins at the peak."""
    assert rate_factor(0.0, 0.15) == pytest.approx(START)
    assert rate_factor(0.15, 0.15) == pytest.approx(1.0)
    assert rate_factor(1.0, 0.15) == pytest.approx(END)
    assert rate_factor(0.0, 0.0) == 1.0


def test_a_stopwatch_counts_what_was_before() -> None:
    """Seconds of an earlier process are added to those of this one."""
    watch = Stopwatch(itertools.count(100).__next__)
    assert watch.elapsed_s() == 1
    watch.add(50.0)
    assert watch.elapsed_s() == 52


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2h", 7200), ("1m1s", 61)])
def test_a_duration_is_read(text: str, seconds: int) -> None:
    """Hours, minutes and seconds, in this order."""
    assert seconds_from_text(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "m", "30m1h", "-5s", "0s", "1.5h", "5 minutes"])
def test_no_duration_is_refused(text: str) -> None:
    """A number without its unit is not guessed."""
    with pytest.raises(ValueError, match="expected for instance 90s, 30m or 1h30m"):
        seconds_from_text(text)


@pytest.mark.parametrize(("seconds", "text"), [(8.4, "8 s"), (750.0, "12 min 30 s"), (3900.0, "1 h 05 min")])
def test_durations_are_said_for_people(seconds: float, text: str) -> None:
    """As coarse as one wants to know it."""
    assert text_from_seconds(seconds) == text
    assert math.isfinite(seconds)
