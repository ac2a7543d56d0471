"""camera snap: pictures as PNG, whole or not at all, and never over something that is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.cameras import snap as snap_module
from edge.cameras.main import main
from edge.cameras.snap import write_png
from edge.errors import ConfigurationError
from tests.support.cameras import NetworkCamera, blurred, write_pictures, write_station


def snap(*args: str) -> int:
    return main(["snap", *args])


def test_a_picture_is_written_as_it_came(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lossless, with its measures in one line."""
    folder = write_pictures(tmp_path / "p", blurred(0))
    out = tmp_path / "a.png"
    assert snap("--device", str(folder), "--out", str(out)) == 0
    assert np.array_equal(cv2.imread(str(out), cv2.IMREAD_UNCHANGED), blurred(0))
    said = capsys.readouterr().out
    for part in (f"{out}: 64x48 mono8", "brightness 1", "sharpness", "saturated 0.00%"):
        assert part in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "p"]


def test_several_are_numbered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder gives them the camera's name and the time; --json is a line each."""
    folder = write_pictures(tmp_path / "p", *(blurred(n) for n in range(3)))
    (tmp_path / "out").mkdir()
    assert snap("--device", str(folder), "--out", str(tmp_path / "out"), "--count", "3", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [Path(line["path"]).name for line in lines]
    assert [name[-8:] for name in names] == ["-001.png", "-002.png", "-003.png"]
    assert all(name.startswith("device-20") for name in names)
    assert [line["sharpness"] for line in lines] == sorted((line["sharpness"] for line in lines), reverse=True)


def test_nothing_is_overwritten_unless_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before the camera is opened; with --force the new one takes its place."""
    out = tmp_path / "a.png"
    out.write_bytes(b"mine")
    assert snap("--device", "/dev/video77", "--out", str(out)) == 2
    assert "is there already" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    folder = write_pictures(tmp_path / "p", blurred(0))
    assert snap("--device", str(folder), "--out", str(out), "--force") == 0
    assert cv2.imread(str(out)) is not None


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    """Between the look and the writing."""
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match="is there already"):
        write_png(tmp_path / "a.png", blurred(0), force=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder, or a full disk: one line, and no half picture."""
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_png(tmp_path / "none" / "a.png", blurred(0), force=False)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snap_module.os, "link", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        write_png(tmp_path / "a.png", blurred(0), force=False)
    assert list(tmp_path.iterdir()) == []


def test_the_first_pictures_of_a_live_camera_are_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its exposure may still settle."""
    with NetworkCamera() as camera:
        assert snap("--device", camera.url, "--out", str(tmp_path / "a.png"), "--skip", "2") == 0
    assert "64x48 bgr8" in capsys.readouterr().out


def test_what_the_station_would_say_stands_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The picture is written all the same: it is there to be looked at."""
    folder = write_pictures(tmp_path / "p", blurred(0))
    camera = {"name": "top", "height": 30, "width": 40, "source": {"kind": "replay", "path": folder}}
    config = write_station(tmp_path / "line1.toml", camera)
    assert snap("--config", str(config), "--out", str(tmp_path / "a.png")) == 0
    assert "would answer UNKNOWN(geometry)" in capsys.readouterr().out
    assert (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["--out", "a.jpg"], 2, "expected a name that ends in .png"),
        (["--count", "2"], 4, "gave 1 pictures, expected 2"),
    ],
)
def test_bad_input_is_one_line(
    args: list[str], code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A name that is no PNG's; more pictures than there are."""
    monkeypatch.chdir(tmp_path)
    folder = write_pictures(tmp_path / "p", blurred(0))
    assert snap("--device", str(folder), *args) == code
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_a_part_without_a_picture_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written for it."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "x.png").write_bytes(b"no picture")
    assert snap("--device", str(tmp_path / "p"), "--out", str(tmp_path / "a.png")) == 4
    assert "no picture of this part" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()
