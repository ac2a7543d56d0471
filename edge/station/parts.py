"""
Open parts, their deadlines, and the claim: the single act that gives a part its verdict.

Pure bookkeeping, no sockets. The first claim wins; whatever comes later for the same part is told apart by the caller.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from edge.records import Outcome, Reason, View


@dataclass(frozen=True)
class Part:
    """One part between trigger and verdict; for now every frame of a camera is one part."""

    number: int
    camera: str
    open_no: int
    frame_no: int | None
    source: str
    trigger_us: int
    deadline_us: int


@dataclass(frozen=True)
class Claim:
    """The answer to one part: what became of it, and its place in the sequence."""

    part: Part
    seq: int
    outcome: Outcome
    reason: Reason | None
    detail: str
    view: View


@dataclass
class Parts:
    """
    Every part from its trigger to its claim, and the count of all of them.

    triggers = PASS + REJECT + UNKNOWN + open, at any time.
    """

    triggers: int = 0
    seq: int = 0
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    _open: dict[int, Part] = field(default_factory=dict)
    _deadlines: list[tuple[int, int]] = field(default_factory=list)

    @property
    def open(self) -> int:
        return len(self._open)

    def trigger(
        self, camera: str, open_no: int, frame_no: int | None, source: str, trigger_us: int, deadline_us: int
    ) -> Part:
        """Open a new part and number it."""
        self.triggers += 1
        part = Part(self.triggers, camera, open_no, frame_no, source, trigger_us, deadline_us)
        self._open[part.number] = part
        heapq.heappush(self._deadlines, (deadline_us, part.number))
        return part

    def find(self, number: int) -> Part | None:
        """Return the part if it is still open."""
        return self._open.get(number)

    def all_open(self) -> list[Part]:
        return list(self._open.values())

    def claim(self, number: int, outcome: Outcome, reason: Reason | None, detail: str, view: View) -> Claim | None:
        """
        Give a part its verdict.

        Returns:
            The claim with the next sequence number; None when the part has its verdict already.

        Raises:
            ValueError: UNKNOWN without a reason, or PASS or REJECT with one.
        """
        if (outcome is Outcome.UNKNOWN) != (reason is not None):
            raise ValueError(f"claim of part {number}: {outcome.value} with reason {reason}")
        part = self._open.pop(number, None)
        if part is None:
            return None
        self.seq += 1
        self.counts[outcome] += 1
        return Claim(part, self.seq, outcome, reason, detail, view)

    def next_deadline_us(self) -> int | None:
        """Return the earliest deadline of an open part."""
        self._forget_claimed()
        return self._deadlines[0][0] if self._deadlines else None

    def expired(self, now_us: int) -> list[Part]:
        """Return the open parts whose deadline is reached, the earliest first."""
        late = []
        self._forget_claimed()
        while self._deadlines and self._deadlines[0][0] <= now_us:
            late.append(self._open[heapq.heappop(self._deadlines)[1]])
            self._forget_claimed()
        return late

    def _forget_claimed(self) -> None:
        while self._deadlines and self._deadlines[0][1] not in self._open:
            heapq.heappop(self._deadlines)
