"""``make gpu-check``: its plumbing on the stand-ins, and what it says where there is no GPU. No GPU is needed here."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cuda.interpreter import make_interpreter
from tests.support.made import REPOSITORY

SHORT = ["--frames", "6", "--runs", "1", "--copy-mib", "1", "--product", "64"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Return the check's end on the stand-ins, run once."""
    folder = tmp_path_factory.mktemp("gpu")
    python, variables = make_interpreter(folder / "python")
    command = [python, "-m", "tests.gpu", *SHORT]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=variables, cwd=REPOSITORY)


def test_every_check_is_made(done: subprocess.CompletedProcess[str]) -> None:
    """From memory to the daemon on TensorRT's stand-in; all pass."""
    assert done.returncode == 0, done.stderr
    assert "0 failed" in done.stdout
    for name in ("events", "graph", "edge-engine build, parity", "plain enqueue give equal bytes", "whole daemon"):
        assert any(name in line and "passed" in line for line in done.stdout.splitlines()), name


def test_no_line_passes_for_a_gpu(done: subprocess.CompletedProcess[str]) -> None:
    """The first line, each check and each table say stand-in."""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("STAND-IN, NO GPU")
    assert all("stand-in" in line for line in lines if "passed;" in line or "not run:" in line or line.endswith("[ms]"))
    assert all(line.startswith("stand-in: ") for line in done.stderr.splitlines())


def test_provider_that_is_not_here_is_told(done: subprocess.CompletedProcess[str]) -> None:
    """The tests' ONNX Runtime has no CUDA provider: not run, with what brings it, and neither passed nor failed."""
    told = [line for line in done.stdout.splitlines() if line.startswith("| onnxruntime")]
    assert len(told) == 1
    assert "not run" in told[0]
    assert "edge-inspect[nvidia-onnx]" in told[0]


def test_roofline_is_counted(done: subprocess.CompletedProcess[str]) -> None:
    """Operations and bytes of both networks at every batch size."""
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.count("|") == 10 and "%" in line]
    assert [row[1] for row in rows] == ["1", "2", "4", "7"] * 2
    assert float(rows[7][2]) == pytest.approx(7 * float(rows[4][2]), rel=0.01)


@pytest.mark.skipif(importlib.util.find_spec("pycuda") is not None, reason="pycuda is installed: there may be a GPU")
def test_machine_without_a_gpu_is_refused() -> None:
    """Without pycuda and stand-ins: one line that says what is missing, and no figure."""
    command = [sys.executable, "-m", "tests.gpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("gpu-check: pycuda is not installed")


def test_failed_check_is_told(tmp_path: Path) -> None:
    """A check that fails, or breaks, does not end the others; its row says so."""
    from tests.gpu.checks import Checks, require

    checks = Checks(standin=False)
    for name, work in {"fails": lambda: require(False, "3, expected 4"), "breaks": lambda: 1 / 0}.items():
        with checks.check(name):
            work()
    with checks.check("holds") as said:
        said.append("well")
    text = checks.text("title", [])
    assert (checks.failed, checks.passed) == (["fails", "breaks"], ["holds"])
    assert "| fails | **FAILED**: 3, expected 4 |" in text
    assert "| breaks | **FAILED**: ZeroDivisionError" in text
    assert "| holds | passed; well |" in text
