"""Pages that were asked for: ordered by the loop, read by one thread, each answered once, with a fault if need be."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections import deque
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from edge.station.damage import is_damage
from edge.station.entries import Page, Position
from edge.station.pages import read_page
from edge.station.side import Side

log = logging.getLogger("edge.station")

MOST_WAITING = 64
"""Pages that may be asked for and not yet fetched; each may be of a megabyte."""


@dataclass(frozen=True)
class _Asked:
    key: object
    after: Position
    limit: int
    again: bool = False


class Replays:
    """
    Args:
        side: the reader's connection.

    Attributes:
        trouble: why a page is to be read a second time, or that the file is damaged; empty when all is well.
    """

    def __init__(self, side: Side) -> None:
        self._side = side
        self._asked: SimpleQueue[_Asked | None] = SimpleQueue()
        self._failed: deque[_Asked] = deque()
        self._answers: deque[tuple[object, Page]] = deque()
        self._unfetched = 0
        self._damage = ""
        self.trouble = ""

    # ---- the loop's side -------------------------------------------------------------------------------------

    def ask(self, key: object, after: Position, limit: int) -> bool:
        """Order a page; return False, and do nothing, when too many wait."""
        if self._unfetched >= MOST_WAITING:
            return False
        self._unfetched += 1
        self._asked.put(_Asked(key, after, limit))
        return True

    def fetch(self, most: int) -> list[tuple[object, Page]]:
        """Return pages that were read, so many at most, in the order in which they were read."""
        pages = [self._answers.popleft() for _ in range(min(most, len(self._answers)))]
        self._unfetched -= len(pages)
        return pages

    def ready(self) -> bool:
        """Return whether a page can be fetched."""
        return bool(self._answers)

    def end(self) -> None:
        """Wake the reader, for good."""
        self._asked.put(None)

    # ---- the reader's side -----------------------------------------------------------------------------------

    def wait(self) -> None:
        """Sleep until a page is asked for, or the end is announced."""
        asked = self._asked.get()
        if asked is not None:
            self._failed.append(asked)

    def waiting(self) -> bool:
        """Return whether a page is to be read."""
        return self.retrying() or not self._asked.empty()

    def retrying(self) -> bool:
        """Return whether a page is to be read a second time."""
        return bool(self._failed)

    def read(self, newest_seq: int) -> bool:
        """
        Try every page that waits, once: one that cannot be read holds up no other, and is answered the second time.

        Args:
            newest_seq: the last one that was given, journaled or not.

        Returns:
            Whether a page was answered.
        """
        waiting = self._take()
        self.trouble = self._damage
        answers = [answer for asked in waiting if (answer := self._try(asked, newest_seq)) is not None]
        self._answers.extend(answers)
        return bool(answers)

    def _take(self) -> list[_Asked]:
        waiting = list(self._failed)
        self._failed.clear()
        with contextlib.suppress(Empty):
            while True:
                asked = self._asked.get_nowait()
                if asked is not None:
                    waiting.append(asked)
        return waiting

    def _try(self, asked: _Asked, newest_seq: int) -> tuple[object, Page] | None:
        try:
            connection = self._side.get()
            if connection is None:
                raise FileNotFoundError("there is no file at present")
            return asked.key, read_page(connection, asked.after, asked.limit, newest_seq)
        except (sqlite3.Error, OSError) as error:
            self._side.drop()
            return self._failed_once_more(asked, error)

    def _failed_once_more(self, asked: _Asked, error: Exception) -> tuple[object, Page] | None:
        if is_damage(error):
            # Told for good: what is broken now is found and set aside by the check of the next start.
            self._damage = self.trouble = f"damaged behind {asked.after.seq} of epoch {asked.after.epoch}: {error}"
        if not asked.again:
            self.trouble = self._damage or str(error)
            self._failed.append(replace(asked, again=True))
            return None
        log.error("journal: the page behind %s cannot be read: %s", asked.after, error)
        return asked.key, Page(last=asked.after, end=False, fault=f"the journal cannot be read there: {error}")
