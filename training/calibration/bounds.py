"""
How far a recipe may move each value: as far as the parts that were looked at support it.

Of every value the larger one is the less sensitive. Upwards a value may go while no more bad parts escape than the
target allows (or, where the target is about overkill, than at the chosen point). All upper bounds hold together: they
are raised by turns, one step of the grid at a time, and the setting with all values at their upper bounds is judged.
Downwards a target about escapes sets no bound but the hard one; one about overkill does, in the same way.

Thresholds are not like the others: where two classes lie over one pixel, another threshold gives it to the other class,
and more or less may count. For escapes corners judges what is certain all the same; for overkill nothing is, so that
there thresholds move only where there is one class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from edge.rules import Recipe
from engines.contract import DefectClass, Limit, Rule
from engines.limits import GATE, MAX_COUNT, MIN_AREA_PX, MIN_PEAK, THRESHOLD
from training.calibration.search import GRIDS, Judge, Key, Tally, moved

HARD: dict[Key, Limit] = {
    "gate": GATE,
    "threshold": THRESHOLD,
    "min_area_px": MIN_AREA_PX,
    "min_peak": MIN_PEAK,
    "max_count": MAX_COUNT,
}

_Values = dict[tuple[int, Key], float]


def bounded_classes(judge: Judge, recipe: Recipe) -> tuple[DefectClass, ...]:
    """
    Return the classes of a manifest: the values of *recipe*, each with its bounds.

    A class without a bad part may not be made less sensitive than it is: nothing tells what that would do.
    """
    chosen = judge.tally(recipe)
    allowed = judge.target.allowed(judge.bad_groups) if judge.target.aim == "max-escape-rate" else chosen.escaped_groups
    most = max(allowed, chosen.escaped_groups)
    high = _stretched(judge, recipe, lambda tally: tally.escaped_groups <= most, ascending=True)
    low: _Values = {(index, key): HARD[key].low for index, key in product(range(len(recipe.classes)), HARD)}
    if judge.target.aim == "max-overkill":
        low = _stretched(judge, recipe, judge.keeps, ascending=False)
    return tuple(
        _defect_class(recipe, index, {key: low[index, key] for key in HARD}, {key: high[index, key] for key in HARD})
        for index in range(len(recipe.classes))
    )


def _stretched(judge: Judge, recipe: Recipe, holds: Callable[[Tally], bool], *, ascending: bool) -> _Values:
    """Move all values outwards by turns while *holds*; return where they end."""
    reached: _Values = {
        (index, key): float(getattr(limits, key)) for index, limits in enumerate(recipe.classes) for key in HARD
    }
    fixed = judge.target.aim == "max-overkill" and len(recipe.classes) > 1
    movable = [at for at in product(judge.classes_with_parts(), HARD) if not (fixed and at[1] == "threshold")]
    corner = recipe
    while movable:
        still = []
        for index, key in movable:
            value = _next(GRIDS[key], HARD[key], reached[index, key], ascending=ascending)
            if value is None:
                continue
            further = moved(corner, [index], **{key: round(value) if key == "max_count" else value})
            if holds(judge.tally(further)):
                corner, reached[index, key] = further, value
                still.append((index, key))
        movable = still
    return reached


def _next(grid: Sequence[float], hard: Limit, value: float, *, ascending: bool) -> float | None:
    """Return the next value of the grid outwards, with the hard bound as its last one; None beyond."""
    if ascending:
        return min((step for step in (*grid, hard.high) if step > value), default=None)
    return max((step for step in (*grid, hard.low) if step < value), default=None)


def _defect_class(recipe: Recipe, index: int, low: dict[Key, float], high: dict[Key, float]) -> DefectClass:
    limits = recipe.classes[index]
    of: dict[Key, Limit] = {
        key: Limit(default=float(getattr(limits, key)), low=low[key], high=high[key]) for key in HARD
    }
    return DefectClass(
        name=limits.name,
        gate=of["gate"],
        threshold=of["threshold"],
        rule=Rule(min_area_px=of["min_area_px"], min_peak=of["min_peak"], max_count=of["max_count"]),
    )
