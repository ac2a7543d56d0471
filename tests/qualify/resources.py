"""What a process holds and uses, read from /proc: memory, descriptors, threads, time; and the slope of a series."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_MB = 1e6
_S_PER_H = 3600.0


@dataclass(frozen=True)
class Resources:
    rss_mb: float
    descriptors: int
    threads: int


def resources_of(pid: int) -> Resources:
    """
    Return what process *pid* holds now.

    Raises:
        OSError: it has ended.
    """
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    return Resources(
        rss_mb=pages * os.sysconf("SC_PAGE_SIZE") / _MB,
        descriptors=len(list((folder / "fd").iterdir())),
        threads=len(list((folder / "task").iterdir())),
    )


def pss_mb_of(pid: int) -> float:
    """
    Return the memory of process *pid* with what it shares counted by its share.

    Raises:
        OSError: it has ended, or belongs to somebody else.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / _MB


def cpu_s_of(pid: int) -> float:
    """
    Return for how long the threads that process *pid* has now have been on a processor.

    By schedstat, which counts nanoseconds: a wake-up of 0.1 ms is none in the ticks of stat.

    Raises:
        OSError: it has ended, or one of its threads just has.
    """
    stats = (task / "schedstat" for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(int(stat.read_text(encoding="ascii").split()[0]) for stat in stats) / 1e9


def slope_per_h(times_s: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope of *values* by least squares, per hour; NaN of fewer than two."""
    if len(times_s) < 2:
        return float("nan")
    return float(np.polyfit(times_s, values, 1)[0]) * _S_PER_H
