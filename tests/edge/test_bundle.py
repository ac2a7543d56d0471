"""edge.bundle: every byte is the one that was signed for, or the bundle is refused with one line."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.bundle import read_bundle
from edge.errors import BundleError
from engines.contract import MANIFEST_NAME


@pytest.fixture
def bundle_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle that may be broken."""
    return shutil.copytree(tiny_bundle, tmp_path / "copy")


def test_good_bundle_is_read_whole(tiny_bundle: Path) -> None:
    """Networks are the files' bytes, and the hash is that of the manifest's bytes."""
    bundle = read_bundle(tiny_bundle)
    assert bundle.classifier == (tiny_bundle / "classifier.onnx").read_bytes()
    assert bundle.segmenter == (tiny_bundle / "segmenter.onnx").read_bytes()
    assert bundle.hash == hashlib.sha256((tiny_bundle / MANIFEST_NAME).read_bytes()).hexdigest()


def _remove_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink()


def _remove_network(folder: Path) -> None:
    (folder / "segmenter.onnx").unlink()


def _alter_network(folder: Path) -> None:
    data = bytearray((folder / "segmenter.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "segmenter.onnx").write_bytes(data)


def _truncate_network(folder: Path) -> None:
    os.truncate(folder / "classifier.onnx", 100)


def _add_file(folder: Path) -> None:
    (folder / "reference" / "extra.txt").write_text("hello")


def _link_network(folder: Path) -> None:
    target = folder.parent / "elsewhere.onnx"
    (folder / "segmenter.onnx").rename(target)
    (folder / "segmenter.onnx").symlink_to(target)


def _link_folder(folder: Path) -> None:
    (folder / "reference").rename(folder.parent / "reference")
    (folder / "reference").symlink_to(folder.parent / "reference")


def _link_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).rename(folder.parent / MANIFEST_NAME)
    (folder / MANIFEST_NAME).symlink_to(folder.parent / MANIFEST_NAME)


def _changed(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST_NAME).read_text())
        change(manifest)
        (folder / MANIFEST_NAME).write_text(json.dumps(manifest))

    return apply


def _not_json(folder: Path) -> None:
    (folder / MANIFEST_NAME).write_text("{")


def _list_outside(manifest: dict[str, object]) -> None:
    manifest["files"]["../elsewhere.onnx"] = "0" * 64  # type: ignore[index]


def _list_absolute(manifest: dict[str, object]) -> None:
    manifest["files"]["/etc/hostname"] = "0" * 64  # type: ignore[index]


def _forget_network(manifest: dict[str, object]) -> None:
    del manifest["files"]["segmenter.onnx"]  # type: ignore[attr-defined]


def _widen_default(manifest: dict[str, object]) -> None:
    manifest["classes"][0]["gate"]["default"] = 7.0  # type: ignore[index]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_remove_manifest, "manifest.json is missing"),
        (_remove_network, "segmenter.onnx is missing"),
        (_alter_network, "segmenter.onnx has SHA-256"),
        (_truncate_network, "classifier.onnx has SHA-256"),
        (_add_file, "reference/extra.txt is not listed"),
        (_link_network, "segmenter.onnx is a symbolic link"),
        (_link_folder, "reference is a symbolic link"),
        (_link_manifest, "manifest.json is a symbolic link"),
        (_not_json, "manifest.json: "),
        (_changed(lambda m: m.update(schema=2)), "schema 2, expected 1: the bundle is newer"),
        (_changed(lambda m: m.update(schema=0)), "schema 0, expected 1"),
        (_changed(lambda m: m.update(schema="1")), "$.schema"),
        (_changed(lambda m: m.update(pad_valeu=3)), "pad_valeu"),
        (_changed(lambda m: m.pop("pad_value")), "pad_value"),
        (_changed(lambda m: m.update(pad_value="grey")), "$.pad_value"),
        (_changed(lambda m: m.update(pad_value=300)), "$.pad_value"),
        (_changed(_widen_default), "default 7.0 is not within its bounds"),
        (_changed(_list_outside), "'../elsewhere.onnx': expected a plain path"),
        (_changed(_list_absolute), "'/etc/hostname': expected a plain path"),
        (_changed(_forget_network), "segmenter.onnx is not listed"),
    ],
)
def test_damaged_bundle_is_refused(bundle_copy: Path, damage: Callable[[Path], None], told: str) -> None:
    """One line names the bundle, the file or key, and what is wrong with it."""
    damage(bundle_copy)
    with pytest.raises(BundleError) as refused:
        read_bundle(bundle_copy)
    message = str(refused.value)
    assert str(bundle_copy) in message
    assert told in message
    assert "\n" not in message


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    """A path without a bundle is one line that names it."""
    with pytest.raises(BundleError, match="nowhere: no such folder"):
        read_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("owner", "call", "refused", "told"),
    [
        pytest.param(Path, "is_dir", "", "the folder", id="folder"),
        pytest.param(Path, "open", MANIFEST_NAME, MANIFEST_NAME, id="manifest"),
        pytest.param(os, "scandir", "reference", "reference", id="listing"),
        pytest.param(Path, "open", "segmenter.onnx", "segmenter.onnx", id="file"),
    ],
)
def test_what_may_not_be_read_is_refused(
    bundle_copy: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, call: str, refused: str, told: str
) -> None:
    """A bundle of somebody else: one line that names the file, not a traceback, and nothing is left out in silence."""
    real = getattr(owner, call)

    def refuse(path: Any, *args: Any, **flags: Any) -> Any:
        if Path(path) == bundle_copy / refused:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *args, **flags)

    monkeypatch.setattr(owner, call, refuse)
    with pytest.raises(BundleError, match=f"{told} cannot be read: Permission denied; check its owner") as error:
        read_bundle(bundle_copy)
    assert str(bundle_copy) in str(error.value)
    assert "\n" not in str(error.value)
