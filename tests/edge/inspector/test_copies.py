"""Copies of the bundle in use: whole or not at all, the last ones only, and a fault is told, not raised."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path

import pytest

from edge.bundle import Bundle, read_bundle
from edge.inspector import copies
from edge.inspector.copies import Copier, keep_copy
from edge.inspector.link import KeepBundle
from tests.support.signing import Signer


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Bundle:
    return read_bundle(Signer(tmp_path).copy(tiny_bundle, tmp_path / "bundle"))


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copy_is_the_bundle_byte_for_byte(bundle: Bundle, tmp_path: Path) -> None:
    """Its signature too; and from memory: what has become of its folder does not matter."""
    before = content(bundle.path)
    shutil.rmtree(bundle.path)
    keep_copy(bundle, tmp_path / "kept", ())
    assert content(tmp_path / "kept" / bundle.hash) == before
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {bundle.hash}


def test_an_unsigned_bundle_is_copied_unsigned(tiny_bundle: Path, tmp_path: Path) -> None:
    """Whether it is accepted later is for the settings of then."""
    bundle = read_bundle(tiny_bundle)
    keep_copy(bundle, tmp_path / "kept", ())
    assert content(tmp_path / "kept" / bundle.hash) == content(tiny_bundle)


def test_only_the_copies_that_are_named_stay(bundle: Bundle, tmp_path: Path) -> None:
    """Older ones go, and what a copy that was broken off has left."""
    kept = tmp_path / "kept"
    for name in ("older", "oldest", f"{bundle.hash}.new"):
        (kept / name / "reference").mkdir(parents=True)
    (kept / "file").touch()
    (kept / "link").symlink_to(bundle.path)
    keep_copy(bundle, kept, ("older",))
    assert {path.name for path in kept.iterdir()} == {bundle.hash, "older"}
    assert read_bundle(bundle.path) == bundle


def test_a_copy_that_is_good_is_left_alone(bundle: Bundle, tmp_path: Path) -> None:
    """Flash memory wears."""
    keep_copy(bundle, tmp_path, ())
    before = (tmp_path / bundle.hash).stat().st_ino
    keep_copy(bundle, tmp_path, ())
    assert (tmp_path / bundle.hash).stat().st_ino == before


@pytest.mark.parametrize("damage", ["segmenter.onnx", "manifest.sig"])
def test_a_copy_that_was_altered_is_written_anew(bundle: Bundle, tmp_path: Path, damage: str) -> None:
    """Also the one that is in use: its bytes are in memory."""
    keep_copy(bundle, tmp_path / "kept", ())
    copy = tmp_path / "kept" / bundle.hash
    before = content(copy)
    (copy / damage).write_bytes(b"other")
    keep_copy(bundle, tmp_path / "kept", ())
    assert content(copy) == before


def test_a_full_disk_leaves_no_half(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no copy then, the log says so, and nothing is raised into the inspector."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(copies.os, "fdatasync", full)
    order = KeepBundle(folder=str(tmp_path / "kept"), bundle_hash=bundle.hash, others=())
    with caplog.at_level(logging.ERROR):
        copier = Copier(bundle, order, None)
        copier.start()
        copier.join()
    assert not (tmp_path / "kept" / bundle.hash).exists()
    assert "No space left on device" in caplog.text


def test_one_copy_is_written_after_the_other(bundle: Bundle, tiny_bundle: Path, tmp_path: Path) -> None:
    """Two at once would remove each other's halves."""
    other = read_bundle(tiny_bundle)
    first = Copier(bundle, KeepBundle(folder=str(tmp_path / "k"), bundle_hash=bundle.hash, others=()), None)
    then = KeepBundle(folder=str(tmp_path / "k"), bundle_hash=other.hash, others=(bundle.hash,))
    second = Copier(other, then, first)
    first.start()
    second.start()
    second.join()
    assert {path.name for path in (tmp_path / "k").iterdir()} == {bundle.hash, other.hash}
