"""Small files of the state directory, written by a thread of their own: the loop waits for no disk."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from edge.station.kept import KeptFile

log = logging.getLogger("edge.station")

T = TypeVar("T")

_RETRY_S = 0.5
# A write that takes longer than this is a fault, of which nothing is known but that.
_LATE_S = 1.0
# What is still to be written when the process ends is waited for so long beyond that, or beyond now if it is late.
_CLOSE_S = 0.25


class Scribe:
    """Does the newest of each file's writes, until the disk has taken it. Its thread begins with the first one."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._waiting: dict[object, Callable[[], str]] = {}
        self._since_s: dict[object, float] = {}
        """Since when a file has had something to be written."""
        self._faults: dict[object, str] = {}
        self._thread: threading.Thread | None = None

    def put(self, file: object, write: Callable[[], str]) -> None:
        """
        Have a file written; returns at once.

        Args:
            file: what is written; an earlier write of it that waits is given up.
            write: does it, and returns why that cannot be done, empty when it is.
        """
        with self._news:
            if file not in self._waiting:
                self._since_s[file] = time.monotonic()
            self._waiting[file] = write
            if self._thread is None:
                # A daemon: a disk that hangs must not keep the process from ending.
                self._thread = threading.Thread(target=self._write_on, name="scribe", daemon=True)
                self._thread.start()
            self._news.notify_all()

    def waits(self, file: object) -> bool:
        """Tell whether the newest write is still to be done."""
        with self._news:
            return file in self._waiting

    def fault(self, file: object) -> str:
        """Return why the newest write is not done; empty = it is, or will be within a second."""
        with self._news:
            late = file in self._waiting and time.monotonic() > self._since_s[file] + _LATE_S
            return self._faults.get(file, "") or (f"{file}: not written for {_LATE_S:g} s and more" if late else "")

    def wait(self, file: object, limit_s: float | None) -> None:
        """Wait so long at most for the newest write to be done, or for a fault; None = as long as that takes."""
        with self._news:
            self._news.wait_for(lambda: file not in self._waiting or self._faults.get(file, ""), limit_s)

    def close(self) -> bool:
        """
        Wait for what is to be written; return whether all is.

        A quarter of a second, and longer only for what was handed over less than a second ago: what was handed over
        when the station began to stop costs no time beyond that of the journal.
        """
        with self._news:
            now_s = time.monotonic()
            late_s = max((self._since_s[file] + _LATE_S for file in self._waiting), default=now_s)
            return self._news.wait_for(lambda: not self._waiting, max(late_s - now_s, 0.0) + _CLOSE_S)

    def _write_on(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting)
                file, write = next(iter(self._waiting.items()))
            self._note(file, write, write())

    def _note(self, file: object, write: Callable[[], str], fault: str) -> None:
        with self._news:
            before = self._faults.get(file, "")
            self._faults[file] = fault
            if self._waiting[file] is write:
                del self._waiting[file]
                if fault:
                    self._waiting[file] = write  # Behind the others.
            self._news.notify_all()
            if fault:
                if fault != before:
                    log.error("%s", fault)
                self._news.wait(_RETRY_S)


class EventualFile(KeptFile[T]):
    """
    A kept file for the loop, which waits for no disk.

    Args:
        folder, name, kind: as of a KeptFile.
        scribe: writes it; None = it is written at once, by the caller.

    Attributes:
        lies: what a restart would read, as far as it was read or written by this one.
    """

    def __init__(self, folder: Path | None, name: str, kind: type[T], scribe: Scribe | None = None) -> None:
        super().__init__(folder, name, kind)
        self._scribe = scribe
        self._fault = ""
        self.lies: T | None = None

    def __str__(self) -> str:
        return str(self._path)

    @property
    def durable(self) -> bool:
        """What was written last is on the disk."""
        return not self._fault if self._scribe is None else not self._scribe.waits(self)

    @property
    def fault(self) -> str:
        """Why it is not; empty = it is, or will be within a second."""
        return self._fault if self._scribe is None else self._scribe.fault(self)

    def read(self) -> T | None:
        self.lies = super().read()
        return self.lies

    def write(self, value: T | None, *, or_remove: bool = False, within_s: float | None = 0.0) -> str:
        """
        Keep *value*, None = nothing; return ``fault``, which with a scribe is that of an attempt before.

        Args:
            or_remove: what is there may not stay if *value* cannot take its place.
            within_s: wait so long for the scribe, unless it is known to fail; None = as long as that takes.
        """
        now = partial(self._write, value, or_remove)
        if self._scribe is None:
            self._fault = now()
        else:
            self._scribe.put(self, now)
            self._scribe.wait(self, within_s)
        return self.fault

    def _write(self, value: T | None, or_remove: bool) -> str:
        fault = super().write(value)
        if not fault:
            self.lies = value
        elif or_remove and not super().write(None):
            self.lies = None
        return fault
