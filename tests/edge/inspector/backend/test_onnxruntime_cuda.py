"""edge.inspector.backend.onnxruntime_cuda: on stand-ins for the CUDA driver and the CUDA provider. No GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cuda.inside import cases, run_inside

CASES = Path(__file__).with_name("onnxruntime_cuda_cases.py")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run_inside(CASES, tmp_path_factory.mktemp("onnxruntime_cuda") / "report.xml")


@pytest.mark.parametrize("case", cases(CASES))
def test_on_the_stand_in(case: str, said: dict[str, str]) -> None:
    """What onnxruntime_cuda_cases.py says of each of its functions."""
    assert not said[case], said[case]
