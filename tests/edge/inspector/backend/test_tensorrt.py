"""edge.inspector.backend.tensorrt: on stand-ins for CUDA and TensorRT. Plumbing only: no TensorRT, no GPU."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.clock import SYSTEM_CLOCK
from edge.errors import BundleError, ConfigurationError, DeviceLost
from edge.inspector.backend import BackendSettings, open_engine
from edge.inspector.link import BundleTaken, Failed, Inspect, Stop, TakeBundle
from tests.edge.inspector.test_main import AN_HOUR_US, Line, line
from tests.support.cuda.build import environment
from tests.support.cuda.inside import cases, run_inside

CASES = Path(__file__).with_name("tensorrt_cases.py")
INSPECTOR = ("-m", "tests.support.tensorrt_inspector")

__all__ = ["line"]


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


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let processes run on the stand-ins; return a file that tells them what to do wrong once it is there."""
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STANDIN_TRT_FAULT", f"@{tmp_path / 'fault'}")
    return tmp_path / "fault"


def test_inspector_runs_on_tensorrt(line: Callable[..., Line], tiny_bundle: Path, fault: Path) -> None:
    """Parity, a part, a bundle that another thread gets ready meanwhile, a part on it, the end."""
    one = line(*INSPECTOR)
    ready = one.get_ready()
    assert ready.backend.startswith("tensorrt ")
    assert "stand-in" in ready.backend
    for change in (1, 2):
        frame = one.fire(change)
        told = one.inspect(frame, ready.recipe_hash)
        assert told.reason is None, told.detail
        one.answer(frame, told.outcome)
        one.order(TakeBundle(change=change, path=str(tiny_bundle), recipe=one.recipe()))
        taken = one.hear(BundleTaken)
        assert taken.bundle_hash == ready.bundle_hash, taken.text
    one.order(Stop())
    assert one.end() == 0


@pytest.mark.parametrize(
    ("wrong", "exit_code", "said"),
    [("sticky:1", DeviceLost.exit_code, "GPU 0 .* is lost"), ("nan:1", BundleError.exit_code, "not finite")],
)
def test_inspector_ends_with_what_cannot_be_believed(
    line: Callable[..., Line], fault: Path, wrong: str, exit_code: int, said: str
) -> None:
    """A lost device by its own code; answers that are no numbers, also to the probe that follows, by another."""
    one = line(*INSPECTOR)
    ready = one.get_ready()
    frame = one.fire(1)
    fault.write_text(wrong)
    place = {"camera": "cam1", "open_no": frame.open_no, "frame_no": frame.frame_no}
    deadline_us = SYSTEM_CLOCK.now_us() + AN_HOUR_US
    one.order(Inspect(part=1, deadline_us=deadline_us, recipe_hash=ready.recipe_hash, **place))
    failed = one.hear(Failed)
    assert failed.exit_code == exit_code
    assert re.search(said, failed.text)
    assert one.end() == exit_code
