"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

# Before any test imports a vendor's package itself: some tell their makers.
import edge.quiet  # noqa: F401
from tests.support.kept import kept_bundle

# No timed tests: an example that takes long on a busy machine has not failed.
settings.register_profile("edge", deadline=None)
settings.load_profile("edge")


@pytest.fixture(scope="session")
def _states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return folders that do not exist, one after the other."""
    folder = tmp_path_factory.mktemp("states")
    return (folder / str(number) for number in count())


@pytest.fixture(autouse=True)
def _own_state(_states: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test find the engines, or the journal, of another one or of whoever works at this machine."""
    monkeypatch.setenv("XDG_STATE_HOME", str(next(_states)))


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle that finds bright and dark squares; read only: copy it before changing it."""
    return kept_bundle(tmp_path_factory.mktemp("tiny"))
