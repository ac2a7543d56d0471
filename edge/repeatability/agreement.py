"""
Agreement of attributes: does the station say the same of the same part, and is it right? Pure.

What is independent is the part, not its presentation: intervals are over parts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, TypeAlias

import msgspec

from edge.records import Outcome

Truth: TypeAlias = Literal["PASS", "REJECT"]

CONFIDENCE = 0.95


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """So many of so many, with the interval that covers the true share with probability CONFIDENCE."""

    n: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.n / self.of


def share(n: int, of: int) -> Share | None:
    """
    Return the share with its Wilson score interval; None of nothing.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) 209; without
    continuity correction, as in Brown, Cai, DasGupta, Statistical Science 16 (2001) 101, equation 4.
    """
    if of == 0:
        return None
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    p, z2 = n / of, z * z
    centre = (p + z2 / (2 * of)) / (1 + z2 / of)
    half = z / (1 + z2 / of) * math.sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    # At the ends the interval ends there; rounding must not say otherwise.
    return Share(n=n, of=of, low=0.0 if n == 0 else centre - half, high=1.0 if n == of else centre + half)


def fleiss_kappa(outcomes: Sequence[Sequence[Outcome]]) -> float | None:
    """
    Return the agreement beyond chance of the presentations of each part; 1 = perfect, 0 = as by chance.

    Args:
        outcomes: by part; every part equally often, twice or more.

    Returns:
        None when it is not defined: fewer than two parts, or every outcome the same.

    Source: Fleiss, Measuring nominal scale agreement among many raters, Psychological Bulletin 76 (1971) 378,
    equations 3 to 7. It moves with the share of bad parts: read it beside the shares.
    """
    if len(outcomes) < 2 or len(outcomes[0]) < 2:
        return None
    n = len(outcomes[0])
    tables = [[part.count(outcome) for outcome in Outcome] for part in map(list, outcomes)]
    within = [(sum(count * count for count in table) - n) / (n * (n - 1)) for table in tables]
    total = n * len(tables)
    by_chance = sum((sum(table[k] for table in tables) / total) ** 2 for k in range(len(Outcome)))
    if math.isclose(by_chance, 1.0):
        return None
    return (sum(within) / len(within) - by_chance) / (1 - by_chance)


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What a study of attributes comes to."""

    within: Share | None
    """Parts of which the same was said every time; UNKNOWN says nothing."""
    kappa: float | None
    """Over the parts that were presented equally often; UNKNOWN is an outcome like the others."""
    unknown: Share | None
    """Parts that were UNKNOWN at least once."""
    right: Share | None
    """Parts of known truth that were judged rightly every time; None without a truth."""
    missed: Share | None
    """Bad parts that were a PASS at least once."""
    false_alarms: Share | None
    """Good parts that were not a PASS at least once."""


@dataclass(frozen=True)
class _Judged:
    outcomes: Sequence[Outcome]
    truth: Truth | None

    @property
    def agrees(self) -> bool:
        return len(set(self.outcomes)) == 1 and Outcome.UNKNOWN not in self.outcomes

    @property
    def right(self) -> bool:
        return all(outcome.value == self.truth for outcome in self.outcomes)


def agreement(outcomes: Mapping[str, Sequence[Outcome]], truth: Mapping[str, Truth]) -> Agreement:
    """
    Return how far the station agrees with itself, and with what is known of the parts.

    Args:
        outcomes: by part, one for each presentation; two or more of a part, or it is left out of ``within``.
        truth: by part, of those where it is known.
    """
    parts = [_Judged(found, truth.get(name)) for name, found in outcomes.items() if found]
    repeated = [part for part in parts if len(part.outcomes) > 1]
    most = max((len(part.outcomes) for part in repeated), default=0)
    known = [part for part in parts if part.truth is not None]
    bad = [part for part in known if part.truth == "REJECT"]
    good = [part for part in known if part.truth == "PASS"]
    return Agreement(
        within=share(sum(part.agrees for part in repeated), len(repeated)),
        kappa=fleiss_kappa([part.outcomes for part in repeated if len(part.outcomes) == most]),
        unknown=share(sum(Outcome.UNKNOWN in part.outcomes for part in parts), len(parts)),
        right=share(sum(part.right for part in known), len(known)),
        missed=share(sum(Outcome.PASS in part.outcomes for part in bad), len(bad)),
        false_alarms=share(sum(not part.right for part in good), len(good)),
    )
