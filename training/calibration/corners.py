"""
Whether the target holds at every setting that a recipe may make; if not, the bounds are taken back.

Bounds are stretched on split val, whose parts are few. Split test has to bear them as it bears the values themselves:
else a station could turn a proven calibration into one that lets a third of the bad parts pass.

One judgement stands for all settings between the bounds: every value at its upper bound, and of the segmenter's answer
only what no threshold within the bounds takes away (see certain).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from engines.contract import DefectClass, Limit
from training.calibration.target import Target
from training.figures.parts import PartFigures

End = Literal["high", "low", "threshold"]
"""Upper bounds, lower bounds, or the lower bounds of the thresholds alone."""
Judged = Callable[[Sequence[DefectClass]], PartFigures]
"""What classes' defaults do to the parts of split test, by what is certain down to their thresholds' lower bounds."""


@dataclass(frozen=True)
class Proven:
    """
    Bounds that split test bears.

    Attributes:
        classes: with these bounds.
        high: figures with every value at its upper bound, by what is certain.
        low: figures with every value at its lower bound; None for a target about escapes.
        taken_back: ends at which the figures do not hold: there the bounds are the values themselves.
    """

    classes: tuple[DefectClass, ...]
    high: PartFigures
    low: PartFigures | None
    taken_back: tuple[End, ...]


_LESS: tuple[tuple[End, ...], ...] = (("threshold",), ("high",), ("threshold", "high"))
"""What is taken back, the first that helps; with all of it nothing can be moved that lets a part escape."""


def proven_bounds(classes: Sequence[DefectClass], target: Target, test: PartFigures, judged: Judged) -> Proven:
    """
    Judge the corners: upper bounds by escapes, and for a target about overkill the lower ones by overkill.

    Args:
        classes: with bounds that split val supports.
        target: what is to hold.
        test: figures of the values themselves.
        judged: runs the cascade over split test.
    """
    high = _at(classes, "high", test, judged)
    ends: tuple[End, ...] = ()
    if not _bears(target, test, high):
        less = (ends for ends in _LESS if _bears(target, test, _at(_without(classes, ends), "high", test, judged)))
        ends = next(less, _LESS[-1])
    low = _at(classes, "low", test, judged) if target.aim == "max-overkill" else None
    if low is not None and not target.is_proven(low.overkill):
        ends = (*ends, "low")
    return Proven(tuple(_without(classes, ends)), high, low, ends)


def _bears(target: Target, test: PartFigures, high: PartFigures) -> bool:
    """A target about overkill says nothing of escapes: there no more may escape than at the values themselves."""
    if target.aim == "max-escape-rate":
        return target.is_proven(high.escapes)
    return high.escapes.groups_hit <= test.escapes.groups_hit


def _at(classes: Sequence[DefectClass], end: Literal["high", "low"], test: PartFigures, judged: Judged) -> PartFigures:
    corner = [_moved(of_class, lambda limit: replace(limit, default=getattr(limit, end))) for of_class in classes]
    # With nothing to move the figures are known.
    same = corner == list(classes) and all(c.threshold.low == c.threshold.default for c in classes)
    return test if same else judged(corner)


def _without(classes: Sequence[DefectClass], ends: Sequence[End]) -> list[DefectClass]:
    """Make the values their own bounds at these ends."""
    whole = [end for end in ends if end != "threshold"]
    kept = [_moved(c, lambda limit: replace(limit, **dict.fromkeys(whole, limit.default))) for c in classes]
    if "threshold" in ends:
        kept = [replace(c, threshold=replace(c.threshold, low=c.threshold.default)) for c in kept]
    return kept


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
