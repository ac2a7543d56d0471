"""The tests' bundle, kept between test sessions."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path

from tests.support.made import REPOSITORY, once

_SOURCES = (
    "training/networks/*.py",
    "training/figures/engine.py",
    "engines/contract.py",
    "engines/[eglor]*.py",  # export, graphs, limits, lint, options, reference
    "edge/bundle.py",
    "edge/tiles.py",
    "tests/support/bundles.py",
)
"""Of a bundle's bytes."""


def kept_bundle(folder: Path) -> Path:
    """
    Copy into *folder* a bundle that is made once for as long as the code that makes it stays the same; return its path.

    With it come the checkpoints and the pictures that it was made of.
    """
    sources = sorted(path for pattern in _SOURCES for path in REPOSITORY.glob(pattern))
    versions = [version(name) for name in ("torch", "onnx", "onnxscript")]
    made = once("tiny", [*(path.read_text(encoding="utf-8") for path in sources), *versions], _make)
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return folder / "bundle"


def _make(folder: Path) -> None:
    from tests.support.bundles import make_bundle  # torch: only who makes a bundle pays for it

    make_bundle(folder)
