"""From two clocks to ours: when a frame arrived, by the host's wall clock, and when it was taken, by the camera's."""

from __future__ import annotations

_MS = 1_000_000
_S = 1_000_000_000

# Between two looks the wall clock is slewed by less than this; more is a step.
_STEP_NS = 1 * _MS
# Frames that arrived around a step carry times of before it.
_DISTRUST_NS = 1 * _S
# Two quartz clocks, 100 ppm each.
_DRIFT = 200e-6
# Held back for longer than this, in the camera or on the way, a frame does not show what stands before the camera.
STALE_NS = 1 * _S
# After so long without a frame the clocks may be apart by as much more as a frame may be old: 83 minutes.
KNOWN_NS = round(STALE_NS / _DRIFT)


class Arrivals:
    """
    Turns times of arrival by the wall clock, which is all that Aravis gives, into monotonic ones.

    The wall clock may be set at any moment: then, and for a second, a frame arrived when it was taken from the queue.
    """

    def __init__(self) -> None:
        self._ahead_ns: int | None = None
        self._distrusted_until_ns = 0

    def look(self, wall_ns: int, now_ns: int) -> None:
        """Compare the clocks; to be called often, also while no frame comes."""
        ahead_ns = wall_ns - now_ns
        if self._ahead_ns is not None and abs(ahead_ns - self._ahead_ns) > _STEP_NS:
            self._distrusted_until_ns = now_ns + _DISTRUST_NS
        self._ahead_ns = ahead_ns

    def arrived_ns(self, stamp_ns: int, wall_ns: int, now_ns: int) -> int:
        """
        Return when a frame began to arrive, on the monotonic clock.

        Args:
            stamp_ns: the same by the wall clock; 0 = not known.
            wall_ns: the wall clock now.
            now_ns: the monotonic clock now.
        """
        self.look(wall_ns, now_ns)
        age_ns = wall_ns - stamp_ns
        if stamp_ns <= 0 or age_ns < 0 or now_ns < self._distrusted_until_ns:
            return now_ns
        return now_ns - age_ns


class CameraClock:
    """
    Places the camera's time stamps on the monotonic clock.

    Nothing is known of the camera's epoch: it may be its power-on, or 1970, and may be set while it runs. The way of
    the fastest frame so far tells how far the two clocks are apart; it is forgotten no faster than two quartzes drift,
    and as a whole after a long pause. So a time is never earlier than the true one, and never later than the arrival.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._apart_ns = 0.0
        self._seen_ns = 0

    @property
    def runs(self) -> bool:
        """The camera gives time stamps."""
        return self._last_ns is not None

    def is_forgotten(self, now_ns: int) -> bool:
        """Return whether the last frame is so long ago that nobody knows any more how far the clocks are apart."""
        return self.runs and now_ns - self._seen_ns > KNOWN_NS

    def place(self, stamp_ns: int, arrived_ns: int) -> tuple[int, str | None]:
        """
        Return when a frame was taken [ns, monotonic], and what is wrong with its time stamp, None when nothing is.

        Args:
            stamp_ns: the camera's; 0 = it gives none, then the arrival counts.
            arrived_ns: when the frame began to arrive, monotonic.
        """
        if stamp_ns <= 0:
            return arrived_ns, None
        last_ns, self._last_ns = self._last_ns, stamp_ns
        apart_ns = arrived_ns - stamp_ns
        if last_ns is None or stamp_ns <= last_ns:
            self._apart_ns, self._seen_ns = apart_ns, arrived_ns
            return arrived_ns, None if last_ns is None else self._ran_back(stamp_ns, last_ns)
        if self.is_forgotten(arrived_ns):
            pause_ns, self._apart_ns, self._seen_ns = arrived_ns - self._seen_ns, apart_ns, arrived_ns
            return arrived_ns, self._drifted(pause_ns)
        leaked_ns = self._apart_ns + _DRIFT * max(arrived_ns - self._seen_ns, 0)
        self._apart_ns, self._seen_ns = min(apart_ns, leaked_ns), max(arrived_ns, self._seen_ns)
        taken_ns = round(stamp_ns + self._apart_ns)
        late_ns = arrived_ns - taken_ns
        return taken_ns, self._held_back(late_ns) if late_ns > STALE_NS else None

    @staticmethod
    def _ran_back(stamp_ns: int, last_ns: int) -> str:
        return (
            f"the camera's clock is not monotonic: time stamp {stamp_ns} ns follows {last_ns} ns; when the picture was "
            'taken is not known; if this goes on, look at its time source, or set timestamps = "host"'
        )

    @staticmethod
    def _drifted(pause_ns: int) -> str:
        return (
            f"the first picture for {pause_ns / _S / 60:.0f} min, and after {KNOWN_NS / _S / 60:.0f} min the camera's "
            "clock and ours have drifted so far apart that it may have been held back; the next ones are placed by it"
        )

    @staticmethod
    def _held_back(late_ns: int) -> str:
        return (
            f"taken {late_ns / _S:.1f} s before it came, by the camera's clock, expected at most {STALE_NS / _S:g} s: "
            'it was held back, or that clock runs wrong; if this goes on, set timestamps = "host"'
        )
