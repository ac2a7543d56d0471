"""
Open parts, their views, their deadlines, and the claim: the single act that gives a part its verdict.

Pure bookkeeping, no sockets. A part lives from its trigger to its claim: trigger -> views -> result -> claim. The first
claim wins; whatever comes later for the same part is told apart by the caller.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from edge.inspector.link import FrameOf, ViewResult
from edge.records import Mode, Outcome, Reason, RecipeMark


@dataclass
class PartView:
    """
    What one camera has to say about an open part.

    Attributes:
        stage: which stage has it now; ``trigger`` and ``capture`` before there is a picture.
        inspector: number of the process that holds the frame; 0 while there is none.
        result: what the cascade found; None while it is awaited, or when *reason* says why there will be none.
    """

    camera: str
    stage: str = "capture"
    frame: FrameOf | None = None
    source: str = ""
    inspector: int = 0
    result: ViewResult | None = None
    reason: Reason | None = None
    detail: str = ""

    @property
    def outcome(self) -> Outcome | None:
        """None while nothing is known."""
        if self.reason is not None:
            return Outcome.UNKNOWN
        return None if self.result is None else self.result.outcome


@dataclass
class Part:
    """One part between trigger and verdict, and the cameras that are to see it."""

    number: int
    mode: Mode
    source: str
    """Who triggered it: a camera's name, or ``software``."""
    trigger_us: int
    deadline_us: int
    shift: str
    views: dict[str, PartView]
    recipe: RecipeMark | None
    """Active when it was triggered: a switch does not change it."""
    bundle_hash: str = ""
    """Active when it was triggered, like its classes; empty before an inspector was ready."""
    class_names: tuple[str, ...] = ()
    part_id: str | None = None
    tag: int | None = None
    doubt: str = ""
    """Why it is not certain that its views are its own; then it is never a PASS."""
    window_us: int | None = None
    """A view that is not there by then is missing; None = the deadline alone counts."""


@dataclass(frozen=True)
class Claim:
    """The answer to one part: what became of it, and its place in the sequence."""

    part: Part
    seq: int
    outcome: Outcome
    reason: Reason | None
    detail: str
    stage: str | None


@dataclass
class Parts:
    """
    Every part from its trigger to its claim, and the count of all of them in this run.

    triggers = PASS + REJECT + UNKNOWN + open, at any time.

    Attributes:
        last: number of the last part; goes on over restarts, like *seq*.
        reserve_us: a part is due so long before its deadline, so that its verdict can be kept by then.
    """

    last: int = 0
    seq: int = 0
    reserve_us: int = 0
    triggers: int = 0
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    unknown: dict[Reason, int] = field(default_factory=dict)
    _open: dict[int, Part] = field(default_factory=dict)
    _due: list[tuple[int, int]] = field(default_factory=list)

    @property
    def open(self) -> int:
        return len(self._open)

    def next_number(self) -> int:
        """Return the number for a new part."""
        self.last += 1
        return self.last

    def add(self, part: Part) -> None:
        """Open *part*; from now on it is due at its window and at its deadline."""
        self.triggers += 1
        self._open[part.number] = part
        heapq.heappush(self._due, (self._end_us(part), part.number))
        if part.window_us is not None:
            heapq.heappush(self._due, (part.window_us, part.number))

    def find(self, number: int) -> Part | None:
        """Return the part if it is still open."""
        return self._open.get(number)

    def all_open(self) -> list[Part]:
        return list(self._open.values())

    def claim(
        self, number: int, outcome: Outcome, reason: Reason | None, detail: str = "", stage: str | None = None
    ) -> Claim | None:
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
        if reason is not None:
            self.unknown[reason] = self.unknown.get(reason, 0) + 1
        return Claim(part, self.seq, outcome, reason, detail, stage)

    def next_due_us(self) -> int | None:
        """Return when the next open part has to be looked at."""
        self._forget_claimed()
        return self._due[0][0] if self._due else None

    def due(self, now_us: int) -> list[Part]:
        """Return the open parts whose window or deadline is reached, the earliest first, each once."""
        found: dict[int, Part] = {}
        self._forget_claimed()
        while self._due and self._due[0][0] <= now_us:
            number = heapq.heappop(self._due)[1]
            found[number] = self._open[number]
            self._forget_claimed()
        return list(found.values())

    def is_late(self, part: Part, now_us: int) -> bool:
        return now_us >= self._end_us(part)

    def _end_us(self, part: Part) -> int:
        return part.deadline_us - self.reserve_us

    def _forget_claimed(self) -> None:
        while self._due and self._due[0][1] not in self._open:
            heapq.heappop(self._due)


@dataclass(frozen=True)
class Decision:
    outcome: Outcome
    reason: Reason | None
    detail: str
    stage: str | None = None


def unknown(reason: Reason, detail: str, stage: str | None = None) -> Decision:
    return Decision(Outcome.UNKNOWN, reason, detail, stage)


def decision_from_views(part: Part) -> Decision | None:
    """
    Return what the views known so far decide, None while nothing is decided.

    A REJECT decides at once. Without one every view is waited for; one that is UNKNOWN makes the part UNKNOWN, and PASS
    is a part only whose every view is a PASS.
    """
    views = list(part.views.values())
    if any(view.outcome is Outcome.REJECT for view in views):
        return Decision(Outcome.REJECT, None, "")
    if any(view.outcome is None for view in views):
        return None
    for view in views:
        if view.outcome is not Outcome.PASS:
            return _unknown_of(view)
        if view.result is None or view.result.mask is None or not view.result.mask.complete:
            detail = f"camera {view.camera}: a PASS without a complete mask proves nothing"
            return unknown(Reason.ENGINE, detail)
    if part.doubt:
        return unknown(Reason.CAMERA, part.doubt)
    # A part without a view was seen by nobody: never a PASS.
    return Decision(Outcome.PASS, None, "") if views else None


def _unknown_of(view: PartView) -> Decision:
    if view.result is None:
        return Decision(Outcome.UNKNOWN, view.reason, view.detail)
    # An inspector that says UNKNOWN without a reason has failed: a view is never better than what it proves.
    reason = view.result.reason or Reason.ENGINE
    return unknown(reason, view.result.detail, view.result.stage)


def holder_of(part: Part) -> PartView | None:
    """Return the first view that is still awaited: it has spent the part's time."""
    return next((view for view in part.views.values() if view.outcome is None), None)
