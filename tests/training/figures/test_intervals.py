"""Intervals over independent parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.figures.intervals import (
    FEWEST_GROUPS,
    bootstrap,
    clopper_pearson,
    lower_bound,
    mean,
    misses_allowed,
    parts_needed,
    rate,
    upper_bound,
    wilson,
)


def test_nothing_missed_proves_about_three_in_n() -> None:
    """The bound of zero misses is 1 - 0.05**(1/n): 9.5 % of thirty parts, 0.3 % of a thousand."""
    assert upper_bound(0, 30) == pytest.approx(0.0950, abs=5e-5)
    assert upper_bound(0, 1000) == pytest.approx(1 - 0.05 ** (1 / 1000))


@pytest.mark.parametrize(("misses", "thousandths"), [(0, 3.0), (1, 4.7), (2, 6.3), (3, 7.7), (5, 10.5)])
def test_each_miss_raises_the_bound(misses: int, thousandths: float) -> None:
    """Of a thousand parts with 0, 1, 2, 3 and 5 misses, as the tables have it."""
    assert 1000 * upper_bound(misses, 1000) == pytest.approx(thousandths, abs=0.05)


def test_two_sided_bounds_of_a_share() -> None:
    """Two of a hundred: 0.24 to 7.04 % exactly, 0.6 to 7.0 % by Wilson."""
    exact = clopper_pearson(2, 100)
    assert (exact.low, exact.high) == (pytest.approx(0.00243, abs=5e-6), pytest.approx(0.07038, abs=5e-6))
    score = wilson(2, 100)
    assert (score.low, score.high) == (pytest.approx(0.00550, abs=5e-6), pytest.approx(0.07001, abs=5e-6))


def test_bounds_at_the_ends() -> None:
    """All of them leaves nothing above, none of them nothing below."""
    assert (upper_bound(5, 5), lower_bound(0, 5)) == (1.0, 0.0)
    assert lower_bound(5, 5) == pytest.approx(0.05 ** (1 / 5))


@pytest.mark.parametrize(("target", "parts"), [(0.01, 299), (0.005, 598), (0.001, 2995), (0.0001, 29956)])
def test_parts_needed_without_a_miss(target: float, parts: int) -> None:
    """ln(1 - C) / ln(1 - p), rounded up."""
    assert parts_needed(target) == parts


@given(st.floats(0.002, 0.9), st.integers(0, 6), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_parts_needed_is_the_fewest_that_do(target: float, misses: int, confidence: float) -> None:
    """So many parts prove the target with so many misses, and one part fewer does not."""
    needed = parts_needed(target, misses, confidence)
    assert upper_bound(misses, needed, confidence) <= target + 1e-9
    assert needed == misses + 1 or upper_bound(misses, needed - 1, confidence) > target - 1e-9


@pytest.mark.parametrize("target", [0.0, 1.0, float("nan")])
def test_no_number_of_parts_proves_everything(target: float) -> None:
    """A rate of exactly nothing cannot be proven."""
    with pytest.raises(ValueError, match="expected more than 0"):
        parts_needed(target)


def test_misses_allowed_for_a_target() -> None:
    """With 298 parts not even zero misses prove 1 %, with 299 zero do, with 473 one does."""
    assert [misses_allowed(0.01, parts) for parts in (298, 299, 472, 473)] == [None, 0, 0, 1]


def test_a_bound_of_no_part_is_refused() -> None:
    """Nothing of nothing is no share."""
    with pytest.raises(ValueError, match="0 of 0"):
        upper_bound(0, 0)


def test_groups_are_what_counts() -> None:
    """Six pictures of two parts, one of them missed once: one in six by picture, one in two for the bound."""
    missed = rate([True, False, False, False, False, False], ["a", "a", "a", "b", "b", "b"])
    assert (missed.hits, missed.images, missed.groups_hit, missed.groups) == (1, 6, 1, 2)
    assert missed.value == pytest.approx(1 / 6)
    assert missed.at_most == pytest.approx(upper_bound(1, 2))
    assert missed.interval == clopper_pearson(1, 2)


def test_a_rate_of_nothing_is_none() -> None:
    """Without a picture there is no rate and no bound."""
    nothing = rate([], [])
    assert (nothing.value, nothing.interval, nothing.at_most) == (None, None, None)


def test_too_few_groups_give_no_interval() -> None:
    """Seven parts give a mean, but no interval, however many pictures of them there are."""
    groups = [str(index % (FEWEST_GROUPS - 1)) for index in range(70)]
    few = mean([1.0, 0.0] * 35, groups)
    assert (few.value, few.interval, few.images, few.groups) == (0.5, None, 70, 7)


def test_pictures_of_one_part_do_not_narrow_the_interval() -> None:
    """Ten parts photographed ten times are as uncertain as ten parts photographed once."""
    values = [index / 10 for index in range(10)]
    once = mean(values, [str(index) for index in range(10)])
    often = mean(values * 10, [str(index) for index in range(10)] * 10)
    assert once.interval is not None
    assert often.interval is not None
    assert (often.interval.low, often.interval.high) == pytest.approx((once.interval.low, once.interval.high))
    assert 0.2 < once.interval.low < 0.35
    assert 0.55 < once.interval.high < 0.7


def test_draws_that_give_no_figure_are_left_out() -> None:
    """A statistic may be undefined for some draws; the interval is over the others."""
    groups = [str(index) for index in range(9)]
    found = bootstrap(lambda at: 1.0 if 0 in at else None, groups)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (1.0, 1.0)
