"""
Files laid out on a machine, and what was laid out: never over something that somebody has edited.

The record beside the configurations has the SHA-256 of each file as it was written. A file that still has it is ours,
to be replaced or removed; any other is theirs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from edge.errors import ConfigurationError
from edge.service.files import CONFIGURATIONS, ServiceFile

RECORD = CONFIGURATIONS / ".laid-out.json"
_NEW = ".new"
_WOULD = {"made": "would make", "updated": "would update", "removed": "would remove"}


class Layout:
    """
    Args:
        root: of the file system.
        dry: change nothing, say only what would be done.
    """

    def __init__(self, root: Path, *, dry: bool) -> None:
        self.root = root
        self._dry = dry
        self._laid = self._read()

    def lay(self, files: Iterable[ServiceFile]) -> Iterator[str]:
        """
        Write files; yield what was done with each. One that was edited here is kept, the new one put beside it.

        Raises:
            ConfigurationError: a file cannot be written.
        """
        for file in files:
            yield self._lay(file)

    def make(self, path: Path, data: bytes, mode: int, kept: str) -> str:
        """Write a file that is the engineer's from then on; one that is there stays, whatever it holds."""
        full = self.root / path
        if full.exists():
            return f"kept       {full}: {kept}"
        self._write(full, data, mode)
        return f"{self._done('made')} {full}"

    def holds(self, path: Path, data: bytes) -> bool:
        """Tell whether a file is there that has just this in it."""
        return _read(self.root / path) == data

    def remove(self) -> Iterator[str]:
        """
        Remove what was laid out and is unchanged; yield what was done with each.

        Raises:
            ConfigurationError: a file cannot be removed.
        """
        if not self._laid:
            yield f"nothing was laid out below {self.root}"
        for name, digest in list(self._laid.items()):
            yield self._remove(self.root / name, digest)
            del self._laid[name]
        self._keep_record()

    def _lay(self, file: ServiceFile) -> str:
        full, data = self.root / file.path, file.text.encode()
        there = _read(full)
        # One that lay there before us, the same to the byte, is somebody's all the same.
        if there == data:
            return f"same       {full}"
        if there is None or self._is_ours(file.path, there):
            self._write_ours(file.path, data)
            return f"{self._done('made' if there is None else 'updated')} {full}"
        return f"kept       {full}: it was edited here; {self._lay_beside(file.path, data)}"

    def _lay_beside(self, path: Path, data: bytes) -> str:
        """Put the new one beside a file that was edited; return what is to be done with it."""
        beside = path.with_name(path.name + _NEW)
        there = _read(self.root / beside)
        if there is not None and there != data and not self._is_ours(beside, there):
            return f"{beside.name} beside it was edited too: move it away to see the new one"
        if there != data:
            self._write_ours(beside, data)
        return f"the new one {'would be' if self._dry else 'is'} {beside.name} beside it, compare them"

    def _is_ours(self, path: Path, there: bytes) -> bool:
        return self._laid.get(str(path)) == _digest(there)

    def _write_ours(self, path: Path, data: bytes) -> None:
        self._write(self.root / path, data, 0o644)
        self._laid[str(path)] = _digest(data)
        self._keep_record()

    def _remove(self, full: Path, digest: str) -> str:
        there = _read(full)
        if there is None:
            return f"gone       {full}"
        if _digest(there) != digest:
            return f"kept       {full}: it was edited here; remove it by hand if nobody needs it"
        if not self._dry:
            try:
                full.unlink()
                with contextlib.suppress(OSError):  # Of a drop-in its folder too, where nothing else is in it.
                    if full.parent.name.endswith(".d") and full.parent.parent.name == "system":
                        full.parent.rmdir()
            except OSError as error:
                raise ConfigurationError(f"{full}: cannot be removed ({error.strerror}); look at its folder") from error
        return f"{self._done('removed')} {full}"

    def _done(self, done: str) -> str:
        return f"{_WOULD[done] if self._dry else done:10}"

    # ---- the record ------------------------------------------------------------------------------------------

    def _read(self) -> dict[str, str]:
        written = _read(self.root / RECORD)
        if written is None:
            return {}
        try:
            return msgspec.json.decode(written, type=dict[str, str])
        except msgspec.DecodeError as error:
            raise ConfigurationError(
                f"{self.root / RECORD}: cannot be read ({error}); remove it: files that differ are then kept as edited"
            ) from error

    def _keep_record(self) -> None:
        if self._laid:
            self._write(self.root / RECORD, msgspec.json.format(msgspec.json.encode(self._laid)), 0o644)
        elif not self._dry:
            (self.root / RECORD).unlink(missing_ok=True)

    def _write(self, path: Path, data: bytes, mode: int) -> None:
        if self._dry:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Whole or not at all, and never readable by more than it is to be.
            half = path.with_name(f".{path.name}.half")
            with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            half.replace(path)
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be written ({error.strerror}); look at its folder") from error


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); look at it") from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
