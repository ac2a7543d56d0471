"""How far what is measured of a part spreads over its presentations: area and certainty of each class. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

import msgspec

from edge.records import Outcome, Verdict
from edge.rules import Recipe

# A limit within so many standard deviations of what a part measures on the average is near: beyond them one
# presentation in 700 would fall on its other side, if what is measured were normal.
NEAR_SDS = 3.0

QUANTITIES = ("area_px", "peak", "score")
"""Of the largest region of a class; of its most certain one; the classifier's highest score. 0 where there is none."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one presentation measured of one class, over all views.

    None: the masks were not complete, as of a REJECT that was decided early: a part of the region may be missing.
    """

    area_px: float | None
    peak: float | None
    score: float


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Of one quantity of one class over the whole study."""

    defect: str
    quantity: str
    parts: int
    """That have it at all, and were presented twice or more."""
    repeatability_sd: float | None
    """Standard deviation of one presentation of the same part, pooled over the parts."""
    worst_range: float
    """Largest less smallest of one part."""
    worst_part: str


class Near(msgspec.Struct, frozen=True, kw_only=True):
    """A part that another presentation may put on the other side of a limit."""

    part: str
    defect: str
    quantity: str
    mean: float
    sd: float
    limit: float


def measured(verdict: Verdict) -> dict[str, Measured]:
    """Return what a verdict measured of each class; nothing of one that is UNKNOWN."""
    if verdict.outcome is Outcome.UNKNOWN:
        return {}
    scores: dict[str, float] = {}
    for view in verdict.views:
        for name, score in view.scores.items():
            scores[name] = max(score, scores.get(name, 0.0))
    defects = [defect for view in verdict.views for defect in view.defects]
    whole = verdict.complete
    return {
        name: Measured(
            area_px=max((float(d.area_px) for d in defects if d.name == name), default=0.0) if whole else None,
            peak=max((d.peak for d in defects if d.name == name), default=0.0) if whole else None,
            score=score,
        )
        for name, score in scores.items()
    }


def spreads(found: Mapping[str, Sequence[Mapping[str, Measured]]]) -> tuple[Spread, ...]:
    """
    Return how far each quantity of each class spreads.

    Args:
        found: by part, one for each presentation; empty ones are left out.

    Source: the repeatability variance of ISO 5725-2, that is, the equipment variation of a one-way analysis of variance
    with the part as its factor (Automotive Industry Action Group, Measurement Systems Analysis, 4th edition, 2010).
    """
    every = ((name, quantity) for name in _classes(found) for quantity in QUANTITIES)
    return tuple(_spread(found, name, quantity) for name, quantity in every)


def near_limits(found: Mapping[str, Sequence[Mapping[str, Measured]]], recipe: Recipe) -> tuple[Near, ...]:
    """
    Return the parts whose mean lies within NEAR_SDS of their own standard deviations of the recipe's limit.

    Their own, not the pooled one: a large region spreads more than a small one.
    """
    near = []
    for limits in recipe.classes:
        of = {"area_px": limits.min_area_px, "peak": limits.min_peak, "score": limits.gate}
        for quantity, limit in of.items():
            if limit <= 0:
                continue  # It excludes nothing.
            for part, values in _values(found, limits.name, quantity).items():
                # What is not there at all is no region that a limit could be about.
                if len(values) > 1 and max(values) > 0 and abs(fmean(values) - limit) <= NEAR_SDS * stdev(values):
                    near.append(
                        Near(
                            part=part,
                            defect=limits.name,
                            quantity=quantity,
                            mean=fmean(values),
                            sd=stdev(values),
                            limit=limit,
                        )
                    )
    return tuple(near)


def _classes(found: Mapping[str, Sequence[Mapping[str, Measured]]]) -> list[str]:
    return list(dict.fromkeys(name for shown in found.values() for values in shown for name in values))


def _values(found: Mapping[str, Sequence[Mapping[str, Measured]]], name: str, quantity: str) -> dict[str, list[float]]:
    """Return by part what its presentations measured, of parts that were measured."""
    values = {part: [getattr(one[name], quantity) for one in shown if name in one] for part, shown in found.items()}
    measured_of = {part: [value for value in shown if value is not None] for part, shown in values.items()}
    return {part: measures for part, measures in measured_of.items() if measures}


def _spread(found: Mapping[str, Sequence[Mapping[str, Measured]]], name: str, quantity: str) -> Spread:
    # Parts without a region of the class would only make the deviation small.
    parts = {part: v for part, v in _values(found, name, quantity).items() if len(v) > 1 and max(v) > 0}
    squares = sum(sum((value - fmean(v)) ** 2 for value in v) for v in parts.values())
    freedom = sum(len(v) - 1 for v in parts.values())
    worst = max(parts, key=lambda part: max(parts[part]) - min(parts[part]), default="")
    return Spread(
        defect=name,
        quantity=quantity,
        parts=len(parts),
        repeatability_sd=math.sqrt(squares / freedom) if freedom else None,
        worst_range=max(parts[worst]) - min(parts[worst]) if worst else 0.0,
        worst_part=worst,
    )
