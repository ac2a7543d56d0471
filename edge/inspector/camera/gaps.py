"""Whether a picture of predicted video may be built on something that was lost."""

from __future__ import annotations

from collections import deque

# A distance of so many periods lacks a picture.
_LACKS = 1.5
# The period is the median of so many distances: gaps are among them.
_REMEMBERED, _LEAST = 15, 4
# What was lost may come out of the decoder so much later, and some periods more.
_PIPE_S, _PIPE_PERIODS = 0.3, 2


class Gaps:
    """
    Judges the pictures of one open, in their order, of a stream with time stamps. Pure.

    A camera whose send buffer is full drops packets, over TCP too. A decoder paints over what it lacks from the picture
    before, and each picture up to the next one that needs no other (an I picture) shows that. A whole picture that is
    lost is a gap in the time stamps; packets within one, a gap in their numbers.

    Args:
        rate_hz: of the camera, as set [1/s]; None = the period is measured by the stamps.
    """

    def __init__(self, rate_hz: float | None) -> None:
        self._fixed_period_s = None if rate_hz is None else 1 / rate_hz
        self._distances_s: deque[float] = deque(maxlen=_REMEMBERED)
        self._stamp_s: float | None = None
        # The longest one since the last I picture; none came yet.
        self._longest_s = float("inf")
        self._lost = 0
        self._lost_s: float | None = None

    @property
    def period_s(self) -> float | None:
        """How far apart pictures are made; None = not known yet, and no gap either."""
        if self._fixed_period_s is not None:
            return self._fixed_period_s
        known = sorted(self._distances_s)
        return known[len(known) // 2] if len(known) >= _LEAST else None

    def note_lost(self, lost: int, came_s: float, *, complete: bool) -> None:
        """
        Tell that packets were missing *lost* times until the next picture came.

        Args:
            came_s: monotonic time at which it was there [s].
            complete: it needs no picture before it, and is surely of the present.
        """
        if lost != self._lost:
            self._lost, self._lost_s = lost, came_s
        # An I picture that was on its way through the decoder already is of before.
        elif self._lost_s is not None and complete and came_s - self._lost_s > self._pipe_s:
            self._lost_s = None

    @property
    def _pipe_s(self) -> float:
        return _PIPE_S + _PIPE_PERIODS * (self.period_s or 0.0)

    def doubt(self, stamp_s: float, *, complete: bool) -> str:
        """
        Return why the next picture may show something of a lost one, "" when no gap says so.

        Args:
            stamp_s: its time stamp within the stream [s].
            complete: it needs no picture before it.
        """
        distance_s = 0.0 if self._stamp_s is None else stamp_s - self._stamp_s
        self._stamp_s = stamp_s
        if distance_s > 0.0:
            self._distances_s.append(distance_s)
        # A time that begins anew says nothing of what lies between.
        self._longest_s = max(self._longest_s, float("inf") if distance_s < 0.0 else distance_s)
        if complete:
            self._longest_s = 0.0
        return self._told()

    def _told(self) -> str:
        if self._lost_s is not None:
            return (
                "may show what is made up: packets of the stream were lost; it is inspected again from a later key "
                "frame on; look at network and bit rate"
            )
        if self._longest_s == float("inf"):
            return "is predicted from pictures that were not seen: the stream's next key frame is waited for"
        period_s = self.period_s
        if period_s is None or self._longest_s < _LACKS * period_s:
            return ""
        return (
            f"is predicted across a gap of {1000 * self._longest_s:.0f} ms in the stream's time stamps, expected "
            f"{1000 * period_s:.0f} ms: something was lost, until the next key frame; look at network and bit rate"
        )
