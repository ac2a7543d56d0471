"""The state directory: it belongs to one station at a time, and nothing in it is ever deleted because it is broken."""

from __future__ import annotations

import fcntl
import os
from datetime import datetime, timezone
from pathlib import Path

from edge.errors import ConfigurationError


class Folder:
    """
    A directory held by an exclusive lock: on the directory itself, since a full or read-only disk takes no lock file.

    Raises:
        ConfigurationError: it cannot be made or opened, or another station holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._fd = _locked(path)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"state_dir = {path}: another station is running on it; stop that one, or name another state_dir"
            ) from error
        except OSError as error:
            raise ConfigurationError(
                f"state_dir = {path}: no directory to keep a journal in ({error.strerror}); make it, or name another"
            ) from error

    def renew(self) -> None:
        """
        Take the lock again where the directory was replaced by another one.

        Raises:
            OSError: it is gone, or somebody else holds the new one.
        """
        if os.path.samestat(self.path.stat(), os.fstat(self._fd)):
            return
        fd = _locked(self.path)
        os.close(self._fd)
        self._fd = fd

    def sync(self) -> None:
        """Make the names of the files in it durable."""
        os.fsync(self._fd)

    def release(self) -> None:
        os.close(self._fd)


def _locked(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def set_aside(path: Path, utc_us: int) -> Path | None:
    """
    Rename a database and what SQLite keeps beside it; return its new name, None if there was none.

    A log that stayed behind would be taken for the next file's.
    """
    when = datetime.fromtimestamp(utc_us // 1_000_000, timezone.utc)
    name = f"{path.name}.damaged-{when:%Y%m%dT%H%M%SZ}"
    aside = path.with_name(name)
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{name}-{number}")
    there = path.exists()
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside if there else None
