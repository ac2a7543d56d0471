"""A verdict as a consumer gets it: with its age, and whether a machine may act by it."""

from __future__ import annotations

from dataclasses import dataclass

from edge.clock import SYSTEM_CLOCK, Clock
from edge.control import Offset
from edge.records import Verdict


@dataclass(frozen=True)
class Delivered:
    """One verdict, and what this process knows of its age. Ages are of the moment in which they are read."""

    verdict: Verdict
    number: int
    """1 for the first verdict delivered by this subscription, then 2, 3, ..."""
    live: bool
    """As it was published, in the station's present epoch; False = given again by the journal."""
    offset: Offset | None
    """How the station's monotonic clock differs from ours; None = not known, or of another start of its machine."""
    clock: Clock = SYSTEM_CLOCK

    @property
    def age_us(self) -> int | None:
        """Time since the trigger [us]; None when it is not known, as of a verdict from before the machine's start."""
        if self.offset is None:
            return None
        return self.clock.now_us() + self.offset.offset_us - self.verdict.trigger_us

    @property
    def remaining_us(self) -> int | None:
        """Time to the deadline, if the clocks differ as badly as they may [us]; None if unknown or replayed."""
        if not self.live or self.offset is None:
            return None
        return self.verdict.deadline_us - self._latest_us(self.offset)

    @property
    def actuate(self) -> bool:
        """Say whether a machine may act by it now; if not, the part is treated as UNKNOWN."""
        if not self.live or self.offset is None:
            return False
        latest_us = self._latest_us(self.offset)
        # Published in our future: the clock that stamped it is not the one we know, as after a boot.
        return self.verdict.published_us <= latest_us < self.verdict.deadline_us

    def _latest_us(self, offset: Offset) -> int:
        return self.clock.now_us() + offset.offset_us + offset.uncertainty_us
