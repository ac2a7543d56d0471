"""
Many trainings, each in a process of its own, two side by side on two cores, each kept once it is done.

A process of its own gives each its own peak of memory and leaves nothing behind for the next. A fit that was cut short
is begun again by the next call; one that is done is read from its file, if it was done with the same arguments.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from tests.qualify.report import CONSOLE, circumstances


class FitFailed(EdgeError):
    """A fit ended without a result."""


@dataclass(frozen=True)
class Fit:
    """
    One training and what is measured of it.

    Attributes:
        name: of its result file, without the ending.
        module: has ``fit(**arguments)``, which returns figures that JSON can hold.
    """

    name: str
    module: str
    arguments: Mapping[str, Any]


def figures_of(fits: Sequence[Fit], folder: Path, *, at_once: int | None = None) -> dict[str, dict[str, Any]]:
    """
    Run the fits that have no result of their arguments in *folder* yet; return the figures of all, by name.

    Args:
        fits: in the order in which they are begun.
        folder: of the results and logs; made if it is not there.
        at_once: so many side by side, one core each; none = as many as there are cores.

    Raises:
        FitFailed: one ended without a result; names its log. Those that are done are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting = [fit for fit in fits if not _is_done(folder, fit)]
    began = time.monotonic()
    with ThreadPoolExecutor(at_once or os.cpu_count() or 1) as pool:
        for done, fit in enumerate(pool.map(lambda fit: _run(fit, folder), waiting), start=1):
            left_min = (time.monotonic() - began) / done * (len(waiting) - done) / 60
            CONSOLE.print(f"{fit.name}: done, {len(waiting) - done} left, some {left_min:.0f} min", markup=False)
    return {fit.name: json.loads(_result(folder, fit).read_bytes())["figures"] for fit in fits}


def _is_done(folder: Path, fit: Fit) -> bool:
    """A result that does not say what it was made with is none."""
    if not _result(folder, fit).exists():
        return False
    made_with = json.loads(_result(folder, fit).read_bytes()).get("arguments")
    return bool(made_with == json.loads(json.dumps(dict(fit.arguments))))


def _run(fit: Fit, folder: Path) -> Fit:
    log = folder / f"{fit.name}.log"
    command = [sys.executable, "-m", "tests.qualify.fits", fit.module, json.dumps(dict(fit.arguments))]
    with log.open("wb") as file:
        ended = subprocess.run(
            [*command, str(_result(folder, fit))],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
    if ended.returncode:
        raise FitFailed(f"{fit.name}: ended with {ended.returncode}; see {log}, then run the section again")
    return fit


def _result(folder: Path, fit: Fit) -> Path:
    return folder / f"{fit.name}.json"


def _main(module: str, arguments: str, result: str) -> None:
    asked = json.loads(arguments)
    figures = importlib.import_module(module).fit(**asked)
    new = Path(result).with_suffix(".new")
    new.write_text(json.dumps({"arguments": asked, **circumstances(), "figures": figures}), encoding="utf-8")
    new.replace(result)


if __name__ == "__main__":
    _main(*sys.argv[1:])
