"""A thread for what may block: register accesses of a camera that may be dead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from edge.errors import CameraError

Work = Callable[[], None]


class Errand:
    """Something the hand was asked to do."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._done = threading.Event()
        self.fault: CameraError | None = None

    def run(self) -> None:
        try:
            self._work()
        except CameraError as error:
            self.fault = error
        finally:
            self._done.set()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Return whether it is done within that time."""
        return self._done.wait(timeout_s)


class Hand(threading.Thread):
    """
    Carries out one errand after the other; the thread that asks never blocks on a camera.

    A register access on a dead GigE camera blocks for 2.5 s, and so does its teardown. A hand is never waited for
    without a limit: what hangs in it ends with the process.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=f"hand-{name}", daemon=True)
        self._errands: queue.SimpleQueue[Errand | None] = queue.SimpleQueue()
        self.start()

    def ask(self, work: Work) -> Errand:
        """Have *work* done; it may raise CameraError, which the errand then holds."""
        errand = Errand(work)
        self._errands.put(errand)
        return errand

    def dismiss(self) -> None:
        """Let it end after what it was asked so far."""
        self._errands.put(None)

    def ended(self, timeout_s: float) -> bool:
        """Return whether a dismissed one has done everything and ended within that time."""
        self.join(timeout_s)
        return not self.is_alive()

    def run(self) -> None:
        while (errand := self._errands.get()) is not None:
            errand.run()
            # What it held may be the last reference to a camera: it is dropped here and not by whoever asked.
            del errand
