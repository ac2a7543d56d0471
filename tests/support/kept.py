"""The tests' bundle, kept between test sessions."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp

_REPOSITORY = Path(__file__).parents[2]
_KEPT = _REPOSITORY / ".cache" / "tiny"
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

    Half of the time of a single test file would go into training it again.
    """
    kept = _KEPT / _digest_of_sources()
    if not kept.exists():
        _KEPT.mkdir(parents=True, exist_ok=True)
        half = Path(mkdtemp(dir=_KEPT))
        from tests.support.bundles import make_bundle  # torch: only who makes a bundle pays for it

        make_bundle(half)
        with contextlib.suppress(OSError):  # Another test session was faster.
            half.rename(kept)
        shutil.rmtree(half, ignore_errors=True)
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    return folder / "bundle"


def _digest_of_sources() -> str:
    sources = sorted(path for pattern in _SOURCES for path in _REPOSITORY.glob(pattern))
    versions = "".join(version(name) for name in ("torch", "onnx", "onnxscript"))
    return hashlib.sha256(b"".join(map(Path.read_bytes, sources)) + versions.encode()).hexdigest()[:16]
