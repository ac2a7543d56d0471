"""Whether a picture of a live source shows the present: by when it came, and by its stream's own time stamps."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from edge.settings import OpenCVSource

# So many distances between pictures make a measured period.
_REMEMBERED = 15
# Pictures are waited for when their way to us did not become shorter for so long, and over so many of them: a decoder
# that is a little faster than the camera needs long to empty a queue. The last few came no faster than they were made.
_STEADY_S = 0.95
_IN_A_ROW, _LAST_FEW = 5, 3
_AS_FAST_AS_MADE = 0.8
# Steady is a way whose shortest, of each third of that time, differs by less than the larger of these: a share of the
# third, and of a period. Without time stamps a rate is as exact as drivers keep it.
_SLOPE, _OF_PERIOD, _RATE_TOLERANCE = 0.01, 0.05, 0.02
# A way that becomes shorter by so many periods after that was no steady one: the queue is still being emptied.
_SHORTENED = 0.5
# So many slow pictures in a row whose distances differ by less than that factor are a camera that has become slower.
_AGREE, _AGREE_FACTOR = 8, 1.25
# Without rate and time stamps: so much has to be seen before a period is believed.
_LEAST_SEEN, _LEAST_SEEN_S = 5, 0.2
# A thread of a busy process comes so late by itself, and is silent so long.
_SCHEDULING_S, _SILENT_S = 0.02, 0.25
# Two quartz clocks part company by less than this.
_CLOCK_DRIFT = 2e-4


class _Seen(NamedTuple):
    came_s: float
    stamp_s: float | None
    waited: bool


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
        self._slow_in_a_row: deque[float] = deque(maxlen=_AGREE)
        self._measured = False
        # Of the latest pictures, since there was a doubt.
        self._row: deque[_Seen] = deque()
        self._waited_for = False
        self._came_s: float | None = None
        self._least_delay_s: float | None = None
        self._steady_delay_s: float | None = None
        # When the picture before the first slow one came, and how many came since.
        self._gap: tuple[float, int] | None = None
        self.missing = 0.0
        """So many pictures did not come after the last slow one that should have: lost, or all are late since then."""

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
        return self._read_timeout_s + _STEADY_S + 10 * (self.period_s or 0.0)

    def doubt(self, came_s: float, stamp_s: float | None, *, waited: bool = True) -> str:
        """
        Return why the next picture may be an old one, "" when it is fresh.

        Args:
            came_s: monotonic time at which it was there [s].
            stamp_s: its time stamp within the stream [s]; None = the stream has none that could be trusted.
            waited: False = it lay there already when it was asked for.
        """
        distance_s = 0.0 if self._came_s is None else came_s - self._came_s
        before_s, self._came_s = self._came_s, came_s
        if self._goes_back(stamp_s):
            self._doubt_again()
            self._least_delay_s = None
        late = self._lateness(came_s, stamp_s, distance_s)
        limit_s = self._slow_s()
        if limit_s is not None and distance_s > limit_s:
            self._note_slow(before_s, distance_s)
            self._row.append(_Seen(came_s, stamp_s, waited))
            return (
                f"came {1000 * distance_s:.0f} ms after the one before, expected {1000 * limit_s:.0f} ms or less: it "
                "may be an old one; look at the camera and its network, or set rate_hz or slow_read_periods"
            )
        self._slow_in_a_row.clear()
        self._count()
        if self._waited_for and self._becomes_shorter(came_s, stamp_s, distance_s):
            self._doubt_again()
        self._row.append(_Seen(came_s, stamp_s, waited))
        if self._waited_for or self._has_caught_up(distance_s):
            self._row = deque([self._row[-1]])
            self._distances_s.append(distance_s)
            return late
        return "comes out of a queue, or faster than rate_hz: it may be an old one"

    def _doubt_again(self) -> None:
        self._waited_for = False
        self._row.clear()

    def _goes_back(self, stamp_s: float | None) -> bool:
        """Tell whether the stream's time begins anew: earlier stamps are not comparable then."""
        last_s = self._row[-1].stamp_s if self._row else None
        return stamp_s is not None and last_s is not None and stamp_s < last_s

    # ---- slow ones -------------------------------------------------------------------------------------------

    def _slow_s(self) -> float | None:
        period_s = self.period_s
        return None if period_s is None else max(self._slow_periods * period_s, _SCHEDULING_S)

    def _note_slow(self, before_s: float | None, distance_s: float) -> None:
        self._doubt_again()
        if self._gap is None and before_s is not None:
            self._gap = before_s, 0
        self._count()
        self._slow_in_a_row.append(distance_s)
        agree = max(self._slow_in_a_row) < _AGREE_FACTOR * min(self._slow_in_a_row)
        if len(self._slow_in_a_row) == _AGREE and agree:
            # Never from stalls that come and go: they would make themselves the rule.
            self._distances_s.extend(self._slow_in_a_row)

    def _count(self) -> None:
        if self._gap is not None:
            self._gap = self._gap[0], self._gap[1] + 1

    def _note_missing(self, came_s: float) -> None:
        if self._gap is None or not self._distances_s:
            return
        # The mean: what is measured for limits is longer than a period when pictures come unevenly.
        period_s = self._fixed_period_s or sum(self._distances_s) / len(self._distances_s)
        (before_s, count), self._gap = self._gap, None
        self.missing = (came_s - before_s) / period_s - count

    # ---- waited for ------------------------------------------------------------------------------------------

    def _has_caught_up(self, distance_s: float) -> bool:
        """Tell whether the queue is empty: pictures come at the pace at which they are made."""
        if self.period_s is None and self._stamps_s() is None:
            self._measure(distance_s)
        row = self._row
        while len(row) > _IN_A_ROW + 1 and row[-1].came_s - row[1].came_s >= _STEADY_S:
            row.popleft()
        made_s = self._stamps_s() or self._made_s()
        if len(row) <= _IN_A_ROW or made_s is None or row[-1].came_s - row[0].came_s < _STEADY_S:
            return False
        period_s = (made_s[-1] - made_s[0]) / (len(row) - 1)
        last_few_s = row[-1].came_s - row[-1 - _LAST_FEW].came_s
        if last_few_s < _AS_FAST_AS_MADE * _LAST_FEW * period_s:
            return False
        if not any(seen.waited for seen in list(row)[-_LAST_FEW:]):
            return False
        if not self._is_steady(made_s, period_s):
            return False
        if not self._measured:
            self._distances_s.clear()
            self._distances_s.append(period_s)
            self._measured = True
        self._waited_for = True
        self._note_missing(row[-1].came_s)
        return True

    def _is_steady(self, made_s: list[float], period_s: float) -> bool:
        delays_s = [seen.came_s - made for seen, made in zip(self._row, made_s, strict=True)]
        third, thirds_s = len(delays_s) / 3, (self._row[-1].came_s - self._row[0].came_s) / 3
        least_s = [min(delays_s[round(n * third) : round((n + 1) * third)]) for n in range(3)]
        tolerance_s = max(_SLOPE * thirds_s, _OF_PERIOD * period_s)
        if self._row[0].stamp_s is None:
            tolerance_s += _RATE_TOLERANCE * 2 * thirds_s
        self._steady_delay_s = least_s[-1] if self._row[0].stamp_s is not None else None
        return max(least_s) - min(least_s) <= tolerance_s

    def _becomes_shorter(self, came_s: float, stamp_s: float | None, distance_s: float) -> bool:
        """Tell whether the way that was taken for steady was not; the two clocks may drift apart, slowly."""
        if self._steady_delay_s is None or stamp_s is None or self.period_s is None:
            return False
        self._steady_delay_s -= _CLOCK_DRIFT * distance_s
        return came_s - stamp_s < self._steady_delay_s - _SHORTENED * self.period_s

    def _stamps_s(self) -> list[float] | None:
        """Return when the latest pictures were made, by their stamps; None = they have none."""
        stamps_s = [seen.stamp_s for seen in self._row if seen.stamp_s is not None]
        return stamps_s if len(stamps_s) == len(self._row) and stamps_s[-1] > stamps_s[0] else None

    def _made_s(self) -> list[float] | None:
        """Return when the latest pictures were made, from any one moment on; None = that is not known."""
        period_s = self._fixed_period_s
        if period_s is None and self._measured and len(self._row) > 1:
            # Not the measured one, which is longer than the mean of uneven ones: their own pace must not change.
            period_s = (self._row[-1].came_s - self._row[0].came_s) / (len(self._row) - 1)
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
