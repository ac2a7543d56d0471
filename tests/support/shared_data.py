"""The real images beside the repository, which may not enter it: absent for most people, required in CI."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def shared_data(name: str) -> Path:
    """Return the folder of a data set; without it the test fails in CI (variable CI set) and is skipped elsewhere."""
    folder = REPOSITORY.parent / "shared" / "data" / name
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{folder} is absent, and CI must have it")
        pytest.skip(f"{folder} is absent")
    return folder
