"""What a process holds, read from /proc: memory, descriptors, threads; and the slope of a series."""

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


def slope_per_h(times_s: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope of *values* by least squares, per hour; NaN of fewer than two."""
    if len(times_s) < 2:
        return float("nan")
    return float(np.polyfit(times_s, values, 1)[0]) * _S_PER_H
