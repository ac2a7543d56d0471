"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.kept import kept_bundle

# No timed tests: an example that takes long on a busy machine has not failed.
settings.register_profile("edge", deadline=None)
settings.load_profile("edge")


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle that finds bright and dark squares; read only: copy it before changing it."""
    return kept_bundle(tmp_path_factory.mktemp("tiny"))
