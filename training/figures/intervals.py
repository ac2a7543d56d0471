"""
How far a figure can be trusted: intervals over independent parts.

What is independent is a group: pictures of one group show one part, so that a hundred of them prove no more than one.
Rates have exact bounds (Clopper-Pearson), everything else a bootstrap over groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]  # scipy brings no types

CONFIDENCE = 0.95
FEWEST_GROUPS = 8
"""Of fewer, a bootstrap tells the spread of these few and nothing of the next part: no interval is given."""
REPEATS = 1000
BOOTSTRAP_SEED = 7
PPM = 1e6

Statistic = Callable[[NDArray[np.int64]], float | None]
"""From the positions of the pictures that were drawn, to the figure; None where these give none."""


class Interval(msgspec.Struct, frozen=True):
    """Both ends of a two-sided interval."""

    low: float
    high: float


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """
    How often something happened, by picture and by group; a group is hit when any of its pictures is.

    A line that takes one picture a part sees the picture's rate. Interval and bound are of the group's rate: of a part
    that is looked at as often as these were, any look counting. That errs on the side of caution for escapes.
    """

    hits: int
    images: int
    groups_hit: int
    groups: int
    confidence: float
    interval: Interval | None
    """Two-sided, exact, by group; None where there is no group."""
    at_most: float | None
    """One-sided exact upper bound by group: with *confidence* the rate is not higher."""

    @property
    def value(self) -> float | None:
        """0..1, by picture."""
        return self.hits / self.images if self.images else None


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A figure and its bootstrap interval over groups."""

    value: float | None
    """None where the pictures give none."""
    interval: Interval | None
    """None with fewer than FEWEST_GROUPS groups."""
    images: int
    groups: int
    confidence: float


def clopper_pearson(hits: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """
    Return the exact two-sided interval of a share.

    Source: Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    Biometrika 26 (1934) 404-413.
    """
    outside = (1.0 - confidence) / 2.0
    return Interval(lower_bound(hits, trials, 1.0 - outside), upper_bound(hits, trials, 1.0 - outside))


def upper_bound(hits: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Return the exact one-sided upper bound of a share; 1 - (1 - confidence)**(1 / trials) where nothing was hit."""
    _require_counts(hits, trials)
    return 1.0 if hits == trials else float(stats.beta.ppf(confidence, hits + 1, trials - hits))


def lower_bound(hits: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Return the exact one-sided lower bound of a share."""
    _require_counts(hits, trials)
    return 0.0 if hits == 0 else float(stats.beta.ppf(1.0 - confidence, hits, trials - hits + 1))


def wilson(hits: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """
    Return Wilson's two-sided score interval of a share: nearer to it on average, but not guaranteed.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209-212.
    """
    _require_counts(hits, trials)
    z = float(stats.norm.ppf(0.5 + confidence / 2.0))
    middle = (hits + z * z / 2.0) / trials
    spread = z / trials * math.sqrt(hits * (trials - hits) / trials + z * z / 4.0)
    scale = 1.0 + z * z / trials
    return Interval(max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))


def parts_needed(target: float, misses: int = 0, confidence: float = CONFIDENCE) -> int:
    """
    Return how many independent parts, *misses* of them missed, prove a rate of at most *target*.

    The exact form of "zero misses in n prove about 3/n": the smallest n whose upper_bound() is not above the target.

    Args:
        target: 0..1, neither included.
        misses: how many of them are missed.
        confidence: 0..1, one-sided.
    """
    if not 0.0 < target < 1.0:
        raise ValueError(f"target {target}: expected more than 0 and less than 1; no number of parts proves 0")
    low, high = misses, misses + 1
    while not _proves(high, misses, target, confidence):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _proves(middle, misses, target, confidence) else (middle, high)
    return high


def misses_allowed(target: float, parts: int, confidence: float = CONFIDENCE) -> int | None:
    """Return how many of *parts* may be missed so that a rate of at most *target* is proven; None: not even none."""
    allowed = None
    for misses in range(parts):
        if not _proves(parts, misses, target, confidence):
            break
        allowed = misses
    return allowed


def rate(hits: Sequence[bool], groups: Sequence[str], confidence: float = CONFIDENCE) -> Rate:
    """
    Count how often something happened.

    Args:
        hits: for each picture.
        groups: of each picture.
        confidence: of interval and bound.
    """
    hit = {group for group, happened in zip(groups, hits, strict=True) if happened}
    count = len(set(groups))
    return Rate(
        hits=sum(map(bool, hits)),
        images=len(hits),
        groups_hit=len(hit),
        groups=count,
        confidence=confidence,
        interval=clopper_pearson(len(hit), count, confidence) if count else None,
        at_most=upper_bound(len(hit), count, confidence) if count else None,
    )


def bootstrap(statistic: Statistic, groups: Sequence[str], confidence: float = CONFIDENCE) -> Estimate:
    """
    Compute a figure of pictures and its percentile interval over groups, which are drawn whole, with replacement.

    Source: Davison, Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8, strategy 1: clusters are
    drawn, not what is in them.

    Args:
        statistic: of some of the pictures.
        groups: of each picture; equal ones are not independent.
        confidence: of the interval.
    """
    value = statistic(np.arange(len(groups)))
    count = len(set(groups))
    drawn: list[float] = []
    if count >= FEWEST_GROUPS and value is not None:
        drawn = [figure for at in _draws(groups) if (figure := statistic(at)) is not None]
    tail = 50.0 * (1.0 - confidence)
    interval = Interval(*map(float, np.percentile(drawn, [tail, 100.0 - tail]))) if drawn else None
    return Estimate(value=value, interval=interval, images=len(groups), groups=count, confidence=confidence)


def mean(values: Sequence[float], groups: Sequence[str], confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean of one value a picture, with its interval over groups; nothing for no pictures."""
    array = np.array(values, np.float64)
    return bootstrap(lambda at: float(array[at].mean()) if len(at) else None, groups, confidence)


def _draws(groups: Sequence[str]) -> Iterator[NDArray[np.int64]]:
    """Yield REPEATS times as many groups as there are, drawn with replacement: the positions of their pictures."""
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    _, member_of, sizes = np.unique(np.array(groups, str), return_inverse=True, return_counts=True)
    by_group = np.argsort(member_of, kind="stable")
    starts = np.cumsum(sizes) - sizes
    for _ in range(REPEATS):
        draw = rng.integers(len(sizes), size=len(sizes))
        # Each group's run of positions, laid end to end without a loop.
        ends = np.cumsum(sizes[draw])
        yield by_group[np.arange(ends[-1]) + np.repeat(starts[draw] - ends + sizes[draw], sizes[draw])]


def _proves(parts: int, misses: int, target: float, confidence: float) -> bool:
    # The definition of the exact bound: at the target so few misses are no more likely than the doubt that is left.
    return bool(stats.binom.cdf(misses, parts, target) <= 1.0 - confidence)


def _require_counts(hits: int, trials: int) -> None:
    if not 0 <= hits <= trials or trials == 0:
        raise ValueError(f"{hits} of {trials}: expected 0 to n of n parts, n at least 1")
