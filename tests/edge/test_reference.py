"""Reference frames: decoded from what was verified, or refused with one line."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import read_bundle
from edge.errors import BundleError
from edge.reference import load_reference
from engines.contract import MANIFEST_NAME


@pytest.fixture
def bundle_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle that may be broken."""
    return shutil.copytree(tiny_bundle, tmp_path / "copy")


def _replace(folder: Path, name: str, data: bytes) -> None:
    """Write a file and its hash: a bundle that is consistent, but wrong."""
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    manifest["files"][name] = hashlib.sha256(data).hexdigest()
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest))


def test_reference_comes_from_the_verified_bytes(bundle_copy: Path) -> None:
    """Once read, a bundle does not look at its folder again."""
    bundle = read_bundle(bundle_copy)
    shutil.rmtree(bundle_copy)
    reference = load_reference(bundle, bundle.manifest.reference[0])
    assert reference.image.shape == (100, 170, 1)
    assert reference.scores.shape == (6, 2)
    assert reference.planes.shape == (2, 100, 170)
    assert reference.planes.dtype == np.float32


@pytest.mark.parametrize(
    ("suffix", "data", "told"),
    [
        ("png", b"", "is no picture"),
        ("png", b"no picture", "is no picture"),
        ("npz", b"no archive", "cannot be decoded"),
    ],
)
def test_reference_that_cannot_be_decoded_is_refused(bundle_copy: Path, suffix: str, data: bytes, told: str) -> None:
    """A picture or answers that no longer decode are named."""
    _replace(bundle_copy, f"reference/00.{suffix}", data)
    bundle = read_bundle(bundle_copy)
    with pytest.raises(BundleError, match=told):
        load_reference(bundle, bundle.manifest.reference[0])


def test_answers_of_another_shape_are_refused(bundle_copy: Path) -> None:
    """Answers must fit picture, tile and classes; both shapes are told."""
    other = (bundle_copy / "reference" / "00.npz").with_name("other.npz")
    np.savez(other, scores=np.zeros((5, 2), np.float32), planes=np.zeros((2, 100, 170), np.float16))
    data = other.read_bytes()
    other.unlink()
    _replace(bundle_copy, "reference/00.npz", data)
    bundle = read_bundle(bundle_copy)
    with pytest.raises(BundleError, match=r"scores: \(5, 2\), expected \(6, 2\)"):
        load_reference(bundle, bundle.manifest.reference[0])
