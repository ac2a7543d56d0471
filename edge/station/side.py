"""A connection beside the writer's, for a thread that reads pages or keeps house."""

from __future__ import annotations

import os
import sqlite3

from edge.station.store import Connect, Store


class Side:
    """A connection beside the writer's; another one when the file is another one."""

    def __init__(self, store: Store, connect: Connect) -> None:
        self._store = store
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._file: os.stat_result | None = None

    def get(self) -> sqlite3.Connection | None:
        """
        Return the connection, None while there is no file.

        Raises:
            sqlite3.Error: the disk refuses.
            OSError: the path names another file, or none.
        """
        if self._file is not self._store.file:
            self.drop()
            self._file = self._store.file
        if self._file is None:
            return None
        if not os.path.samestat(self._store.path.stat(), self._file):
            raise FileNotFoundError("another file lies in its place")
        if self._connection is None:
            self._connection = connection = self._connect(self._store.path, False)
            # A deletion holds up the writer: it need not be durable, and the checkpoint after it has its own time.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
        return self._connection

    def drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
