"""
The engine cache: what was made and proven on this machine, so that it need not be made and proven at each start.

    machine.key              32 random bytes, 0600, made at first use; not there where the service manager hands out one
    <entry>/entry.json       an Entry: what for, with which proof, SHA-256 of each other file
    <entry>/entry.mac        HMAC-SHA256 of entry.json with the machine's key
    <entry>/classifier       network or plan, as a backend opens it; likewise segmenter
    <entry>/...              parity.html, build.log, layers.json: for people

An entry is bound to the bundle, the backend's version, the device and the precision, and believed only as loaded: a
file that was altered, copied from another machine or belongs to another entry refuses the whole entry.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Literal

import msgspec

from edge.bundle import Bundle
from edge.errors import BundleError, ConfigurationError
from edge.inspector.backend import BackendSettings, Precision, backend_version
from edge.inspector.machine import device_of
from edge.inspector.parity import ParityReport
from edge.settings import credential

CLASSIFIER, SEGMENTER = "classifier", "segmenter"
PARITY_PAGE, BUILD_LOG, LAYERS = "parity.html", "build.log", "layers.json"

_KEY, _ENTRY, _MAC = "machine.key", "entry.json", "entry.mac"
_KEY_BYTES = 32
_HALF = ".new-"
_MAX_FILE_BYTES = 1 << 31
_NAME_DIGITS = 24


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry is for; two stations that agree in all of it share the entry."""

    bundle_hash: str
    backend: str
    """Vendor and version."""
    device: str
    precision: Precision

    @property
    def name(self) -> str:
        """Of the entry's folder."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:_NAME_DIGITS]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The signed part of an entry."""

    schema: Literal[1] = 1
    target: Target
    bundle: str
    """Name and release, for people."""
    made_utc: str
    """ISO 8601."""
    made_with: str
    """The command, for people."""
    parity: ParityReport
    files: dict[str, str]
    """SHA-256 of each other file."""


@dataclass(frozen=True)
class Cached:
    """An entry whose files were found as they were signed; *files* are the very bytes that were hashed."""

    entry: Entry
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def classifier(self) -> bytes:
        return self.files[CLASSIFIER]

    @property
    def segmenter(self) -> bytes:
        return self.files[SEGMENTER]


def target_of(bundle: Bundle, settings: BackendSettings) -> Target:
    """
    Return what an engine of this bundle, made here with these settings, is for.

    Raises:
        ConfigurationError: the backend's package or its device is not there.
    """
    return Target(
        bundle_hash=bundle.hash,
        backend=backend_version(settings.name),
        device=device_of(settings),
        precision=settings.precision,
    )


class EngineCache:
    """
    Args:
        folder: of all entries; made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, target: Target) -> Cached | None:
        """
        Load the entry for *target*; None when there is none.

        Raises:
            BundleError: there is one, and it is not what this machine signed.
            ConfigurationError: the machine's key cannot be used.
        """
        path = self.folder / target.name
        if not self.folder.is_dir():
            return None
        with self._locked(fcntl.LOCK_SH):
            if not path.exists():
                return None
            entry = self._entry(path)
            if entry.target != target:
                raise BundleError(f"{path}: is for {entry.target}, expected {target}; {_MEND}")
            return Cached(entry, dict(_verified_files(path, entry)))

    def require_writable(self) -> None:
        """
        Make folder and key, before something is built for minutes that could not be kept.

        Raises:
            ConfigurationError: they cannot be made, or the key cannot be used.
        """
        with self._writing():
            _key_made(self.folder)

    def write(self, entry: Entry, files: Mapping[str, bytes]) -> Path:
        """
        Keep an entry, whole or not at all; one for the same target is replaced.

        Args:
            entry: whose ``files`` are filled in here.

        Raises:
            ConfigurationError: the folder cannot be written.
        """
        path = self.folder / entry.target.name
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        text = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(entry, files=hashes)))
        with self._writing():
            mac = hmac.digest(_key_made(self.folder), text, "sha256")
            half = Path(mkdtemp(prefix=_HALF, dir=self.folder))
            for name, data in {**files, _ENTRY: text, _MAC: mac}.items():
                _write_durably(half / name, data)
            half.chmod(0o750)
            _exchange(half, path)
        return path

    def entries(self) -> list[tuple[Path, Entry | BundleError]]:
        """
        Return every entry with what it says, or why it is not believed; the files are checked, too.

        Raises:
            ConfigurationError: the machine's key cannot be used, so that nothing is known of any.
        """
        return [(path, self._said(path)) for path in self._paths()]

    def remove(self, path: Path) -> None:
        """
        Delete an entry.

        Raises:
            ConfigurationError: it cannot be deleted.
        """
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be removed ({error.strerror}); check its owner") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Keep readers and other writers out; what was left half written, now or by one that was killed, goes."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked(fcntl.LOCK_EX):
                try:
                    yield
                finally:
                    for half in self.folder.glob(f"{_HALF}*"):
                        shutil.rmtree(half, ignore_errors=True)
        except OSError as error:
            raise ConfigurationError(
                f"{self.folder}: the engine cache cannot be written ({error.strerror}); make room, or set engine_cache"
            ) from error

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Hold the folder itself: one that cannot be written to can be read from all the same."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def _said(self, path: Path) -> Entry | BundleError:
        try:
            entry = self._entry(path)
            dict(_verified_files(path, entry))
        except BundleError as error:
            return error
        return entry

    def _paths(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith("."))

    def _entry(self, path: Path) -> Entry:
        """Return what the entry says once its signature is this machine's."""
        text, mac = _loaded(path / _ENTRY), _loaded(path / _MAC)
        if not hmac.compare_digest(mac, hmac.digest(_key(self.folder), text, "sha256")):
            raise BundleError(f"{path}: {_ENTRY} was not signed with this machine's key; {_MEND}")
        try:
            return msgspec.json.decode(text, type=Entry)
        except msgspec.DecodeError as error:
            raise BundleError(f"{path}: {_ENTRY}: of another release of this program ({error}); {_MEND}") from error


_MEND = "remove it, and build it again with edge-engine build"


def _key(folder: Path) -> bytes:
    """
    Read the machine's key: the service's credential of that name, else the file in *folder*.

    Raises:
        ConfigurationError: it is missing, cut short, or others may read it.
    """
    given = credential(_KEY)
    path = given or folder / _KEY
    try:
        key = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}); check its owner, or remove {path.parent} and build anew"
        ) from error
    # Who may read a credential is the service manager's business: an access list shows as the group's rights.
    if given is None and mode & 0o077:
        raise ConfigurationError(f"{path}: may be read by others: whoever can could sign; say chmod 600 {path}")
    if len(key) != _KEY_BYTES:
        raise ConfigurationError(
            f"{path}: {len(key)} bytes, expected {_KEY_BYTES}; make another key, and build the engines anew"
        )
    return key


def _key_made(folder: Path) -> bytes:
    """Return the machine's key, made if there is none; of two that do so at once, both take the first one's."""
    path = folder / _KEY
    if credential(_KEY) is None and not path.exists():
        half = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(half, path)
        finally:
            half.unlink(missing_ok=True)
    return _key(folder)


def _exchange(new: Path, path: Path) -> None:
    """
    Let *new* take the place of *path*; a folder that is not empty cannot be renamed over.

    A kill between the two names leaves no entry: it is made anew. Readers wait for the lock meanwhile.
    """
    old = new.with_name(f"{new.name}.old")
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise


def _verified_files(path: Path, entry: Entry) -> Iterator[tuple[str, bytes]]:
    listed = {*entry.files, _ENTRY, _MAC}
    for found in path.iterdir():
        if found.name not in listed:
            raise BundleError(f"{path}: {found.name} does not belong to the entry; {_MEND}")
    for name, digest in entry.files.items():
        data = _loaded(path / name)
        if hashlib.sha256(data).hexdigest() != digest:
            raise BundleError(f"{path}: {name} was altered since it was made; {_MEND}")
        yield name, data


def _loaded(path: Path) -> bytes:
    try:
        if path.is_symlink():
            raise BundleError(f"{path}: is a symbolic link: expected a plain file; {_MEND}")
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); {_MEND}") from error
    if len(data) > _MAX_FILE_BYTES:
        raise BundleError(f"{path}: larger than {_MAX_FILE_BYTES} bytes; {_MEND}")
    return data


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
