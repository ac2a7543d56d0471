"""What the journal gave in one answer, to be delivered bit by bit."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from edge.errors import WireError
from edge.records import Verdict
from edge.requests import Missing, Replayed
from edge.subscription.sequence import Missed, Position, Sequence


class Page:
    """
    Attributes:
        answer: what the station said with it; None while there is no page.
    """

    def __init__(self) -> None:
        self._given: deque[Missing | Verdict] = deque()
        self.answer: Replayed | None = None

    def take(self, position: Position, answer: Replayed, verdicts: tuple[Verdict, ...]) -> None:
        """
        Take the page behind *position*.

        Raises:
            WireError: there is a hole in it.
        """
        places = [Position(verdict.epoch, verdict.seq) for verdict in verdicts]
        if answer.missing is None and places and places[0].epoch == position.epoch:
            places.insert(0, position)
        for before, after in pairwise(places):
            if after.seq != before.seq + 1:
                raise WireError(
                    f"replay goes from verdict {before.seq} to {after.seq}, expected no hole: do not use it"
                )
        self._given.extend([answer.missing] if answer.missing is not None else [])
        self._given.extend(verdicts)
        self.answer = answer

    def deliver(self, sequence: Sequence) -> tuple[Verdict, int] | Missed | None:
        """Return the next verdict with its number, or what can no longer be given; None at the end of the page."""
        while self._given:
            given = self._given.popleft()
            if isinstance(given, Missing):
                missed = sequence.deliver_missing(given)
                if missed is not None:
                    return missed
            elif (number := sequence.deliver_replayed(given.epoch, given.seq)) is not None:
                return given, number
        return None

    def drop(self) -> None:
        self._given.clear()
        self.answer = None
