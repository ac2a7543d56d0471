"""
Starts of the service that came to nothing, one after the other: counted, and waited for before the next one.

The service manager starts a station that has ended again after a second, for ever: no number of failures leaves the
line down for good. So the back-off is ours. It is kept in the state directory, since each start is a new process.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec

from edge.clock import Clock
from edge.errors import ConfigurationError
from edge.station.scribe import EventualFile, Scribe
from edge.station.systemd import Notifier, extension

log = logging.getLogger("edge.station")

FILE = "starts.json"
ALARM_AT = 3
"""So many in a row are a loop: the next start waits, and the station raises the alarm."""
HEALTHY_S = 300.0
"""A start that has lived so long was none of them, however it ends."""

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0
_STEP_S = 1.0


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    failed: Annotated[int, msgspec.Meta(ge=0)]


class Starts:
    """
    Args:
        folder: of the service; None = nobody starts us again, nothing is counted.
        scribe: forgets them on the disk; None = that is waited for.

    Attributes:
        forgotten: this start, and those before it, do not count as failed, whatever comes.
        failed: starts in a row before this one that neither ended as they were told to nor lived for HEALTHY_S.
    """

    def __init__(self, folder: Path | None, clock: Clock, scribe: Scribe | None = None) -> None:
        self._now = EventualFile(folder, FILE, _Kept)
        self._soon = EventualFile(folder, FILE, _Kept, scribe)
        self._clock = clock
        self._healthy_us = clock.now_us() + round(HEALTHY_S * 1e6)
        self.failed = self._read()
        self.forgotten = False

    @property
    def looping(self) -> bool:
        return self.failed >= ALARM_AT

    @property
    def pause_s(self) -> float:
        """How long this start waits: not at first, then 2 s, doubling, a minute at most."""
        if not self.looping:
            return 0.0
        return min(_FIRST_PAUSE_S * 2.0 ** min(self.failed - ALARM_AT, 10), _LONGEST_PAUSE_S)

    def words(self) -> str:
        return f"{self.failed} starts in a row came to nothing"

    def begin(self) -> None:
        """Count this start as one that failed, until it is known to be none; a disk that refuses is no hindrance."""
        fault = self._now.write(_Kept(failed=self.failed + 1))
        if fault:
            log.warning("%s; starts that fail are not counted", fault)

    def well(self) -> bool:
        """Return whether this start has just lived long enough to forget those before it; true once."""
        if self._clock.now_us() < self._healthy_us:
            return False
        self._healthy_us = 1 << 62
        self.forget()
        return True

    def forget(self) -> None:
        """Begin to count anew: all is well, or somebody has taken care of it."""
        if self.forgotten and not self._soon.fault:
            return
        self.failed, self.forgotten = 0, True
        self._soon.write(_Kept(failed=0))

    def _read(self) -> int:
        try:
            kept = self._now.read()
        except ConfigurationError as error:
            log.warning("%s; starts are counted from 0", error)
            return 0
        return 0 if kept is None else kept.failed


def told_to_stop(seconds: float) -> bool:
    """Wait so long, or until SIGTERM or SIGINT comes; return whether one came. It is not delivered to anybody else."""
    return signal.sigtimedwait((signal.SIGTERM, signal.SIGINT), seconds) is not None


def wait_for_turn(starts: Starts, notifier: Notifier, stopped: Callable[[float], bool] = told_to_stop) -> bool:
    """
    Wait before a start that follows failed ones, and tell the service manager why; return False if told to stop.

    Before any thread begins: signals are held back meanwhile.

    Args:
        stopped: waits some seconds, returns whether to stop.
    """
    left_s = starts.pause_s
    if left_s == 0.0:
        return True
    log.error("%s: waiting %g s before this one; see above why, and edge-inspectd --check", starts.words(), left_s)
    signals = (signal.SIGTERM, signal.SIGINT)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        while left_s > 0:
            # Not WATCHDOG=1: from the first one on it is due every few seconds, also while a large journal is read.
            notifier.notify(f"STATUS={starts.words()}: waiting {left_s:g} s before the next", extension())
            step_s = min(left_s, _STEP_S)
            if stopped(step_s):
                return False
            left_s -= step_s
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return True
