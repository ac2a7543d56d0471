"""How figures of `make qualify` are printed, summed up and kept: one console, one form of table, one form of file."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

CONSOLE = Console(record=True, width=200, highlight=False)
"""Where every section prints; what it printed is kept beside its figures."""

REPOSITORY = Path(__file__).parents[2]


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table as it can stand in docs/results.md; the first column is text, the others are figures."""
    made = Table(box=MARKDOWN)
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    CONSOLE.print(f"\n{title}\n", markup=False)
    CONSOLE.print(made)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return n, p50, p99, p99.9 and max of *values*, in their unit; NaN of none."""
    if not values:
        return {"n": 0, "p50": float("nan"), "p99": float("nan"), "p99.9": float("nan"), "max": float("nan")}
    p50, p99, p999 = np.percentile(values, (50, 99, 99.9))
    return {"n": len(values), "p50": float(p50), "p99": float(p99), "p99.9": float(p999), "max": float(max(values))}


def median_and_spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median of some rounds, and the lowest and highest of them."""
    return {"median": float(np.median(values)), "low": float(min(values)), "high": float(max(values))}


def with_spread(values: Sequence[float], digits: int = 2) -> str:
    """Return rounds as ``median (lowest to highest)``."""
    of = median_and_spread(values)
    return f"{of['median']:.{digits}f} ({of['low']:.{digits}f} to {of['high']:.{digits}f})"


def oversleep(seconds: float = 3.0) -> dict[str, float]:
    """
    Return how much later than asked this process is woken from sleeps of 10 ms [us].

    What the machine itself takes: no deadline can be kept more exactly than that.
    """
    late_us = []
    due_s = time.monotonic()
    for _ in range(round(100 * seconds)):
        due_s = max(due_s + 0.01, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))
        late_us.append(1e6 * (time.monotonic() - due_s))
    return percentiles(late_us)


def circumstances() -> dict[str, Any]:
    """Return where and when the figures were taken: machine, load, date, commit."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _commit() -> str:
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"], cwd=REPOSITORY, capture_output=True, text=True
    )
    return told.stdout.strip() or "no repository"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
