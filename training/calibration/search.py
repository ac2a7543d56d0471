"""
Which gates, thresholds and rules: a coarse search, first one sensitivity for all classes, then class by class.

It cannot learn the pictures by heart: a value is one of about twenty on a fixed grid, a class has four of them, every
setting is judged end to end by whole parts of split val, and of settings that are equally good the middle one is
taken, as far from the next escape as from the next false alarm. What it found by luck shows on split test, which it
never sees.
Deterministic: there is no random start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import msgspec

from edge.rules import Recipe
from engines.limits import GATE, MAX_COUNT, MIN_AREA_PX, MIN_PEAK, THRESHOLD
from training.calibration.replay import Replay
from training.calibration.target import Target

Key = Literal["gate", "threshold", "min_area_px", "min_peak", "max_count"]

GRIDS: dict[Key, tuple[float, ...]] = {
    "gate": (GATE.low, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99,
             GATE.high),
    "threshold": (THRESHOLD.low, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, THRESHOLD.high),
    "min_area_px": (MIN_AREA_PX.low, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000),
    "min_peak": (MIN_PEAK.low, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99),
    "max_count": (MAX_COUNT.low, 1, 2, 3, 5, 10),
}  # fmt: skip
"""Of every value the larger one is the less sensitive."""
SEARCHED: tuple[Key, ...] = ("gate", "threshold", "min_area_px", "min_peak")
"""How many regions a part may have is a promise to the customer, not a setting: it stays as it is given."""
MOST_ROUNDS = 4


@dataclass(frozen=True)
class Tally:
    """
    What a setting does to the parts.

    Attributes:
        escapes, overkill: pictures of bad parts that pass, of sound parts that do not.
        escaped_groups, overkilled_groups: groups with any such picture.
    """

    escapes: int
    overkill: int
    escaped_groups: int
    overkilled_groups: int


class TriedSetting(msgspec.Struct, frozen=True, kw_only=True):
    """One gate and one threshold for all classes, and what they do on split val: a point of the trade-off curve."""

    gate: float
    threshold: float
    escape_rate: float
    """By picture, 0..1."""
    overkill_rate: float


@dataclass(frozen=True)
class Choice:
    """What the search ends with."""

    recipe: Recipe
    tally: Tally
    tried: tuple[TriedSetting, ...]


class Judge:
    """Says what a setting does to recorded parts, and which of two is better for a target."""

    def __init__(self, replay: Replay, target: Target) -> None:
        self._replay = replay
        self._recordings = replay.recordings
        self.target = target
        self.bad_groups = len({r.group for r in self._recordings if r.class_id})
        self.sound_groups = len({r.group for r in self._recordings if not r.class_id})

    def tally(self, recipe: Recipe) -> Tally:
        passed = self._replay.passes(recipe)
        escapes = [r.group for r, passes in zip(self._recordings, passed, strict=True) if r.class_id and passes]
        overkill = [r.group for r, passes in zip(self._recordings, passed, strict=True) if not (r.class_id or passes)]
        return Tally(len(escapes), len(overkill), len(set(escapes)), len(set(overkill)))

    def misses(self, tally: Tally) -> tuple[int, int]:
        """Return the groups that miss the target's kind of part, and how many there are."""
        if self.target.aim == "max-escape-rate":
            return tally.escaped_groups, self.bad_groups
        return tally.overkilled_groups, self.sound_groups

    def keeps(self, tally: Tally) -> bool:
        """Tell whether the target holds on these parts."""
        misses, groups = self.misses(tally)
        return misses <= self.target.allowed(groups)

    def cost(self, tally: Tally) -> tuple[int, int, int]:
        """Return what is to be small: groups too many for the target, then the other kind of error, then its own."""
        misses, groups = self.misses(tally)
        excess = max(0, misses - self.target.allowed(groups))
        if self.target.aim == "max-escape-rate":
            return excess, tally.overkill, tally.escapes
        return excess, tally.escapes, tally.overkill

    def classes_with_parts(self) -> list[int]:
        """Return the indices of the classes of which any bad part is there."""
        return sorted({r.class_id - 1 for r in self._recordings if r.class_id})


def search(judge: Judge, start: Recipe, pictures: tuple[int, int]) -> Choice:
    """
    Choose the values of all classes that have a bad part among the recorded ones; the others keep those of *start*.

    Args:
        judge: of the recorded parts.
        start: values to begin with; max_count is not changed.
        pictures: how many bad and sound ones are recorded, for the trade-off curve.
    """
    classes = judge.classes_with_parts()
    recipe, tried = _swept(judge, start, classes, pictures)
    for _ in range(MOST_ROUNDS):
        before = recipe
        for class_index, key in product(classes, SEARCHED):
            recipe = _refined(judge, recipe, class_index, key)
        if recipe == before:
            break
    return Choice(recipe, judge.tally(recipe), tried)


def moved(recipe: Recipe, classes: Iterable[int], **values: float) -> Recipe:
    """Return *recipe* with other values for some classes, by index."""
    changed = set(classes)
    return msgspec.structs.replace(
        recipe,
        classes=tuple(
            msgspec.structs.replace(limits, **values) if index in changed else limits
            for index, limits in enumerate(recipe.classes)
        ),
    )


def _swept(
    judge: Judge, start: Recipe, classes: Sequence[int], pictures: tuple[int, int]
) -> tuple[Recipe, tuple[TriedSetting, ...]]:
    """Try every gate with every threshold, the same for all classes; return the best recipe, and all that was tried."""
    costs: dict[tuple[int, int], tuple[int, int, int]] = {}
    tried = []
    for (i, gate), (j, threshold) in product(enumerate(GRIDS["gate"]), enumerate(GRIDS["threshold"])):
        tally = judge.tally(moved(start, classes, gate=gate, threshold=threshold))
        costs[i, j] = judge.cost(tally)
        tried.append(
            TriedSetting(
                gate=gate,
                threshold=threshold,
                escape_rate=tally.escapes / max(pictures[0], 1),
                overkill_rate=tally.overkill / max(pictures[1], 1),
            )
        )
    i, j = _middle([at for at, cost in costs.items() if cost == min(costs.values())])
    return moved(start, classes, gate=GRIDS["gate"][i], threshold=GRIDS["threshold"][j]), tuple(tried)


def _refined(judge: Judge, recipe: Recipe, class_index: int, key: Key) -> Recipe:
    """Move one value of one class to the middle of those that are best, all others held."""
    now = float(getattr(recipe.classes[class_index], key))
    values = sorted({*GRIDS[key], now})
    costs = [judge.cost(judge.tally(moved(recipe, [class_index], **{key: value}))) for value in values]
    best = [index for index, cost in enumerate(costs) if cost == min(costs)]
    if key == "min_peak" and values.index(now) in best:
        return recipe  # A rule that does not help is not begun with.
    return moved(recipe, [class_index], **{key: values[_middle_of_longest_run(best)]})


def _middle(points: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the point that is nearest to the mean of all."""
    mean = [sum(axis) / len(points) for axis in zip(*points, strict=True)]
    return min(points, key=lambda point: (sum((p - m) ** 2 for p, m in zip(point, mean, strict=True)), point))


def _middle_of_longest_run(indices: Sequence[int]) -> int:
    """Return the middle of the longest run of neighbours in ascending *indices*, of the first one of equal length."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and runs[-1][-1] == index - 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    longest = max(runs, key=len)
    return longest[(len(longest) - 1) // 2]
