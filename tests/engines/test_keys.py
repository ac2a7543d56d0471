"""edge-engine keygen and sign, as they are typed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge.bundle import Trust, read_trusted_bundle
from edge.signature import read_private_key, read_public_key
from engines.contract import SIGNATURE_NAME
from engines.main import main


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_bundle, tmp_path / "bundle")


def keygen(folder: Path, name: str = "release") -> tuple[Path, Path]:
    assert main(["keygen", str(folder / name)]) == 0
    return folder / f"{name}.key", folder / f"{name}.pub"


def test_keygen_writes_a_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both halves belong together, and the key's id is told."""
    private, public = keygen(tmp_path, "line.2026")
    key = read_public_key(public)
    assert read_private_key(private).public == key
    assert key.id in capsys.readouterr().out


@pytest.mark.parametrize("there", ["key", "pub"])
def test_keygen_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], there: str) -> None:
    """Neither half of an older pair, and it leaves no half of a new one."""
    (tmp_path / f"release.{there}").write_text("old")
    assert main(["keygen", str(tmp_path / "release")]) == 2
    assert f"release.{there}: there is a file already" in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(f"release.{there}", "old")]


def test_a_signed_bundle_is_trusted(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By those who have the public key; signing it again is no fault, and nothing else is left beside it."""
    private, public = keygen(tmp_path)
    key = read_public_key(public)
    for _ in range(2):
        assert main(["sign", str(bundle), "--key", str(private)]) == 0
    assert f"squares release 1 ({read_trusted_bundle(bundle, Trust((key,))).hash[:12]})" in capsys.readouterr().out
    assert {path.name for path in bundle.glob("manifest*")} == {"manifest.json", SIGNATURE_NAME}


def test_inspect_tells_whether_there_is_a_signature(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not whose it is: that is for those who trust a key."""
    private, _ = keygen(tmp_path)
    main(["sign", str(bundle), "--key", str(private)])
    capsys.readouterr()
    assert main(["inspect", str(bundle)]) == 0
    assert "there is one" in capsys.readouterr().out


def test_an_altered_bundle_is_not_signed(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A signature would make it credible."""
    private, _ = keygen(tmp_path)
    (bundle / "segmenter.onnx").write_bytes(b"other")
    assert main(["sign", str(bundle), "--key", str(private)]) == 3
    assert "segmenter.onnx has SHA-256" in capsys.readouterr().err
    assert not (bundle / SIGNATURE_NAME).exists()


def test_a_key_that_others_can_read_signs_nothing(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line has the command that mends it."""
    private, _ = keygen(tmp_path)
    private.chmod(0o644)
    assert main(["sign", str(bundle), "--key", str(private)]) == 2
    assert f"chmod 600 {private}" in capsys.readouterr().err
    assert not (bundle / SIGNATURE_NAME).exists()


def test_a_folder_that_cannot_be_written_is_one_line(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the signature that was there stays."""
    private, _ = keygen(tmp_path)
    main(["sign", str(bundle), "--key", str(private)])
    before = (bundle / SIGNATURE_NAME).read_bytes()
    (bundle / "manifest.new").mkdir()
    assert main(["sign", str(bundle), "--key", str(private)]) == 2
    assert "manifest.sig: cannot be written" in capsys.readouterr().err
    assert (bundle / SIGNATURE_NAME).read_bytes() == before
