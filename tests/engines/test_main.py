"""edge-engine as it is typed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engines.main import main


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_verify_passes_a_good_bundle(tiny_bundle: Path, backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    """verify prints a row a frame and the verdict, and exits 0."""
    assert main(["verify", str(tiny_bundle), "--backend", backend]) == 0
    text = capsys.readouterr().out
    for part in (f"{backend} ", "against PyTorch", "00", "03", "passed"):
        assert part in text


def test_verify_of_an_altered_bundle_is_one_line(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is not the one listed ends verify with exit code 3."""
    copy = shutil.copytree(tiny_bundle, tmp_path / "copy")
    (copy / "segmenter.onnx").write_bytes(b"other")
    assert main(["verify", str(copy)]) == 3
    error = capsys.readouterr().err
    assert error.startswith(f"edge-engine: {copy}: segmenter.onnx has SHA-256")
    assert error.count("\n") == 1


def test_inspect_shows_what_a_bundle_holds(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """inspect prints classes with limits, networks with operators, and hashes."""
    assert main(["inspect", str(tiny_bundle)]) == 0
    text = capsys.readouterr().out
    for part in ("squares", "bright", "dark", "64 x 64, 16", "0.5", "segmenter.onnx", "Conv"):
        assert part in text


def test_missing_bundle_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong path names the path and exits 3."""
    assert main(["inspect", str(tmp_path / "nowhere")]) == 3
    assert "nowhere: no such folder" in capsys.readouterr().err


def test_wrong_value_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A backend that does not exist is refused with those that do."""
    assert main(["verify", str(tmp_path), "--backend", "magic"]) == 2
    said = "edge-engine: --backend = magic: expected 'openvino', 'onnxruntime' or 'tensorrt'"
    assert capsys.readouterr().err.startswith(said)


def test_only_export_imports_torch(tiny_bundle: Path) -> None:
    """verify and inspect run on a line PC, which has no torch."""
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['onnx'] = None\n"
        "from engines.main import main\n"
        f"sys.exit(main(['verify', {str(tiny_bundle)!r}]) or main(['inspect', {str(tiny_bundle)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_export_without_torch_names_the_extra(tmp_path: Path) -> None:
    """On a line PC export is one line that says what to install."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from engines.main import main\n"
        "sys.exit(main('export --classifier a --segmenter b --reference c --out d --name e'.split()))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "install 'edge-inspect[train]'" in done.stderr
