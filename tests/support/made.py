"""
What tests need and is made once, into ``.cache``: with tools that a machine has, from downloads that it can reach.

Where they are missing a test fails in CI (variable CI set) and is skipped elsewhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

REPOSITORY = Path(__file__).parents[2]
CACHE = REPOSITORY / ".cache"


class Unavailable(Exception):
    """A tool or a download is not to be had; the text says which."""


def give_up(error: Unavailable, what: str) -> NoReturn:
    """Fail in CI, which must be able to make *what*; skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"{error}; CI must be able to make {what}")
    pytest.skip(f"{error}: {what} cannot be made here")


def once(name: str, made_from: Sequence[str], make: Callable[[Path], None]) -> Path:
    """Return ``.cache/<name>-<hash of what it is made from>``; older ones of that name are removed when it is made."""
    folder = CACHE / f"{name}-{hashlib.sha256(repr(made_from).encode()).hexdigest()[:12]}"
    with _only_one_at_a_time(name):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                unfinished = Path(work) / "made"
                unfinished.mkdir()
                make(unfinished)
                for old in CACHE.glob(f"{name}-*"):
                    shutil.rmtree(old)
                unfinished.rename(folder)
    return folder


@contextmanager
def _only_one_at_a_time(name: str) -> Iterator[None]:
    """Wait for another process that makes the same."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pip(*arguments: str, variables: Mapping[str, str] | None = None) -> None:
    """Run pip; see run()."""
    run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments, variables=variables)


def run(*command: str, variables: Mapping[str, str] | None = None) -> str:
    """
    Run a tool; return what it prints.

    Raises:
        Unavailable: it is not there, or fails; the last line of what it says is in the text.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, **(variables or {})}
        )
    except FileNotFoundError as error:
        raise Unavailable(f"{command[0]} is not installed") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no word"])[-1]
        raise Unavailable(f"'{' '.join(command[:7])} ...' failed: {last}") from error
    return done.stdout
