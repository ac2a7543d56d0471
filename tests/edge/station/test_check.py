"""--check refuses what the start would refuse, as far as it can be told without a camera, an engine or a socket."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edge.errors import CameraError, ConfigurationError, EdgeError
from edge.settings import Station
from edge.station.check import check
from engines.contract import MANIFEST_NAME
from tests.support.signing import Signer


def checked(bundle: Path, source: dict[str, Any], camera: dict[str, Any] | None = None, /, **station: Any) -> str:
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
    ],
)
def test_what_the_start_refuses_is_refused(
    tiny_bundle: Path, source: dict[str, Any], camera: dict[str, Any], station: dict[str, Any], told: str
) -> None:
    """One line with the key, the value and what was expected."""
    with pytest.raises(ConfigurationError, match=told) as refused:
        checked(tiny_bundle, source, camera, **station)
    assert "\n" not in str(refused.value)


def test_a_format_that_only_the_camera_can_tell_is_a_caution(tiny_bundle: Path) -> None:
    """OpenCV gives colours of most cameras; with convert_to there is nothing to say."""
    camera = {"kind": "opencv", "device": "/dev/v4l/by-path/none"}
    assert "cam1: the bundle takes mono8; an opencv camera most often gives bgr8" in checked(tiny_bundle, camera)
    assert "most often" not in checked(tiny_bundle, camera, {"convert_to": "mono8"})


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


def test_journal_and_recipes_are_told(tiny_bundle: Path, tmp_path: Path) -> None:
    """Where the journal will lie, and each recipe of the folder with its author; nothing is made."""
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    (recipes / "steel-a.toml").write_text('name = "steel-a"\nauthor = "Q. Engineer"\n')
    said = checked(tiny_bundle, STRIP, state_dir=tmp_path / "state" / "line1", recipes=recipes)
    # The console wraps long paths.
    assert "journal" in said
    assert "line1,normal" in "".join(said.split())
    assert "recipe   steel-a by Q. Engineer" in said
    assert not (tmp_path / "state").exists()
    assert "journal  none" in checked(tiny_bundle, STRIP, journal={"sync": "off"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "a"\nauthor = "x"\n[classes.nothing]\n', r"recipe\.nothing'.*no such class"),
        ('name = "a"\nauthor = "x"\n[classes.bright]\ngate = 7\n', r"recipe\.bright\.gate' = 7"),
        ('name = "b"\nauthor = "x"\n', r"a\.toml: key 'name' = 'b'"),
    ],
)
def test_a_recipe_of_the_folder_that_cannot_be_used_is_refused(
    tiny_bundle: Path, tmp_path: Path, text: str, told: str
) -> None:
    """Before somebody asks for it beside the running line."""
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        checked(tiny_bundle, STRIP, recipes=tmp_path)


def test_folders_that_cannot_be_used_are_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    """Key and path."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"'state_dir'.*file.*cannot be written"):
        checked(tiny_bundle, STRIP, state_dir=tmp_path / "file" / "line1")
    with pytest.raises(ConfigurationError, match=r"'recipes'.*nowhere.*no such folder"):
        checked(tiny_bundle, STRIP, recipes=tmp_path / "nowhere")


def test_a_backend_that_is_not_installed_is_refused(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its package is looked for, not imported."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EdgeError, match=r"backend\.name' = openvino.*not installed"):
        checked(tiny_bundle, STRIP)


def test_who_signed_the_bundle_is_told(tiny_bundle: Path, tmp_path: Path) -> None:
    """Or that nobody has, or that nobody can tell."""
    signer = Signer(tmp_path)
    signed = signer.copy(tiny_bundle, tmp_path / "signed", release=3)
    trusting = {"path": signed, "trusted_keys": [signer.public]}
    said = checked(signed, STRIP, bundle=trusting)
    assert "release 3" in said
    assert f"signed by {signer.key.public.id}" in " ".join(said.split())
    assert "unsigned, as bundle.allow_unsigned" in " ".join(checked(tiny_bundle, STRIP).split())
    assert "signature not checked, as" in " ".join(checked(signed, STRIP).split())


def test_the_calibration_and_its_age_are_told(tiny_bundle: Path, tmp_path: Path) -> None:
    """Scale and zones stand with the camera, who calibrated it and when below; too old is said, and is no refusal."""
    path = tmp_path / "c.toml"
    path.write_text(
        'version = 1\nstation = "line1"\n[[cameras]]\nname = "cam1"\ndate = 2020-01-02T03:04:05Z\nby = "M. Muster"\n'
        'height = 100\nwidth = 170\nmm_per_px = 0.5\nsource = ["kind = synthetic"]\n'
        "ignore = [{ box = [0, 0, 17, 50] }]\n"
    )
    said = checked(tiny_bundle, STRIP, calibration=path)
    words = " ".join(said.split())
    assert "canvas 170x100 mono8, 1 ignore zones: 5.0% of it" in words
    assert "0.5 mm/px" in words
    assert "calibrated 2020-01-02 03:04 UTC by M. Muster" in said
    assert "OLDER than 365 days" in " ".join(said.split())
    with pytest.raises(ConfigurationError, match="mm_per_px stands in the station's own file too"):
        checked(tiny_bundle, STRIP, {"mm_per_px": 0.5}, calibration=path)


def test_the_masters_are_told_and_their_defects_must_be_the_bundles(tiny_bundle: Path) -> None:
    """A master with a defect that the networks do not know could never be passed."""
    good, bad = {"name": "good-1", "expect": "PASS"}, {"name": "bad-1", "expect": "REJECT"}
    said = checked(tiny_bundle, STRIP, challenge={"parts": [good, bad], "every_h": 8})
    assert "every 8 h, within 30 min: good-1 PASS, bad-1 REJECT" in said
    with pytest.raises(ConfigurationError, match=r"'bad-1': defect = 'rust': the bundle has no such class; expected"):
        checked(tiny_bundle, STRIP, challenge={"parts": [good, {**bad, "defect": "rust"}]})


def test_cores_and_memory_are_told_and_looked_for(tiny_bundle: Path) -> None:
    """A core that this machine lacks is refused before a service fails by it."""
    core = str(min(os.sched_getaffinity(0)))
    own = {"station_cpus": core, "inspector_cpus": core, "lock_memory": True}
    one_thread = {"threads": 1}
    said = checked(tiny_bundle, STRIP, process=own, backend=one_thread)
    assert f"station on {core}, inspector on {core}, memory locked" in said
    assert "any core, memory may be swapped out" in checked(tiny_bundle, STRIP)
    with pytest.raises(ConfigurationError, match=r"process\.inspector_cpus' = 1023: no core 1023 here"):
        checked(tiny_bundle, STRIP, process={**own, "inspector_cpus": "1023"}, backend=one_thread)


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("rtsp://camera/1", "predicted video (H.264/H.265) cannot prove that no packet was lost inside a picture; use"),
        ("http://camera/1", "how old a picture is that comes over HTTP cannot be known"),
        (0, "0 may be another camera after a restart; name it by /dev/v4l/by-path"),
        ("/dev/video2", "/dev/video2 may be another camera after a restart"),
        ("/dev/v4l/by-path/pci-1", None),
    ],
)
def test_what_a_source_cannot_prove_is_told(tiny_bundle: Path, device: str | int, told: str | None) -> None:
    """One line a camera, and none where there is nothing to say."""
    said = checked(tiny_bundle, {"kind": "opencv", "device": device}, {"convert_to": "mono8"})
    assert said.count("caution  cam1:") == (told is not None)
    assert told is None or f"caution  cam1: {told}" in said
