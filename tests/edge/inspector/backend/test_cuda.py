"""edge.inspector.backend.cuda: genuine pycuda on a stand-in for the driver (nothing here ran on a GPU)."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from tests.support import made
from tests.support.cuda.build import environment
from tests.support.cuda.inside import cases, run_inside

CASES = Path(__file__).with_name("cuda_cases.py")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run_inside(CASES, tmp_path_factory.mktemp("cuda") / "report.xml")


@pytest.mark.parametrize("case", cases(CASES))
def test_on_the_stand_in(case: str, said: dict[str, str]) -> None:
    """What cuda_cases.py says of each of its functions."""
    assert not said[case], said[case]


def test_missing_pycuda_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pycuda, a GPU backend is one line that says what to install."""
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.delitem(sys.modules, "edge.inspector.backend.cuda", raising=False)
    with pytest.raises(ConfigurationError, match=r"pycuda is not installed.*install 'edge-inspect\[nvidia\]'"):
        importlib.import_module("edge.inspector.backend.cuda")


def test_missing_driver_is_said(tmp_path: Path) -> None:
    """With pycuda but without libcuda.so.1 it is the driver that is missing, not a package."""
    code = (
        "from edge.errors import ConfigurationError\n"
        "try:\n    import edge.inspector.backend.cuda\n"
        "except ConfigurationError as error:\n    print(error)"
    )
    variables = {**environment(), "LD_LIBRARY_PATH": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert said.stdout.startswith("no NVIDIA driver on this machine")
    assert said.stdout.count("\n") == 1


@pytest.mark.parametrize(("ci", "ends"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_missing_tool_is_said(ci: str, ends: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests need and is not there fails them in CI, and skips them on a desk; the text names it."""
    monkeypatch.setenv("CI", ci)
    with pytest.raises(made.Unavailable) as missing:
        made.run("no-such-compiler")
    with pytest.raises(ends, match="no-such-compiler is not installed"):
        made.give_up(missing.value, "a stand-in")
