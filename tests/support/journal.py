"""Entries for the journal, and a disk that can be told to fail."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from edge.records import Mode, Outcome, Reason
from edge.settings import JournalSettings
from edge.station.entries import BEGINNING, Page, Position, TriggerEntry, VerdictEntry
from edge.station.journal import Journal, open_journal
from edge.station.store import connect

SHIFT = "2026-11-22T06:00"
DAY_US = 86_400_000_000
SETTINGS = JournalSettings()


class HandClock:
    """Both clocks stand still until they are moved."""

    def __init__(self, us: int = 1_763_800_000_000_000) -> None:
        self.us = us

    def now_us(self) -> int:
        return self.us

    def utc_us(self) -> int:
        return self.us


class Disk:
    """Hands out connections whose every statement is refused while *full*."""

    def __init__(self) -> None:
        self.full = False

    def __call__(self, path: Path, create: bool) -> sqlite3.Connection:
        self.refuse_if_full()
        uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
        disk = self

        class Fragile(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                disk.refuse_if_full()
                return super().execute(*arguments)

        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, factory=Fragile)

    def refuse_if_full(self) -> None:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")


def opened(folder: Path, settings: JournalSettings = SETTINGS, clock: HandClock | None = None, **more: Any) -> Journal:
    return open_journal(folder, settings, clock or HandClock(), **{"connect": connect, **more})


def trigger(part: int, request: str | None = None, mode: Mode = Mode.PRODUCTION, shift: str = SHIFT) -> TriggerEntry:
    return TriggerEntry(
        part=part,
        request=request,
        part_id=None,
        tag=None,
        counter=None,
        mode=mode,
        source="cam1",
        trigger_us=1000 * part,
        deadline_us=1000 * part + 100,
        utc_us=part,
        shift=shift,
    )


def verdict(
    seq: int,
    part: int | None = None,
    outcome: Outcome = Outcome.PASS,
    reason: Reason | None = None,
    utc_us: int = 1_763_800_000_000_000,
    mode: Mode = Mode.PRODUCTION,
    shift: str = SHIFT,
) -> VerdictEntry:
    return VerdictEntry(
        seq=seq,
        part=seq if part is None else part,
        outcome=outcome,
        reason=reason,
        mode=mode,
        shift=shift,
        utc_us=utc_us,
        record=record(seq),
    )


def record(seq: int) -> bytes:
    return b"verdict %d" % seq


def records(first: int, last: int) -> tuple[bytes, ...]:
    return tuple(record(seq) for seq in range(first, last + 1))


def answer_parts(journal: Journal, first: int, last: int) -> int:
    """Trigger and answer these parts, each with the seq of its number; return the last ticket."""
    ticket = 0
    for part in range(first, last + 1):
        journal.trigger(trigger(part))
        ticket = journal.verdict(verdict(part))
    return ticket


def page(journal: Journal, after: Position = BEGINNING, limit: int = 1000) -> Page:
    """Ask for a page and read it, without threads."""
    journal.ask("key", after, limit)
    assert journal.read_waiting()
    [(key, answer)] = journal.answered()
    assert key == "key"
    return answer
