"""What is wrong with the journal at present: told in the log when it begins and ends, to the loop by a descriptor."""

from __future__ import annotations

import contextlib
import logging
import os

log = logging.getLogger("edge.station")


class Troubles:
    """
    By the work that is troubled. Told by the journal's threads, read by the loop.

    Attributes:
        fd: readable after each change, and whenever else the loop is to be woken.
    """

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._by_work: dict[str, str] = {}

    def tell(self, work: str, trouble: str) -> None:
        """Note what is wrong with it, empty = nothing."""
        if self._by_work.get(work, "") == trouble:
            return
        if trouble:
            log.error("%s", trouble)
            self._by_work[work] = trouble
        else:
            log.info("journal: %s goes on", work)
            del self._by_work[work]
        self.wake()

    def wake(self) -> None:
        os.eventfd_write(self.fd, 1)

    def acknowledge(self) -> None:
        """Make ``fd`` unreadable until it is woken again."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.fd)

    def close(self) -> None:
        os.close(self.fd)

    def __getitem__(self, work: str) -> str:
        return self._by_work.get(work, "")

    def __str__(self) -> str:
        return "; ".join(list(self._by_work.values()))
