"""camera focus: the sharper the picture the larger the number, and the sharpest so far is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from edge.cameras import focus as focus_module
from edge.cameras.focus import Sharpness, _table, line_from_sharpness
from edge.cameras.main import main
from edge.cameras.session import Session
from tests.support.cameras import HEIGHT, WIDTH, blurred, write_pictures


def lines(capsys: pytest.CaptureFixture[str], *args: str) -> list[dict[str, Any]]:
    assert main(["focus", *args, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_turning_the_lens_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sharper, sharpest, and past it: the peak is held."""
    folder = write_pictures(tmp_path / "p", blurred(3), blurred(1), blurred(0), blurred(2))
    found = lines(capsys, "--device", str(folder))
    sharpness = [line["sharpness"] for line in found]
    assert sharpness[0] < sharpness[1] < sharpness[2] > sharpness[3]
    assert [line["peak"] for line in found] == [*sharpness[:3], sharpness[2]]


def test_a_region_is_measured_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The left half is blank and black, the right one white noise: each tells only of itself."""
    picture = blurred(0)
    picture[:, :32] = 0
    picture[:24, 32:] = 255
    folder = write_pictures(tmp_path / "p", picture)
    (left,) = lines(capsys, "--device", str(folder), "--region", "0,0,32,48")
    (right,) = lines(capsys, "--device", str(folder), "--region", "32,0,32,24")
    assert (left["sharpness"], left["brightness"], left["saturated"]) == (0.0, 0.0, 0.0)
    assert (right["brightness"], right["saturated"]) == (255.0, 1.0)


@pytest.mark.parametrize(
    ("region", "told"),
    [("0,0,65,48", "lies outside of the picture of 64x48 px"), ("1,2,3", "--region"), ("0,0,0,5", "--")],
)
def test_a_region_that_cannot_be_is_refused(
    tmp_path: Path, region: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit code 2."""
    folder = write_pictures(tmp_path / "p", blurred(0))
    assert main(["focus", "--device", str(folder), "--region", region]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_people_get_a_line_and_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no terminal to redraw: lines, no more than one a second, and the last word."""
    folder = write_pictures(tmp_path / "p", blurred(2), blurred(0))
    assert main(["focus", "--device", str(folder)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("sharpness ")
    assert said[-1].startswith("2 pictures; last sharpness")
    assert "100% of the sharpest" in said[-1]


def test_ctrl_c_is_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No failure: the summary, exit code 0."""
    folder = write_pictures(tmp_path / "p", blurred(2), blurred(0))
    whole = Session.looks

    def interrupted(self: Session) -> Any:
        yield next(iter(whole(self)))
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "looks", interrupted)
    assert main(["focus", "--device", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("1 pictures; last")


def test_it_ends_after_the_time_that_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a source that goes on: the first picture after it is the last."""
    assert (
        len(lines(capsys, "--device", str(write_pictures(tmp_path / "p", *[blurred(0)] * 50)), "--seconds", "1e-9"))
        == 1
    )


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    """How near to the sharpest, the light, and what the station would say; within 100 columns."""
    half = Sharpness(
        sharpness=50.0, peak=100.0, brightness=128.0, saturated=0.02, rate_hz=29.9, fault="UNKNOWN(drift): x"
    )
    console = Console(width=100, record=True)
    console.print(_table(half))
    said = capsys.readouterr().out
    for part in ("#" * 20 + "." * 20, "50% of 100.0", "2.00%", "29.9", "UNKNOWN(drift): x", "Ctrl-C"):
        assert part in said
    assert max(len(line.rstrip()) for line in said.splitlines()) <= 100
    line = line_from_sharpness(half).plain
    assert line.count("\n") == 0
    assert line.endswith("; UNKNOWN(drift): x")


def test_a_part_that_was_not_measured_is_its_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """No number stands for it, in the line and in the bar."""
    none = Sharpness(
        sharpness=None, peak=100.0, brightness=None, saturated=None, rate_hz=None, fault="UNKNOWN(camera): x"
    )
    assert line_from_sharpness(none).plain == "no picture: UNKNOWN(camera): x"
    Console(width=100).print(_table(none))
    said = capsys.readouterr().out
    assert "UNKNOWN(camera): x" in said
    assert "0.0 " not in said.replace("100.0", "")


def test_a_part_without_a_picture_does_not_move_the_peak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says why there is none."""
    folder = write_pictures(tmp_path / "p", blurred(0))
    (folder / "x.png").write_bytes(b"no picture")
    first, second = lines(capsys, "--device", str(folder))
    assert (second["sharpness"], second["peak"]) == (None, first["peak"])
    assert "UNKNOWN(camera)" in second["fault"]


def test_saturation_is_of_pixels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pixel of which one channel is at its end counts."""
    picture = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    picture[:12, :, 2] = 255
    (line,) = lines(capsys, "--device", str(write_pictures(tmp_path / "p", picture)))
    assert line["saturated"] == 0.25
    assert focus_module.Focus.model_fields["seconds"].default is None
