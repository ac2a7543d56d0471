"""
The journal's file as its writer sees it: opened when it is needed, dropped when it failed, begun anew when it is gone.

One SQLite file in WAL mode. ``normal`` is safe against a kill, ``full`` against a power cut too.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from edge.clock import Clock
from edge.errors import ConfigurationError
from edge.station import statements
from edge.station.backlog import Batch
from edge.station.damage import foreign_values_are_damage, is_damage
from edge.station.entries import Entry, TriggerEntry
from edge.station.folder import Folder, set_aside
from edge.station.ledger import Ledger
from edge.station.loaded import Loaded, load
from edge.station.schema import migrate, refuse_newer

log = logging.getLogger("edge.station")

FILE = "journal.sqlite"
# A start reads every page; a card that is worn out gives no more of them than that.
_SLOWEST_MB_PER_S = 5.0

Connect: TypeAlias = Callable[[Path, bool], sqlite3.Connection]
"""How a connection is made: the seam at which tests and the simulation let the disk fail."""


def connect(path: Path, create: bool) -> sqlite3.Connection:
    """Open a connection, to a new file if *create*; the statements say BEGIN and COMMIT themselves."""
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    return sqlite3.connect(uri, uri=True, timeout=1.0, isolation_level=None, check_same_thread=False)


def connect_past_locks(path: Path) -> sqlite3.Connection:
    """Open a connection that only reads, and makes no file beside it: a full disk has no room."""
    # SQLite would make a log where there is none, even to read; without one the file is all there is.
    how = "vfs=unix-none" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&{how}", uri=True, isolation_level=None)
    # Otherwise the index of the log would be in shared memory, which is a file too.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection


def longest_read_s(folder: Path) -> float:
    """Return how long opening the journal in *folder* may take before it hangs: the more, the larger it is."""
    try:
        return (folder / FILE).stat().st_size / (1e6 * _SLOWEST_MB_PER_S)
    except OSError:
        return 0.0


class Store:
    """
    What only the writer does.

    Args:
        folder: held by this station.
        sync: see JournalSettings.
        epoch: the number to take if the last run's cannot be continued.

    Attributes:
        loaded: what the last run left.
        set_aside: where a damaged file was moved to.
        file: identity of the present file; another one = connections to the old one are stale.

    Raises:
        ConfigurationError: the file was written by a newer release.
    """

    def __init__(
        self, folder: Folder, sync: Literal["normal", "full"], epoch: int, clock: Clock, connect: Connect = connect
    ) -> None:
        self.path = folder.path / FILE
        self.set_aside: Path | None = None
        self.file: os.stat_result | None = None
        self.begun = False
        self._folder = folder
        self._sync = sync
        self._clock = clock
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._new_epoch = epoch
        self.loaded = self._load()
        self.epoch = self.loaded.epoch or epoch
        self._first_seq = self.loaded.first_seq
        # What the file holds, for the case that it goes and has to be begun anew.
        self._ledger = Ledger(self.loaded.ledger.counts())
        self._cursors = dict(self.loaded.cursors)
        self._seq, self._part, self._counter = self.loaded.seq, self.loaded.part, self.loaded.counter
        self._forgotten_part = 0

    # ---- start -----------------------------------------------------------------------------------------------

    def _load(self) -> Loaded:
        """Read the file, or begin one; a damaged one is moved out of the way, a full disk is not the end."""
        try:
            return self._read_or_begin()
        except (sqlite3.Error, OSError) as error:
            log.error("journal %s: cannot be opened for writing (%s); inspection starts without it", self.path, error)
            self.drop()
        return self._read_only()

    def _read_or_begin(self) -> Loaded:
        try:
            return self._read()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self.put_aside(str(error))
        return self._read()

    def _read_only(self) -> Loaded:
        """Read what a full or read-only disk holds; without a file, or with one that is no use, begin with nothing."""
        try:
            connection = connect_past_locks(self.path)
        except sqlite3.OperationalError:
            return Loaded()
        try:
            refuse_newer(connection)
            _check(connection)
            return self._loaded_from(connection)
        except (sqlite3.Error, OSError) as error:
            log.error("journal %s: cannot be read either (%s): it is set aside when that is possible", self.path, error)
        finally:
            connection.close()
        return Loaded()

    def _read(self) -> Loaded:
        try:
            connection = self._open(create=True)
        except ConfigurationError:
            self.drop()
            raise
        _check(connection)
        migrate(connection)
        return self._loaded_from(connection)

    def _loaded_from(self, connection: sqlite3.Connection) -> Loaded:
        # Bytes that are no text are damage too, and found where they are judged.
        connection.text_factory = lambda text: text.decode(errors="replace")
        with foreign_values_are_damage():
            loaded = load(connection)
        self.file = self.path.stat()
        return loaded

    def _open(self, *, create: bool) -> sqlite3.Connection:
        self._connection = connection = self._connect(self.path, create)
        # Before anything is written to it: the next line may change the file.
        refuse_newer(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        # Checkpoints are the housekeeping's: here they would delay a verdict.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        # The epoch must be known to be open before anything of it is published, whatever the setting.
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def begin(self) -> None:
        """
        Open the epoch, durably.

        Raises:
            sqlite3.Error, OSError: the disk refuses.
        """
        connection = self._connection or self._open_again()
        statements.prepare(connection)
        connection.execute("BEGIN IMMEDIATE")
        statements.begin_epoch(connection, self.epoch, self._first_seq, self._clock.utc_us())
        connection.execute("COMMIT")
        self._folder.sync()
        connection.execute(f"PRAGMA synchronous = {self._sync}")
        self.begun = True

    def renounce(self) -> None:
        """Take a new epoch: the last one cannot be marked as open, and would be taken for well ended after a crash."""
        self.epoch = self._new_epoch
        self._first_seq = self.loaded.seq + 1

    # ---- the verdict path ------------------------------------------------------------------------------------

    def write(self, batch: Batch) -> list[str]:
        """
        Commit a batch.

        Returns:
            Faults: entries that found no place, in words; ``batch.refused`` has them all. Their counts are kept, their
            seq is lost.

        Raises:
            sqlite3.Error, OSError: it is not known to be committed; drop the connection, write the same batch again.
        """
        if self._connection is not None and not self._is_ours():
            self.drop()
        if self._connection is None or not self.begun:
            self.begin()
        assert self._connection is not None
        statements.commit(self._connection, batch)
        self._remember(batch)
        # Those that were open when their file went find no row, which is told by the gap and is no fault of the loop's.
        return [_fault(entry) for entry in batch.refused.values() if entry.part > self._forgotten_part]

    def end(self) -> bool:
        """Write the clean-close record; return False when a part is still open."""
        if self._connection is None or not self._is_ours():
            return False
        self._connection.execute("PRAGMA synchronous = FULL")
        return statements.end_epoch(self._connection, self.epoch)

    def drop(self) -> None:
        """Close the connection; the next write opens another."""
        self.begun = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def put_aside(self, why: str) -> None:
        """
        Move the file out of the way; the next one begins with what is still known.

        Raises:
            OSError: it cannot be moved; it is not written to again, and the next write tries to move it first.
        """
        self.file = None
        self.set_aside = set_aside(self.path, self._clock.utc_us()) or self.set_aside
        log.error(
            "journal %s: %s; kept as %s, a new one is begun", self.path, why, self.set_aside or "nothing: it is gone"
        )
        # Closed after the move: SQLite leaves the log of a file that has moved as it is.
        self.drop()

    def _is_ours(self) -> bool:
        """Return whether the path still names the file that is open: a deleted one takes writes without complaint."""
        return self.file is not None and os.path.samestat(self.path.stat(), self.file)

    def _open_again(self) -> sqlite3.Connection:
        self._folder.renew()
        if self.path.exists() and self._is_ours():
            connection = self._open(create=False)
            migrate(connection)
            return connection
        # An empty one is what a full disk left of the attempt before.
        if not self.path.exists() or self.path.stat().st_size > 0:
            self.put_aside("not the file that was begun")
        connection = self._open(create=True)
        migrate(connection)
        connection.execute("BEGIN IMMEDIATE")
        statements.restore(
            connection, self._first_seq, self._seq, self._part, self._counter, self._ledger, self._cursors
        )
        connection.execute("COMMIT")
        self._forgotten_part = self._part
        self.file = self.path.stat()
        return connection

    def _remember(self, batch: Batch) -> None:
        self._ledger.merge(batch.tally)
        self._part = max(self._part, batch.last_part)
        self._seq = max(self._seq, batch.last_seq)
        self._counter = self._counter if (counter := batch.counter) is None else counter
        for consumer, position in batch.cursors.items():
            self._cursors.pop(consumer, None)
            if position is not None:
                self._cursors[consumer] = position


def _check(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _fault(entry: Entry) -> str:
    if isinstance(entry, TriggerEntry):
        return f"part {entry.part} was triggered a second time; expected a new number"
    return f"verdict {entry.seq} of part {entry.part} refused; expected a new number and an open part"
