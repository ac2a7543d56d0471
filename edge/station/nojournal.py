"""What stands in the journal's place when the station is told to keep none: numbers and counts of this run alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TypeAlias

from edge.records import Mode
from edge.station.entries import Page, Position, TriggerEntry, VerdictEntry
from edge.station.journal import Journal
from edge.station.ledger import Ledger, line_from_verdict


class NoJournal:
    """Like Journal, but nothing is ever durable; every verdict goes out at once and says so."""

    def __init__(self) -> None:
        self.epoch = secrets.randbits(48) or 1
        self.continued = False
        self.seq = self.part = 0
        self.ledger = Ledger()
        self.left_open: tuple[TriggerEntry, ...] = ()
        self.remembered: tuple[tuple[str, TriggerEntry], ...] = ()
        self.cursors: dict[str, Position] = {}
        self.last_counter: int | None = None
        self.set_aside: Path | None = None
        self.failing = self.alarm = "no journal is kept: journal.sync = off"
        self.durable = self.durable_seq = 0
        self._tickets = 0
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def trigger(self, entry: TriggerEntry) -> int:
        self.part = entry.part
        self.ledger.add(entry.shift, entry.mode, "triggers")
        return self._ticket()

    def verdict(self, entry: VerdictEntry) -> int:
        self.seq = entry.seq
        self.ledger.add(entry.shift, entry.mode, line_from_verdict(entry.outcome, entry.reason))
        return self._ticket()

    def cursor(self, consumer: str, position: Position | None) -> int:
        return self._ticket()

    def count(self, shift: str, mode: Mode, what: str, n: int = 1) -> int:
        self.ledger.add(shift, mode, what, n)
        return self._ticket()

    def let_write(self) -> None:
        """Nothing is."""

    def kept(self, ticket: int) -> bool:
        return False

    def ask(self, key: object, after: Position, limit: int) -> bool:
        """Nothing can be read: requests for it are refused before they come here."""
        return False

    def answered(self, most: int = 1) -> list[tuple[object, Page]]:
        return []

    def acknowledge_wakeup(self) -> None:
        """There is never one."""

    def start(self) -> None:
        """There is no thread."""

    def close(self, clean: bool) -> None:
        os.close(self.fd)

    def _ticket(self) -> int:
        self._tickets += 1
        return self._tickets


Records: TypeAlias = Journal | NoJournal
