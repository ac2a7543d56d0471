"""What a process holds, and how it grows."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from tests.qualify.resources import resources_of, slope_per_h


def test_descriptors_are_counted(tmp_path: Path) -> None:
    """An open file is one descriptor more."""
    before = resources_of(os.getpid())
    with (tmp_path / "file").open("w"):
        during = resources_of(os.getpid())
    assert during.descriptors == before.descriptors + 1
    assert during.rss_mb > 1
    assert during.threads >= 1


def test_a_slope_is_per_hour() -> None:
    """One MB every ten seconds is 360 MB an hour; a single sample has no slope."""
    assert slope_per_h([0, 10, 20], [5, 6, 7]) == pytest.approx(360)
    assert math.isnan(slope_per_h([0], [5]))
