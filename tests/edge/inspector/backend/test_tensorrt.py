"""edge.inspector.backend.tensorrt: on stand-ins for CUDA and TensorRT. Plumbing only: no TensorRT, no GPU."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from edge.inspector.backend import BackendSettings, open_engine
from tests.support.cuda.inside import cases, run_inside

CASES = Path(__file__).with_name("tensorrt_cases.py")


@pytest.fixture(scope="module")
def said(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run_inside(CASES, tmp_path_factory.mktemp("tensorrt") / "report.xml", BUNDLE=str(tiny_bundle))


@pytest.mark.parametrize("case", cases(CASES))
def test_on_the_stand_in(case: str, said: dict[str, str]) -> None:
    """What tensorrt_cases.py says of each of its functions."""
    assert not said[case], said[case]


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tensorrt, choosing it is one line that says what to install."""
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.delitem(sys.modules, "edge.inspector.backend.tensorrt", raising=False)
    monkeypatch.delattr("edge.inspector.backend.tensorrt", raising=False)
    with pytest.raises(ConfigurationError, match=r"install 'edge-inspect\[nvidia\]'"):
        open_engine(BackendSettings(name="tensorrt"), b"", "tiles", (1,))
