"""engines.plan: on stand-ins for CUDA and TensorRT. Plumbing only: no TensorRT, no GPU."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from tests.support.cuda.build import environment
from tests.support.cuda.inside import cases, run_inside
from tests.support.made import REPOSITORY

CASES = Path(__file__).with_name("plan_cases.py")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run_inside(CASES, tmp_path_factory.mktemp("plan") / "report.xml")


@pytest.mark.parametrize("case", cases(CASES))
def test_on_the_stand_in(case: str, said: dict[str, str]) -> None:
    """What plan_cases.py says of each of its functions."""
    assert not said[case], said[case]


def test_missing_package_names_the_extra() -> None:
    """Without tensorrt, but with a GPU, building is one line that says what to install."""
    code = (
        "import sys; sys.modules['tensorrt'] = None\n"
        "from edge.errors import ConfigurationError\n"
        "try:\n    import engines.plan\n"
        "except ConfigurationError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("tensorrt is not installed")
    assert "edge-inspect[nvidia]" in done.stdout


def test_without_pycuda_building_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is where there is no pycuda."""
    monkeypatch.setitem(sys.modules, "pycuda", None)
    for module in ("edge.inspector.backend.cuda", "engines.plan"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(ConfigurationError, match="pycuda is not installed"):
        importlib.import_module("engines.plan")
