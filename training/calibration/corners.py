"""
Whether the target holds where a recipe moves every value as far as it may; if not, the bounds are taken back.

Bounds are stretched on split val, whose parts are few. Split test has to bear them as it bears the values themselves:
else a station could turn a proven calibration into one that lets a third of the bad parts pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from engines.contract import DefectClass, Limit
from training.calibration.target import Target
from training.figures.parts import PartFigures

End = Literal["low", "high"]
Judged = Callable[[Sequence[DefectClass]], PartFigures]
"""What classes' defaults do to the parts of split test."""


@dataclass(frozen=True)
class Proven:
    """
    Bounds that split test bears.

    Attributes:
        classes: with these bounds.
        high, low: figures with every value at the end that was judged; low is None where it was not.
        taken_back: ends at which the figures do not hold: there the bounds are the values themselves.
    """

    classes: tuple[DefectClass, ...]
    high: PartFigures
    low: PartFigures | None
    taken_back: tuple[End, ...]


def proven_bounds(classes: Sequence[DefectClass], target: Target, test: PartFigures, judged: Judged) -> Proven:
    """
    Judge the corners; a lower one only for a target about overkill, since more sensitive lets no more escape.

    Args:
        classes: with bounds that split val supports.
        target: what is to hold.
        test: figures of the values themselves.
        judged: runs the cascade over split test.
    """
    high = _at(classes, "high", test, judged)
    low = _at(classes, "low", test, judged) if target.aim == "max-overkill" else None
    taken_back: list[End] = []
    if not _holds_above(target, test, high):
        taken_back.append("high")
    if low is not None and not target.is_proven(low.overkill):
        taken_back.append("low")
    kept = [_moved(of_class, lambda limit: _without(limit, taken_back)) for of_class in classes]
    return Proven(tuple(kept), high, low, tuple(taken_back))


def _holds_above(target: Target, test: PartFigures, high: PartFigures) -> bool:
    """A target about overkill says nothing of escapes: there no more may escape than at the values themselves."""
    if target.aim == "max-escape-rate":
        return target.is_proven(high.escapes)
    return high.escapes.groups_hit <= test.escapes.groups_hit and target.is_proven(high.overkill)


def _at(classes: Sequence[DefectClass], end: End, test: PartFigures, judged: Judged) -> PartFigures:
    corner = [_moved(of_class, lambda limit: replace(limit, default=getattr(limit, end))) for of_class in classes]
    return test if corner == list(classes) else judged(corner)


def _without(limit: Limit, ends: Sequence[End]) -> Limit:
    return replace(limit, **dict.fromkeys(ends, limit.default))


def _moved(of_class: DefectClass, move: Callable[[Limit], Limit]) -> DefectClass:
    rule = of_class.rule
    return replace(
        of_class,
        gate=move(of_class.gate),
        threshold=move(of_class.threshold),
        rule=replace(
            rule,
            min_area_px=move(rule.min_area_px),
            min_peak=move(rule.min_peak),
            max_count=move(rule.max_count),
        ),
    )
