"""Small files of the state directory, written by a thread of their own: the loop waits for no disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from edge.station.kept import KeptFile

log = logging.getLogger("edge.station")

T = TypeVar("T")

_RETRY_S = 0.5
# What is still to be written when the process ends is waited for so long.
_CLOSE_S = 0.25


class Scribe:
    """Does the newest of each file's writes, until the disk has taken it. Its thread begins with the first one."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._waiting: dict[object, Callable[[], str]] = {}
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
        """Return why the last attempt came to nothing; empty = it did not, or there was none."""
        with self._news:
            return self._faults.get(file, "")

    def close(self) -> bool:
        """Wait a quarter of a second at most; return whether all is written."""
        with self._news:
            return self._news.wait_for(lambda: not self._waiting, _CLOSE_S)

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
    """

    def __init__(self, folder: Path | None, name: str, kind: type[T], scribe: Scribe | None = None) -> None:
        super().__init__(folder, name, kind)
        self._scribe = scribe
        self._newest: T | None = None
        self._fault = ""

    @property
    def durable(self) -> bool:
        """What was written last is on the disk."""
        return not self._fault if self._scribe is None else not self._scribe.waits(self)

    @property
    def fault(self) -> str:
        """Why it is not, as far as that is known; empty = it is, or will be soon."""
        return self._fault if self._scribe is None else self._scribe.fault(self)

    def write(self, value: T | None) -> str:
        """Keep *value*, None = nothing; return ``fault``, which with a scribe is that of an attempt before."""
        self._newest = value
        now = partial(super().write, value)
        if self._scribe is None:
            self._fault = now()
        else:
            self._scribe.put(self, now)
        return self.fault

    def retry(self) -> None:
        """Write again what could not be written; a scribe does so by itself."""
        if self._scribe is None and self._fault:
            self.write(self._newest)
