"""The station's epochs as they were heard of: the present one, one that may have begun, and those that are over."""

from __future__ import annotations

from collections import deque

_PAST_KEPT = 64


class Epochs:
    """
    Epochs are told apart, never compared: which one is the present is the station's to say.

    Attributes:
        present: None before the station has said.
    """

    def __init__(self) -> None:
        self._past: deque[int] = deque(maxlen=_PAST_KEPT)
        self._doubted: int | None = None
        self.present: int | None = None

    def begin(self) -> None:
        """Know nothing of the present; what is over stays over."""
        self.present = self._doubted = None

    def enter(self, epoch: int) -> None:
        """Take the present epoch; any other that we heard of is over: what still comes of it is not wanted."""
        for other in (self.present, self._doubted):
            if other is not None and other != epoch and other not in self._past:
                self._past.append(other)
        self.present, self._doubted = epoch, None

    def doubt(self, epoch: int) -> None:
        """Note an epoch that is not the present one: it has begun, or is over without our knowing."""
        self._doubted = epoch

    def is_over(self, epoch: int) -> bool:
        return epoch in self._past
