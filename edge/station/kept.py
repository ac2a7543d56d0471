"""Small things that outlive a restart: one JSON file each in the state directory, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from edge.errors import ConfigurationError

T = TypeVar("T")


class KeptFile(Generic[T]):
    """
    Args:
        folder: the state directory; None = nothing is kept.
        name: of the file.
        kind: the record in it.
    """

    def __init__(self, folder: Path | None, name: str, kind: type[T]) -> None:
        self._path = None if folder is None else folder / name
        self._kind = kind

    def read(self) -> T | None:
        """
        Return what was kept, None when nothing was.

        Raises:
            ConfigurationError: there is a file, and it cannot be read: what was in force is not known.
        """
        if self._path is None:
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=self._kind)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"{self._path}: cannot be read ({error}); remove it to start with what the settings say"
            ) from error

    def put_aside(self, utc_us: int) -> str:
        """Give a file that cannot be read another name, so that nothing of it is lost; return where it lies then."""
        if self._path is None:
            return "nothing is kept"
        aside = self._path.with_name(f"{self._path.name}.unreadable-{utc_us}")
        try:
            self._path.rename(aside)
            _sync_folder(self._path.parent)
        except OSError as error:
            return f"it cannot be renamed either ({error.strerror})"
        return f"it is kept as {aside}"

    def write(self, value: T | None) -> str:
        """Keep *value*, None = nothing, also over a power cut; return why that cannot be done, empty when it is."""
        if self._path is None:
            return ""
        try:
            if value is None:
                self._path.unlink(missing_ok=True)
            else:
                _replace(self._path, msgspec.json.encode(value))
            _sync_folder(self._path.parent)
        except OSError as error:
            return f"{self._path}: cannot be written ({error.strerror}): it would not outlive a restart"
        return ""


def _replace(path: Path, data: bytes) -> None:
    half = path.with_suffix(".new")
    with half.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
