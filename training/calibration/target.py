"""What is asked of a line, how many misses it leaves, and when data cannot support it."""

from __future__ import annotations

from typing import Literal

from edge.errors import TargetUnsupported
from engines.contract import Probability, Record
from training.figures.intervals import Rate, misses_allowed, parts_needed

Aim = Literal["max-escape-rate", "max-overkill"]
_KIND: dict[Aim, tuple[str, str]] = {"max-escape-rate": ("bad", "escape"), "max-overkill": ("sound", "are overkilled")}


class Target(Record, frozen=True):
    """
    A rate that may not be exceeded, with a confidence.

    The rate is over independent parts, the groups: a group misses if any picture of it does.
    """

    aim: Aim
    at_most: Probability
    confidence: Probability

    @property
    def kind(self) -> str:
        """The parts that it is about: bad or sound."""
        return _KIND[self.aim][0]

    def allowed(self, groups: int) -> int:
        """
        Return how many of *groups* parts may be missed while choosing.

        So many that the bound still keeps the target; none where even none would prove it: the proof is the test's.
        """
        return misses_allowed(self.at_most, groups, self.confidence) or 0

    def require_provable(self, split: str, groups: int) -> None:
        """
        Refuse data that cannot prove the target even without a miss.

        Raises:
            TargetUnsupported: says how many more independent parts it would take.
        """
        needed = parts_needed(self.at_most, 0, self.confidence)
        if groups < needed:
            raise TargetUnsupported(
                f"--{self.aim} = {self.at_most:g} cannot be proven: split '{split}' has {groups} independent "
                f"{self.kind} parts, and even without a miss {needed} are needed at {self.confidence:.4g} confidence; "
                f"add {needed - groups} more there (some {5 * (needed - groups)} in all, where a fifth goes to "
                f"'{split}'), or ask for less: these can prove "
                f"{_provable(groups, self.confidence)} at best"
            )

    def is_proven(self, rate: Rate) -> bool:
        """Tell whether the exact bound of a rate keeps the target."""
        return rate.at_most is not None and rate.at_most <= self.at_most

    def require_proven(self, split: str, rate: Rate) -> None:
        """
        Refuse what the proof does not show.

        Raises:
            TargetUnsupported: says the bound, and how many more independent parts it would take if none of them fails.
        """
        if self.is_proven(rate):
            return
        assert rate.at_most is not None
        needed = parts_needed(self.at_most, rate.groups_hit, self.confidence)
        raise TargetUnsupported(
            f"--{self.aim} = {self.at_most:g} is not proven: {rate.groups_hit} of {rate.groups} independent "
            f"{self.kind} parts of split '{split}' {_KIND[self.aim][1]}, so that the rate is at most "
            f"{rate.at_most:.4g} at {self.confidence:.4g} confidence; it would take {needed - rate.groups} more "
            "without a further miss, or better networks"
        )

    def require_reached(self, split: str, misses: int, groups: int) -> None:
        """
        Refuse a choice that misses more than allowed on the parts it was chosen on.

        Raises:
            TargetUnsupported: says how many.
        """
        if misses > self.allowed(groups):
            raise TargetUnsupported(
                f"--{self.aim} = {self.at_most:g}: no setting keeps it: at best {misses} of {groups} independent "
                f"{self.kind} parts of split '{split}' {_KIND[self.aim][1]}, {self.allowed(groups)} may; the networks "
                "do not tell these parts apart: look at them, label more like them, train longer"
            )


def _provable(groups: int, confidence: float) -> str:
    return f"{1.0 - (1.0 - confidence) ** (1.0 / groups):.3g}" if groups else "nothing"
