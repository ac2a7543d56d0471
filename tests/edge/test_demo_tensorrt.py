"""The demo through the TensorRT backend, on stand-ins for CUDA and TensorRT: plumbing only, no GPU has computed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.records import Verdict
from edge.settings import DEMO_BUNDLE
from tests.support.cuda.interpreter import make_interpreter

FRAMES = 16
DEMO = f"--frames {FRAMES} --rate-hz 8 --seed 77 --defect-share 0.6"
BUILD = "import sys; from engines.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return what a demo left, by backend; the engines were made by edge-engine build."""
    folder = tmp_path_factory.mktemp("demos")
    python, variables = make_interpreter(folder / "python")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [python, *arguments], capture_output=True, text=True, check=False, env=variables, cwd=folder
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = run("-c", BUILD, "build", str(DEMO_BUNDLE), "--backend", "tensorrt", "--cache", "engines")
    assert "stand-in" in said
    for backend in ("openvino", "tensorrt"):
        run("-m", "edge.demo", "--out", backend, "--backend", backend, "--engine-cache", "engines", *DEMO.split())
    return {backend: folder / backend for backend in ("openvino", "tensorrt")}


def verdicts_in(out: Path) -> dict[int, Verdict]:
    lines = (out / "verdicts.jsonl").read_bytes().splitlines()
    verdicts = [msgspec.json.decode(line, type=Verdict) for line in lines]
    return {verdict.views[0].frame or 0: verdict for verdict in verdicts}


def test_masks_equal_those_of_openvino(demos: dict[str, Path]) -> None:
    """Frame by frame: the same outcome, and the same mask but for pixels that rounding decides."""
    ours, theirs = (verdicts_in(demos[backend]) for backend in ("tensorrt", "openvino"))
    assert {frame: verdict.outcome for frame, verdict in ours.items()} == {
        frame: verdict.outcome for frame, verdict in theirs.items()
    }
    assert set(ours) == set(range(1, FRAMES + 1))
    masks, others = (masks_in(demos[backend]) for backend in ("tensorrt", "openvino"))
    assert masks.keys() == others.keys()
    assert sum(bool(mask.any()) for mask in masks.values()) >= FRAMES // 4
    for name, mask in masks.items():
        assert (mask != others[name]).mean() < 1e-5, name


def masks_in(out: Path) -> dict[str, NDArray[np.uint8]]:
    found = {path.name: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (out / "masks" / "strip").iterdir()}
    return {name: np.asarray(mask, np.uint8) for name, mask in found.items()}
