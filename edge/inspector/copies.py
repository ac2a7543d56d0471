"""Copies of bundles that were active, in the state directory: what the station starts with when the next is refused."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Collection
from pathlib import Path

from edge.bundle import Bundle, read_bundle
from edge.errors import BundleError
from edge.inspector.link import KeepBundle
from engines.contract import MANIFEST_NAME, SIGNATURE_NAME

log = logging.getLogger("edge.inspector")

_NICE = 10
# The journal's commits wait for what the disk has in hand: never for more than this.
_PIECE_BYTES = 1 << 20


class Copier(threading.Thread):
    """
    Writes one copy beside the line, then ends. A fault is told in the log: the line goes on without a copy.

    Args:
        bundle: in use; its verified bytes are written, not what lies in its folder by now.
        after: an earlier one, which may still be writing.
    """

    def __init__(self, bundle: Bundle, order: KeepBundle, after: Copier | None) -> None:
        super().__init__(name="copier", daemon=True)
        self._bundle = bundle
        self._order = order
        self._after = after

    def run(self) -> None:
        nice = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        # Never less: only root may.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(nice, _NICE))
        if self._after is not None:
            self._after.join()
            self._after = None
        try:
            keep_copy(self._bundle, Path(self._order.folder), self._order.others)
        except OSError as error:
            log.error(
                "%s: no copy of the bundle in use can be kept (%s): there is none to go back to",
                self._order.folder,
                error.strerror,
            )


def keep_copy(bundle: Bundle, folder: Path, others: Collection[str]) -> None:
    """
    Have a copy of *bundle* in *folder*, named by its hash: whole or not at all, also over a power cut.

    Args:
        folder: made if need be; whatever else lies in it is removed.
        others: hashes of the copies that stay.

    Raises:
        OSError: it cannot be written; there is no copy then, or the old one.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    _remove_all_but(folder, {bundle.hash, *others})
    target, half = folder / bundle.hash, folder / f"{bundle.hash}.new"
    if _is_copy(target, bundle):
        return
    _write(bundle, half)
    _remove(target)
    half.rename(target)
    _sync(folder)


def _is_copy(folder: Path, bundle: Bundle) -> bool:
    try:
        found = read_bundle(folder)
    except BundleError:
        return False
    return (found.hash, found.signature) == (bundle.hash, bundle.signature)


def _write(bundle: Bundle, folder: Path) -> None:
    signature = {} if bundle.signature is None else {SIGNATURE_NAME: bundle.signature}
    for name, data in {**bundle.files, **signature, MANIFEST_NAME: bundle.text}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for begin in range(0, len(data), _PIECE_BYTES):
                file.write(memoryview(data)[begin : begin + _PIECE_BYTES])
                file.flush()
                os.fdatasync(file.fileno())
    for at, _, _ in os.walk(folder):
        _sync(Path(at))


def _remove_all_but(folder: Path, names: Collection[str]) -> None:
    for path in folder.iterdir():
        if path.name not in names:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
