"""edge-train report, and the page that a training leaves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.labelled import write_folder
from training.commands import train as train_command
from training.main import main

FLAGS = ["--core-height", "64", "--core-width", "64", "--halo", "0", "--epochs", "1", "--steps-per-epoch", "2"]
FLAGS += ["--batch", "2", "--threads", "1", "--no-progress", "--strategy", "scratch"]
FLAGS += ["--encoder", "plain", "--width", "2", "--depth", "2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("data") / "squares")


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a trained segmenter."""
    out = tmp_path_factory.mktemp("run")
    assert main(["segmenter", str(folder), "--out", str(out), *FLAGS]) == 0
    return out


def test_a_training_leaves_its_page(run: Path) -> None:
    """The page has pictures, the data check, the command and the seed."""
    html = (run / "segmenter" / "report.html").read_text()
    assert "The data check looked at 18 pictures" in html
    assert "edge-train" in html
    assert re.search(r"<td>seed</td><td>7</td>", html)
    assert html.count("data:image/jpeg") >= 6


def test_a_page_can_be_made_again(run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes the same page over it, from the folder and a check that was made before."""
    page = run / "segmenter" / "report.html"
    before = page.read_text()
    assert main(["data", "check", str(folder), "--out", str(tmp_path), "--no-progress"]) == 0
    page.unlink()
    assert main(["report", str(run), str(folder), "--check", str(tmp_path / "check.json")]) == 0
    assert page.read_text() == before
    assert f"report: {page}" in capsys.readouterr().err


def test_a_report_that_fails_leaves_the_training_good(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that cannot be written is one line; the training ends with 0 and its checkpoint."""
    write = train_command.report_trainings

    def write_late(*args: object) -> None:
        (tmp_path / "segmenter" / "metrics.csv").unlink()
        write(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(train_command, "report_trainings", write_late)
    assert main(["segmenter", str(folder), "--out", str(tmp_path), *FLAGS]) == 0
    assert re.search(r"no report: .*metrics\.csv.*the checkpoint is whole; edge-train report", capsys.readouterr().err)
    assert (tmp_path / "segmenter.safetensors").is_file()


def test_bad_flags_end_in_one_line(run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No training there, no check there, no check at all, or another seed: each says what to give."""
    (tmp_path / "odd.json").write_text(json.dumps({"images": 3}))
    cases = [
        ([str(tmp_path), str(folder)], 2, "has neither classifier.safetensors nor"),
        ([str(run), str(folder), "--check", str(tmp_path / "none.json")], 6, "edge-train data check writes it"),
        ([str(run), str(folder), "--check", str(tmp_path / "odd.json")], 6, "not a check.json"),
        ([str(run), str(folder), "--seed", "8"], 2, "give --seed 7"),
    ]
    for flags, code, said in cases:
        assert main(["report", *flags]) == code
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
