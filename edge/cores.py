"""Processor cores: which a process runs on, and that no two stations of a machine take the same."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edge.errors import ConfigurationError

CLAIMS = Path("/run/edge-inspect/cores")
"""Shared by the machine's stations; the service's tmpfiles.d makes it."""

_MOST = 1024
_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")


def cores_from_text(text: str) -> tuple[int, ...]:
    """
    Return the cores of a list as the kernel writes it, ``2-3,5``; ascending.

    Raises:
        ValueError: it is none, is empty, or names a core twice or beyond 1023.
    """
    found: list[int] = []
    for item in text.split(","):
        match = _RANGE.fullmatch(item.strip())
        if match is None:
            raise ValueError("expected numbers and ranges of cores as in 2-3,5")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < _MOST:
            raise ValueError(f"expected cores from 0 to {_MOST - 1}, the lower one first")
        found += range(first, last + 1)
    if len(set(found)) != len(found):
        raise ValueError("expected each core once")
    return tuple(sorted(found))


def text_from_cores(cores: Sequence[int]) -> str:
    """Return ascending *cores* as ``2-3,5``."""
    runs: list[list[int]] = []
    for core in cores:
        if runs and core == runs[-1][-1] + 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def refuse_missing(cores: Sequence[int], key: str) -> None:
    """
    Raises:
        ConfigurationError: this process may not run on one of *cores*, which the settings call *key*.
    """
    ours = os.sched_getaffinity(0)
    missing = [core for core in cores if core not in ours]
    if missing:
        raise ConfigurationError(
            f"key '{key}' = {text_from_cores(cores)}: no core {text_from_cores(missing)} here; expected some of "
            f"{text_from_cores(sorted(ours))}, which this process may run on"
        )


def pin(cores: Sequence[int], key: str) -> None:
    """
    Run this process, the threads that it has and those to come, on *cores* alone.

    Raises:
        ConfigurationError: the kernel does not let it; *key* is what the settings call them.
    """
    for thread in Path("/proc/self/task").iterdir():
        try:
            os.sched_setaffinity(int(thread.name), cores)
        except ProcessLookupError:
            continue  # It has just ended.
        except OSError as error:
            raise ConfigurationError(
                f"key '{key}' = {text_from_cores(cores)}: {error.strerror}; name others"
            ) from error
    # The kernel takes what it can of the list and says nothing of the rest.
    refuse_missing(cores, key)


@contextmanager
def claimed(cores: Sequence[int], station: str, folder: Path) -> Iterator[None]:
    """
    Hold *cores* for this station: a locked file for each, which the kernel unlocks however the process ends.

    Args:
        folder: of the files; made if it is not there.

    Raises:
        ConfigurationError: another station holds one of them, or the folder cannot be used.
    """
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for core in cores:
                held.callback(os.close, _locked(folder / str(core), core, station))
        except OSError as error:
            raise ConfigurationError(
                f"{folder}: cores cannot be claimed ({error.strerror}); make it writable for the stations' user "
                "(edge-inspectd install does), or leave out process.station_cpus and process.inspector_cpus"
            ) from error
        yield


def claims_folder(fallback: Path, *, service: bool) -> Path:
    """
    Return where the machine's stations claim cores: CLAIMS, or by hand, on a machine without services, *fallback*.

    Raises:
        ConfigurationError: a service finds no CLAIMS: in another place it would not see what the others have.
    """
    if CLAIMS.is_dir():
        return CLAIMS
    if service:
        raise ConfigurationError(
            f"{CLAIMS}: not there: cores that are claimed elsewhere could be another station's too; run edge-inspectd "
            "install, or systemd-tmpfiles --create /etc/tmpfiles.d/edge-inspect.conf"
        )
    return fallback / "cores"


def _locked(path: Path, core: int, station: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another one"
        os.close(descriptor)
        raise ConfigurationError(
            f"core {core} is taken by station {holder}: two stations on one core make each other late; change "
            "process.station_cpus or process.inspector_cpus of one of them"
        ) from error
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, f"{station} (process {os.getpid()})\n".encode(), 0)
    return descriptor
