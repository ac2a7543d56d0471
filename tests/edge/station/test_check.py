"""--check refuses what the start would refuse, as far as it can be told without a camera, an engine or a socket."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edge.errors import CameraError, ConfigurationError, EdgeError
from edge.settings import Station
from edge.station.check import check
from engines.contract import MANIFEST_NAME


def checked(bundle: Path, source: dict[str, Any], camera: dict[str, Any] | None = None, **station: Any) -> str:
    """Return what --check prints."""
    cameras = [{"name": "cam1", "height": 100, "width": 170, "source": source, **(camera or {})}]
    tree = {"station": "line1", "cameras": cameras, "bundle": {"path": bundle, "allow_unsigned": True}, **station}
    console = Console(file=io.StringIO(), width=120)
    check(Station.model_validate(tree), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


STRIP = {"kind": "synthetic"}


def test_a_good_station_passes(tiny_bundle: Path, tmp_path: Path) -> None:
    """A folder that is there, a short run directory, the format of the bundle."""
    source = {"kind": "replay", "path": tmp_path}
    said = checked(tiny_bundle, source, {"convert_to": "mono8"}, run_dir=tmp_path / "r")
    assert "replay, canvas 170x100 mono8" in said
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("source", "camera", "station", "told"),
    [
        pytest.param(STRIP, {"convert_to": "bgr8"}, {}, "cam1.*convert_to = bgr8.*mono8", id="format"),
        pytest.param(STRIP, {}, {"run_dir": "/tmp/" + "x" * 100}, "run_dir.*longer than", id="socket"),
        pytest.param(
            STRIP,
            {},
            {"backend": {"name": "onnxruntime", "precision": "bf16"}},
            "precision.*bf16.*fp32",
            id="precision",
        ),
    ],
)
def test_what_the_start_refuses_is_refused(
    tiny_bundle: Path, source: dict[str, Any], camera: dict[str, Any], station: dict[str, Any], told: str
) -> None:
    """One line with the key, the value and what was expected."""
    with pytest.raises(ConfigurationError, match=told) as refused:
        checked(tiny_bundle, source, camera, **station)
    assert "\n" not in str(refused.value)


def test_a_grey_strip_for_a_colour_bundle_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    """As the inspector would refuse it."""
    bundle = shutil.copytree(tiny_bundle, tmp_path / "colour")
    manifest = json.loads((bundle / MANIFEST_NAME).read_text())
    (bundle / MANIFEST_NAME).write_text(json.dumps({**manifest, "format": "bgr8"}))
    with pytest.raises(ConfigurationError, match=r"cam1.*synthetic strip is mono8.*bgr8"):
        checked(bundle, STRIP)


def test_a_replay_of_nothing_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    """A camera that does not open: camera and path are told."""
    with pytest.raises(CameraError, match=r"cam1.*nowhere does not exist"):
        checked(tiny_bundle, {"kind": "replay", "path": tmp_path / "nowhere"})


def test_a_backend_that_is_not_installed_is_refused(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its package is looked for, not imported."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EdgeError, match=r"backend\.name' = openvino.*not installed"):
        checked(tiny_bundle, STRIP)
