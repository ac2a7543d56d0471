"""
The journal: what the loop knows is durable here before it is said outside, and consumers can read it again.

The loop only queues and is woken; a thread each writes, reads pages and keeps house. A disk that fails costs no
verdict: what waits is bounded, tried again twice a second, and its counts are kept in any case.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Protocol

from edge.clock import Clock
from edge.errors import ConfigurationError
from edge.records import Mode
from edge.station.backlog import MOST_BYTES, MOST_ENTRIES, REFUSALS_KNOWN, Backlog, Batch, key_from_entry
from edge.station.damage import is_damage
from edge.station.entries import BEGINNING, Gap, Page, Position, TriggerEntry, VerdictEntry
from edge.station.folder import Folder
from edge.station.replays import Replays
from edge.station.side import Side
from edge.station.statements import OLDEST_SQLITE
from edge.station.store import Connect, Store, connect
from edge.station.trouble import Troubles
from edge.station.upkeep import BITE, Upkeep

__all__ = ["BEGINNING", "Gap", "Journal", "Page", "Position", "TriggerEntry", "VerdictEntry", "open_journal"]

log = logging.getLogger("edge.station")

_RETRY_S = 0.5
_CLOSE_S = 1.0
_HOUSE_S = 1.0
# Between two bites the writer has its turn.
_BITE_PAUSE_S = 0.01


class Keeping(Protocol):
    """What the journal asks of its settings (JournalSettings)."""

    @property
    def sync(self) -> Literal["normal", "full", "off"]: ...
    @property
    def keep_days(self) -> float: ...
    @property
    def keep_mb(self) -> int: ...


def open_journal(
    folder: Path,
    settings: Keeping,
    clock: Clock,
    *,
    connect: Connect = connect,
    epoch: int | None = None,
    most_entries: int = MOST_ENTRIES,
    most_bytes: int = MOST_BYTES,
) -> Journal:
    """
    Take the folder, check the file, and begin or continue an epoch; threads begin with ``start()``.

    Args:
        connect: how connections are made.
        epoch: number of a new epoch; None = a random one.
        most_entries, most_bytes: what may wait while the disk fails.

    Raises:
        ConfigurationError: another station holds the folder, it cannot be made, the file is of a newer release, or
            SQLite is too old.
    """
    if settings.sync == "off":
        raise ConfigurationError("journal.sync = 'off': expected normal or full; a journal that is off is not opened")
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise ConfigurationError(f"SQLite {sqlite3.sqlite_version}: expected {oldest} or later; use a newer Python")
    held = Folder(folder)
    try:
        store = Store(held, settings.sync, epoch or secrets.randbits(48) or 1, clock, connect)
    except ConfigurationError:
        held.release()
        raise
    return Journal(held, store, settings, clock, connect, Backlog(most_entries, most_bytes))


class Journal:
    """
    One station's journal; made by ``open_journal``. All methods that queue return at once, whatever the disk does.

    Attributes:
        epoch, continued: of this run; continued = the last run closed clean, and this one goes on in its epoch.
        epochs: (epoch, its first seq) of every run that is known, the oldest first, this one last.
        seq, part: the last ones given.
        ledger: counts of all runs, up to date with every call.
        left_open: triggers of earlier runs that have no verdict.
        remembered: (request id, trigger) of the last 20,000 requested ones, the oldest first.
        cursors: by consumer.
        last_counter: the line's own, at the newest trigger of the earlier runs that had one.
        durable, durable_seq: all tickets up to this one are settled, see ``kept``; the highest verdict on the disk.
        fd: readable after each commit, each change of ``alarm`` and each answer.
    """

    def __init__(
        self, folder: Folder, store: Store, settings: Keeping, clock: Clock, connect: Connect, backlog: Backlog
    ) -> None:
        loaded = store.loaded
        self.seq, self.part = loaded.seq, loaded.part
        self.ledger = loaded.ledger
        self.left_open = loaded.left_open
        self.remembered = loaded.remembered
        self.cursors = loaded.cursors
        self.last_counter = loaded.counter
        self.durable, self.durable_seq = 0, loaded.seq
        self._troubles = Troubles()
        self.fd = self._troubles.fd
        self._folder = folder
        self._store = store
        self._backlog = backlog
        self._batch: Batch | None = None
        self._refused: frozenset[int] = frozenset()
        self._forgotten = 0
        """Up to this ticket refusals have been forgotten."""
        reader = Side(store, connect)
        self._replays = Replays(reader)
        self._keeper = Side(store, connect)
        self._connected: dict[str, Store | Side] = {"write": store, "read": reader, "upkeep": self._keeper}
        # Writer and housekeeping take turns: SQLite's own waiting sleeps in steps of milliseconds.
        self._turn = threading.Lock()
        self._ending = threading.Event()
        self._abandoned = False
        self._clean = self._proven = False
        """The run may end its epoch; it has, and that is on the disk."""
        self._threads: list[threading.Thread] = []
        self._entries_written = 0
        self._upkeep = Upkeep(settings.keep_days, settings.keep_mb, clock, self._turn)
        with self._watched("write"):
            store.begin()
        if not store.begun:
            store.renounce()
        self.epoch, self.continued = store.epoch, store.epoch == loaded.epoch
        first_seq = loaded.first_seq if self.continued else loaded.seq + 1
        self.epochs = (*(epoch for epoch in loaded.epochs if epoch[0] != self.epoch), (self.epoch, first_seq))

    @property
    def failing(self) -> str:
        """Why nothing can be committed at present; empty when it can."""
        return self._troubles["write"]

    @property
    def alarm(self) -> str:
        """All that is wrong, as ``failing`` and beside it; an entry that found no place is told for good."""
        return str(self._troubles)

    @property
    def set_aside(self) -> Path | None:
        """Where a damaged file was moved to."""
        return self._store.set_aside

    # ---- called by the loop ----------------------------------------------------------------------------------

    def trigger(self, entry: TriggerEntry) -> int:
        """Queue a trigger and count it; return the ticket."""
        self.part = max(self.part, entry.part)
        self.ledger.add(*key_from_entry(entry))
        return self._backlog.put(entry)

    def verdict(self, entry: VerdictEntry) -> int:
        """Queue a verdict and count it, on the shift and mode of its trigger; return the ticket."""
        self.seq = max(self.seq, entry.seq)
        self.ledger.add(*key_from_entry(entry))
        return self._backlog.put(entry)

    def cursor(self, consumer: str, position: Position | None) -> int:
        """Queue a consumer's new position, None to forget it; return the ticket."""
        if position is None:
            self.cursors.pop(consumer, None)
        else:
            self.cursors[consumer] = position
        return self._backlog.cursor(consumer, position)

    def count(self, shift: str, mode: Mode, what: str, n: int = 1) -> int:
        """Count on a ledger line that is neither trigger nor verdict; return the ticket."""
        self.ledger.add(shift, mode, what, n)
        return self._backlog.count((shift, mode, what), n)

    def let_write(self) -> None:
        """
        Have what was queued committed; to be called when the loop is about to sleep.

        Sooner, the writer would take the interpreter lock from a loop that has more to do, and again for each entry.
        """
        self._backlog.release()

    def kept(self, ticket: int) -> bool:
        """
        Return whether what the ticket stands for is on the disk: settled, and neither refused nor dropped.

        To be asked soon: after 10,000 tickets more a refusal is forgotten, and then nothing so old is said to be kept.
        """
        return self._forgotten < ticket <= self.durable and ticket not in self._refused

    def ask(self, key: object, after: Position, limit: int) -> bool:
        """
        Order the page of verdicts behind a position; it comes with ``answered()`` under the same key.

        Returns:
            False when it was not ordered, since 64 wait to be read or to be fetched.
        """
        return self._replays.ask(key, after, limit)

    def answered(self, most: int = 1) -> list[tuple[object, Page]]:
        """Return pages that were read, so many at most; when there are more, ``fd`` is readable again."""
        pages = self._replays.fetch(most)
        if self._replays.ready():
            self._troubles.wake()
        return pages

    def acknowledge_wakeup(self) -> None:
        """Make ``fd`` unreadable until there is news; to be called before the news is looked at."""
        self._troubles.acknowledge()

    # ---- done by the threads, or by a test in their place ----------------------------------------------------

    def write_waiting(self) -> bool:
        """Commit what waits, a bounded part of it; return whether something was committed."""
        if self._batch is None:
            self._batch = self._backlog.take()
        batch = self._batch
        # While the disk fails, even nothing is written: that it works again must be found without a part.
        if batch.empty() and not self._troubles["write"]:
            self._batch = None
            return False
        with self._watched("write"), self._turn:
            faults = self._store.write(batch)
            self._batch = None
            self._committed(batch, faults)
        return self._batch is None

    def read_waiting(self) -> bool:
        """Read the pages that were asked for; return whether one was answered, with records or with a fault."""
        answered = self._replays.read(self.seq)
        self._troubles.tell("read", self._named("read", self._replays.trouble) if self._replays.trouble else "")
        if answered:
            self._troubles.wake()
        return answered

    def keep_house(self) -> bool:
        """Checkpoint when it is due, delete what need not be kept; return whether there is more to delete."""
        deleted = 0
        with self._watched("upkeep"):
            connection = self._keeper.get()
            if connection is not None:
                deleted = self._upkeep.keep(connection, self._entries_written)
        return deleted == BITE

    # ---- life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to write, to read and to keep house, a thread each."""
        for name, work in (("write", self._write_on), ("read", self._read_on), ("upkeep", self._keep_house_on)):
            # Daemons: a disk that hangs must not keep the process from ending.
            thread = threading.Thread(target=self._run, args=(name, work), name=f"journal.{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self, clean: bool) -> None:
        """
        Write what waits and end the epoch, for a second at most whatever the disk does; leave the folder to others.

        Args:
            clean: nothing is open or unsaid, so that the next run may go on in this epoch; not believed unchecked.
        """
        self._clean = clean
        self._end_threads()
        if not self._threads:
            while self.write_waiting():
                pass
            self._end_work("write")
        if clean and not self._proven:
            log.warning("journal: not everything is on the disk: the next start begins a new epoch")
        self._leave()

    def abandon(self) -> None:
        """Leave everything as a kill would: what waits is not written. For tests and the simulation."""
        self._abandoned = True
        self._end_threads()
        self._leave()

    def _end_epoch(self) -> None:
        """Write the clean-close record if it is true."""
        if not (self.failing or self._troubles["fault"] or self._batch or len(self._backlog)):
            with self._watched("write"):
                self._proven = self._store.end()

    def _end_work(self, work: str) -> None:
        """Leave the disk alone from here on: closing a file is a wait for it too, the last one brings its log home."""
        if work == "write" and self._clean:
            self._end_epoch()
        self._connected[work].drop()

    def _end_threads(self) -> None:
        self._ending.set()
        self._backlog.end()
        self._replays.end()
        until_s = time.monotonic() + _CLOSE_S
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))

    def _hung(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _leave(self) -> None:
        # What a hung thread still uses stays open; the process is about to end.
        if not self._hung():
            for connected in self._connected.values():
                connected.drop()
            self._troubles.close()
        self._folder.release()

    # ---- inside ----------------------------------------------------------------------------------------------

    def _run(self, work: str, work_on: Callable[[], None]) -> None:
        try:
            work_on()
            if not self._abandoned:
                self._end_work(work)
        finally:
            if not self._ending.is_set():
                self._troubles.tell(work, f"thread journal.{work} ended; see the log, start the station anew")

    def _write_on(self) -> None:
        while not self._abandoned:
            if self._troubles["write"]:
                last_try = self._ending.wait(_RETRY_S)
                if not self.write_waiting() and last_try:
                    return
            elif self._backlog.wait():
                self.write_waiting()
            else:
                return

    def _read_on(self) -> None:
        while not self._ending.is_set():
            self._replays.wait()
            self.read_waiting()
            while self._replays.retrying() and not self._ending.wait(_RETRY_S):
                self.read_waiting()

    def _keep_house_on(self) -> None:
        more = False
        while not self._ending.wait(_BITE_PAUSE_S if more else _HOUSE_S):
            more = self.keep_house()

    def _committed(self, batch: Batch, faults: list[str]) -> None:
        for fault in faults:
            log.error("journal: %s", fault)
            self._troubles.tell("fault", fault)
        if refused := {*batch.refused, *batch.dropped}:
            known = {*self._refused, *refused}
            # Of drops without number the batch itself knows the newest only.
            full = len(batch.dropped) == REFUSALS_KNOWN
            oldest = max(batch.ticket - REFUSALS_KNOWN, batch.dropped[0] if full else 0)
            # Told before they are settled: the loop may ask in between.
            self._forgotten = max(self._forgotten, *(ticket for ticket in (0, *known) if ticket <= oldest))
            self._refused = frozenset(ticket for ticket in known if ticket > oldest)
        kept = (entry for ticket, entry in zip(batch.tickets, batch.entries, strict=True) if ticket not in refused)
        self._entries_written += len(batch.entries)
        self.durable_seq = max([self.durable_seq, *(entry.seq for entry in kept if isinstance(entry, VerdictEntry))])
        self.durable = batch.ticket
        self._troubles.wake()

    @contextlib.contextmanager
    def _watched(self, work: str) -> Iterator[None]:
        """Tell of a disk that refuses, and drop the connection: what failed is tried again with another one."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._troubles.tell(work, self._named(work, f"{error}{self._drop(work, damaged=is_damage(error))}"))
        else:
            self._troubles.tell(work, "")

    def _drop(self, work: str, *, damaged: bool) -> str:
        """Return what is wrong beyond that, empty if nothing is: the disk may refuse to let a damaged file be moved."""
        trouble = ""
        if work == "write" and damaged:
            try:
                self._store.put_aside("damaged while it was written")
            except OSError as error:
                trouble = f"; it cannot be set aside as yet: {error}"
        self._connected[work].drop()
        return trouble

    def _named(self, work: str, trouble: str) -> str:
        return f"journal {self._store.path}: {work}: {trouble}"
