"""edge-inspectd calibrate: from a picture to the file that the station reads, and what stops it."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edge.calibrate.main import main
from edge.calibration import calibrated, read_calibration
from edge.rig import toml_from_tree
from edge.settings import read_station
from tests.edge.calibrate.boards import chessboard


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a station of one camera, 700x500, whose folder of pictures shows a chessboard."""
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures" / "board.png"), chessboard(9, 6))
    camera = {
        "name": "top",
        "height": 500,
        "width": 700,
        "convert_to": "mono8",
        "source": {"kind": "replay", "path": tmp_path / "pictures"},
    }
    path = tmp_path / "line1.toml"
    tree = {"station": "line1", "cameras": [camera], "calibration": tmp_path / "c.toml"}
    path.write_text(toml_from_tree(tree), encoding="utf-8")
    return path


def run(config: Path, *flags: str) -> int:
    return main([str(config), "--by", "M. Muster", *flags])


GRID = ("--chessboard", "9x6", "--pitch-mm", "5")


def test_the_camera_takes_the_picture_and_the_station_reads_the_file(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scale, target, canvas, date and author are in it."""
    assert run(config, *GRID) == 0
    found = read_calibration(config.parent / "c.toml").cameras[0]
    assert found.mm_per_px == pytest.approx(0.125, rel=1e-3)
    assert (found.by, found.target, found.height, found.width) == ("M. Muster", "chessboard 9x6, 5 mm", 500, 700)
    assert found.source == ("kind = replay", f"path = {config.parent / 'pictures'}")
    assert calibrated(read_station(config), read_calibration(config.parent / "c.toml")).cameras[0].mm_per_px
    assert "mm/px" in capsys.readouterr().out


def test_zones_are_taken_over_and_the_old_file_stays(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new scale does not lose what an engineer drew by hand."""
    run(config, *GRID)
    path = config.parent / "c.toml"
    path.write_text(path.read_text(encoding="utf-8") + 'ignore = [{ name = "clamp", box = [0, 0, 9, 9] }]\n', "utf-8")
    assert run(config, "--points", "10,10,410,310", "--distance-mm", "50") == 0
    found = read_calibration(path).cameras[0]
    assert (found.mm_per_px, found.ignore[0].name) == (0.1, "clamp")
    assert len(list(config.parent.glob("c.*Z.toml"))) == 1
    assert "1 ignore zones" in capsys.readouterr().out


def test_zones_of_another_source_are_left_out(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They were drawn in the picture of another camera, or of another region of it."""
    run(config, *GRID)
    path = config.parent / "c.toml"
    text = path.read_text("utf-8").replace("kind = replay", "kind = genicam")
    path.write_text(text + 'ignore = [{ name = "clamp", box = [0, 0, 9, 9] }]\n', "utf-8")
    assert run(config, *GRID) == 0
    assert read_calibration(path).cameras[0].ignore == ()
    assert "1 zones were of another canvas or source" in capsys.readouterr().out


def test_a_trial_writes_nothing(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run shows the table alone, and says so."""
    assert run(config, *GRID, "--dry-run") == 0
    assert capsys.readouterr().out.endswith("\nnothing was written: --dry-run\n")
    assert not (config.parent / "c.toml").exists()


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--chessboard", "9x6"), "expected --pitch-mm with --chessboard"),
        (("--points", "1,1,9,9", "--pitch-mm", "5"), "expected --distance-mm with --points"),
        ((), "expected one target"),
        ((*GRID, "--circles", "7x5"), "expected one target"),
        (("--chessboard", "9x2", "--pitch-mm", "5"), "expected 3x3 or more"),
        ((*GRID, "--camera", "side"), "camera 'side': the station has none of this name; it has top"),
        ((*GRID, "--exposure", "3"), "a replay source has none"),
        ((*GRID, "--picture", "absent.png"), "absent.png: cannot be read"),
        (("--chessboard", "8x6", "--pitch-mm", "5"), "no chessboard of 8 x 6 inner corners"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    config: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], text: str
) -> None:
    """Nothing is written, and the line says what to do."""
    assert run(config, *flags) in (2, 6)
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert not (config.parent / "c.toml").exists()


def test_a_picture_of_another_size_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that was cut or resized has another scale."""
    small = config.parent / "small.png"
    cv2.imwrite(str(small), chessboard(9, 6, size=(400, 600)))
    assert run(config, *GRID, "--picture", str(small)) == 2
    assert "600x400, the canvas of camera 'top' is 700x500" in capsys.readouterr().err


def test_a_distorted_picture_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The measured values are shown, and nothing is written."""
    assert run(config, *GRID, "--most-residual-px", "0.001") == 6
    captured = capsys.readouterr()
    assert "along columns" in captured.out
    assert "nothing was written" in captured.err


def test_a_scale_in_the_stations_own_file_is_refused(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would be given in two places, and the station would not start."""
    text = config.read_text(encoding="utf-8").replace("height = 500", "mm_per_px = 0.1, height = 500")
    config.write_text(text, encoding="utf-8")
    assert run(config, *GRID) == 2
    assert "take it out there first" in capsys.readouterr().err
