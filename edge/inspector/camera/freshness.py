"""Whether a picture of a live source shows the present: by when it came, and by its stream's own time stamps."""

from __future__ import annotations

from collections import deque

from edge.settings import OpenCVSource

# So many distances between pictures make a measured period.
_REMEMBERED = 15
# So many in a row show that pictures are waited for: none of them shortened the way to us by more than this part of a
# period, and the last few came no faster than they were made. The first alone would be fooled by a reader that was held
# up a while ago, the second by one that was held up just now.
_IN_A_ROW, _LAST_FEW = 5, 3
_SHORTENED, _AS_FAST_AS_MADE = 0.5, 0.8
# Without rate and time stamps: so much has to be seen before a period is believed.
_LEAST_SEEN, _LEAST_SEEN_S = 5, 0.2
# A thread of a busy process comes so late by itself, and is silent so long.
_SCHEDULING_S, _SILENT_S = 0.02, 0.25
# Two quartz clocks part company by less than this.
_CLOCK_DRIFT = 2e-4


class Freshness:
    """
    Judges the pictures of one open, in their order. Pure: it is told the time.

    OpenCV gives what its decoder or a driver's queue still holds after a time-out as if nothing had happened. So a
    picture that was read for long is doubtful, and so are those behind it until they are waited for again. That is also
    how an open begins: FFmpeg probes a stream for a second, and then gives that second's pictures at once.
    """

    def __init__(self, source: OpenCVSource) -> None:
        self._slow_periods = source.slow_read_periods
        self._silent_periods = source.silent_periods
        self._read_timeout_s = source.read_timeout_ms / 1000
        self._max_lag_s = source.max_lag_ms / 1000
        self._fixed_period_s = None if source.rate_hz is None else 1 / source.rate_hz
        self._distances_s: deque[float] = deque(maxlen=_REMEMBERED)
        self._measured = False
        # (when it came, its time stamp): of the latest pictures since there was a doubt.
        self._row: deque[tuple[float, float | None]] = deque(maxlen=_IN_A_ROW + 1)
        self._waited_for = False
        self._came_s: float | None = None
        self._least_delay_s: float | None = None

    @property
    def period_s(self) -> float | None:
        """How far apart pictures come, as set or as measured; None = not known yet."""
        if self._fixed_period_s is not None:
            return self._fixed_period_s
        # Not the median: some of the first ones may have come from a queue.
        return sorted(self._distances_s)[len(self._distances_s) * 3 // 4] if self._measured else None

    @property
    def silent_s(self) -> float:
        """After so long without a picture the source is to be opened again."""
        period_s = self.period_s
        if period_s is None:
            return self._read_timeout_s
        return min(max(self._silent_periods * period_s, _SILENT_S), self._read_timeout_s)

    @property
    def longest_doubt_s(self) -> float:
        """A source that gives nothing but doubtful pictures for so long is to be opened again."""
        return self._read_timeout_s + 10 * (self.period_s or 0.0)

    def doubt(self, came_s: float, stamp_s: float | None) -> str:
        """
        Return why the next picture may be an old one, "" when it is fresh.

        Args:
            came_s: monotonic time at which it was there [s].
            stamp_s: its time stamp within the stream [s]; None = the stream has none that could be trusted.
        """
        distance_s = 0.0 if self._came_s is None else came_s - self._came_s
        self._came_s = came_s
        if self._goes_back(stamp_s):
            self._row.clear()
            self._waited_for, self._least_delay_s = False, None
        late = self._lateness(came_s, stamp_s, distance_s)
        limit_s = self._slow_s()
        if limit_s is not None and distance_s > limit_s:
            self._waited_for = False
            self._row.clear()
            self._row.append((came_s, stamp_s))
            self._distances_s.append(distance_s)
            return (
                f"came {1000 * distance_s:.0f} ms after the one before, expected {1000 * limit_s:.0f} ms or less: it "
                "may be an old one; look at the camera and its network, or set rate_hz or slow_read_periods"
            )
        self._row.append((came_s, stamp_s))
        if self._waited_for or self._has_caught_up(distance_s):
            self._distances_s.append(distance_s)
            return late
        return "comes out of a queue, or faster than rate_hz: it may be an old one"

    def _goes_back(self, stamp_s: float | None) -> bool:
        """Tell whether the stream's time begins anew: earlier stamps are not comparable then."""
        last_s = self._row[-1][1] if self._row else None
        return stamp_s is not None and last_s is not None and stamp_s < last_s

    def _slow_s(self) -> float | None:
        period_s = self.period_s
        return None if period_s is None else max(self._slow_periods * period_s, _SCHEDULING_S)

    def _has_caught_up(self, distance_s: float) -> bool:
        """Tell whether the queue is empty: the latest pictures came at the pace at which they were made."""
        made_s = self._made_s()
        if made_s is None and self.period_s is None:
            self._measure(distance_s)
        if len(self._row) <= _IN_A_ROW or made_s is None:
            return False
        came_s = [came_s for came_s, _ in self._row]
        delays_s = [came - made for came, made in zip(came_s, made_s, strict=True)]
        period_s = (made_s[-1] - made_s[0]) / _IN_A_ROW
        if min(delays_s) < delays_s[0] - _SHORTENED * period_s:
            return False
        if came_s[-1] - came_s[-1 - _LAST_FEW] < _AS_FAST_AS_MADE * _LAST_FEW * period_s:
            return False
        if not self._measured:
            self._distances_s.clear()
            self._distances_s.append(period_s)
            self._measured = True
        self._waited_for = True
        return True

    def _made_s(self) -> list[float] | None:
        """Return when the latest pictures were made, from any one moment on; None = that is not known."""
        stamps_s = [stamp_s for _, stamp_s in self._row if stamp_s is not None]
        if len(stamps_s) == len(self._row) and stamps_s[-1] > stamps_s[0]:
            return stamps_s
        period_s = self.period_s
        return None if period_s is None else [n * period_s for n in range(len(self._row))]

    def _measure(self, distance_s: float) -> None:
        if distance_s > 0.0:
            self._distances_s.append(distance_s)
        self._measured = len(self._distances_s) >= _LEAST_SEEN and sum(self._distances_s) >= _LEAST_SEEN_S

    def _lateness(self, came_s: float, stamp_s: float | None, distance_s: float) -> str:
        """Compare a picture's way to us with the shortest one; the two clocks may drift apart, slowly."""
        if stamp_s is None:
            return ""
        delay_s = came_s - stamp_s
        least_s = self._least_delay_s
        self._least_delay_s = delay_s if least_s is None else min(delay_s, least_s + _CLOCK_DRIFT * distance_s)
        lag_s = delay_s - self._least_delay_s
        if lag_s <= self._max_lag_s:
            return ""
        return (
            f"comes {1000 * lag_s:.0f} ms late by its stream's time stamps, expected {1000 * self._max_lag_s:.0f} ms "
            "or less; look at the network, or set max_lag_ms"
        )
