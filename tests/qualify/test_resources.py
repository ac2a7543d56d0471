"""What a process holds, and how it grows."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import pytest

from tests.qualify.resources import cpu_s_of, pss_mb_of, resources_of, slope_per_h


def test_descriptors_are_counted(tmp_path: Path) -> None:
    """An open file is one descriptor more."""
    before = resources_of(os.getpid())
    with (tmp_path / "file").open("w"):
        during = resources_of(os.getpid())
    assert during.descriptors == before.descriptors + 1
    assert during.rss_mb > 1
    assert during.threads >= 1


def test_time_on_a_processor_is_counted() -> None:
    """What a process does is in it, what it waits for is not."""
    before_s, began_s = cpu_s_of(os.getpid()), time.thread_time()
    while time.thread_time() < began_s + 0.05:
        pass
    assert cpu_s_of(os.getpid()) - before_s >= 0.04


def test_shared_memory_is_counted_by_its_share() -> None:
    """It is some of what is resident, and no more."""
    assert 1 < pss_mb_of(os.getpid()) <= 1.05 * resources_of(os.getpid()).rss_mb


def test_a_slope_is_per_hour() -> None:
    """One MB every ten seconds is 360 MB an hour; a single sample has no slope."""
    assert slope_per_h([0, 10, 20], [5, 6, 7]) == pytest.approx(360)
    assert math.isnan(slope_per_h([0], [5]))
