"""``edge-engine list`` and ``prune``: what lies in a machine's engine cache, and what of it is of no use any more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast, get_args

from rich.console import Console

from edge.bundle import read_bundle
from edge.errors import BundleError, ConfigurationError
from edge.inspector.backend import BackendName, BackendSettings, backend_version
from edge.inspector.cache import EngineCache, Entry
from edge.inspector.machine import device_of
from edge.settings import default_engine_cache
from engines.options import List, Prune

_MOST_GPUS = 64


def list_entries(command: List, console: Console) -> int:
    """Print every entry with what it is for, and whether this machine can use it."""
    cache = EngineCache(command.cache or default_engine_cache())
    entries = cache.entries()
    if not entries:
        console.print(f"{cache.folder}: no engines", highlight=False, soft_wrap=True, markup=False)
    for path, entry in entries:
        if isinstance(entry, Entry):
            target = entry.target
            made = f"{target.backend} {target.precision}, {entry.bundle}, {target.device}, made {entry.made_utc}"
            line = f"{made}: {useless(entry) or 'can be used'}"
        else:
            line = str(entry).removeprefix(f"{path}: ")
        console.print(f"{path.name}  {line}", highlight=False, soft_wrap=True, markup=False)
    return 0


def prune_entries(command: Prune, console: Console) -> int:
    """
    Delete what is damaged, what is of no bundle that is to stay, and if asked what this machine cannot use at present.

    Raises:
        BundleError: a bundle that is to stay cannot be read.
        ConfigurationError: an entry cannot be deleted, or the machine's key cannot be used: nothing is deleted then.
    """
    cache = EngineCache(command.cache or default_engine_cache())
    kept = {read_bundle(path).hash for path in command.bundles}
    useless_ones = list(_useless_entries(cache, kept, unusable=command.unusable))
    if not useless_ones:
        console.print(f"{cache.folder}: nothing to remove", highlight=False, soft_wrap=True, markup=False)
    for path, why in useless_ones:
        if not command.dry_run:
            cache.remove(path)
        done = "would be removed" if command.dry_run else "removed"
        console.print(f"{path.name}: {done}: {why}", highlight=False, soft_wrap=True, markup=False)
    return 0


def useless(entry: Entry) -> str:
    """Return why this machine cannot use an entry: it was made for another device or version; empty when it can."""
    target = entry.target
    name = target.backend.split()[0]
    if name not in get_args(BackendName):
        return f"for {target.backend}, which this program does not know"
    try:
        version = backend_version(cast(BackendName, name))
    except ConfigurationError as error:
        return str(error)
    if version != target.backend:
        return f"for {target.backend}, this machine has {version}"
    if target.device not in (devices := list(_devices())):
        return f"for {target.device}, this machine has {'; '.join(devices)}"
    return ""


def _devices() -> Iterator[str]:
    """Yield the processor and every GPU."""
    yield device_of(BackendSettings())
    for gpu in range(_MOST_GPUS):
        try:
            yield device_of(BackendSettings(name="tensorrt", gpu=gpu))
        except ConfigurationError:
            return


def _useless_entries(cache: EngineCache, kept: set[str], *, unusable: bool) -> Iterator[tuple[Path, str]]:
    for path, entry in cache.entries():
        if isinstance(entry, BundleError):
            yield path, str(entry).removeprefix(f"{path}: ")
        elif kept and entry.target.bundle_hash not in kept:
            yield path, f"is of {entry.bundle}, which is not to stay"
        elif unusable and useless(entry):
            yield path, useless(entry)
