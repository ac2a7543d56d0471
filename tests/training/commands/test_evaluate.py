"""edge-train evaluate and score, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.support.bundles import write_squares
from training.main import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("data") / "squares", {"train": 3, "val": 3, "test": 6})


@pytest.fixture(scope="module")
def run(tiny_bundle: Path) -> Path:
    """Return the folder of two trained checkpoints."""
    return tiny_bundle.parent / "checkpoints"


def test_evaluation_prints_figures(folder: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tables name each class, every rate its denominators, and say where groups are too few for an interval."""
    assert main(["evaluate", str(folder), "--run", str(run), "--bad-share", "0.02"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "bright" in printed
    assert "AUROC" in printed
    assert "0.00 % (0 of 4)" in printed
    assert "too few groups" in printed
    assert "if 2.00 % of the parts come in bad" in printed


def test_evaluation_in_json(folder: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON holds the same report, with the values that decided; each class may have its own."""
    networks = ["--classifier", str(run / "classifier.json"), "--segmenter", str(run / "segmenter.json")]
    flags = ["--gate", "0.001", "--gate", "dark=0.3", "--split", "val", "--json"]
    assert main(["evaluate", str(folder), *networks, *flags]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["split"], report["images"]) == ("val", 3)
    assert [c["gate"]["default"] for c in report["classes"]] == [0.001, 0.3]
    assert set(report["tiles"]["recall"]) == {"bright", "dark"}
    assert report["decisions"]["escapes"]["images"] == 2


def test_evaluation_writes_a_page(folder: Path, run: Path, tmp_path: Path) -> None:
    """--report writes one file, and the tables are printed as ever."""
    page = tmp_path / "deep" / "evaluation.html"
    assert main(["evaluate", str(folder), "--run", str(run), "--report", str(page)]) == 0
    assert "0 of 4 bad pictures" in page.read_text()
    assert [file.name for file in page.parent.iterdir()] == ["evaluation.html"]


def test_score_takes_what_a_subscriber_saved(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that let everything pass has only escapes."""
    lines = [
        json.dumps({"views": [{"source": f"test{index}.png", "outcome": "PASS", "scores": {"bright": 0.1}}]})
        for index in range(6)
    ]
    (tmp_path / "verdicts.jsonl").write_text("\n".join(lines))
    received = ["--verdicts", str(tmp_path / "verdicts.jsonl"), "--masks", str(tmp_path)]
    assert main(["score", str(folder), *received, "--json"]) == 0
    escapes = json.loads(capsys.readouterr().out)["decisions"]["escapes"]
    assert (escapes["hits"], escapes["images"], escapes["groups"]) == (4, 4, 4)


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        ([], 2, "expected --run FOLDER"),
        (["--run", "RUN", "--gate", "rust=0.1"], 2, "no such class"),
        (["--run", "RUN", "--gate", "2"], 2, "--gate = 2: expected 0.001 to 0.999"),
        (["--run", "RUN", "--confidence", "1"], 2, "--confidence"),
        (["--run", "RUN", "--calibration", "RUN/none.json"], 2, "edge-train calibrate writes it"),
        (["--run", "RUN", "--calibration", "RUN/none.json", "--gate", "0.1"], 2, "--gate beside --calibration"),
        (["--run", "FOLDER"], 3, "classifier.json"),
    ],
)
def test_bad_flags_end_in_one_line(
    folder: Path, run: Path, capsys: pytest.CaptureFixture[str], flags: list[str], code: int, said: str
) -> None:
    """Each says the flag and what was expected."""
    words = [flag.replace("RUN", str(run)).replace("FOLDER", str(folder)) for flag in flags]
    assert main(["evaluate", str(folder), *words]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_checkpoints_that_do_not_fit_are_refused(
    folder: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two networks for different tiles cannot be one cascade."""
    for name in ("segmenter.safetensors", "segmenter.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    spec = msgspec.json.decode((run / "segmenter.json").read_bytes())
    spec["tile"]["core_height"] = 32
    (tmp_path / "segmenter.json").write_bytes(msgspec.json.encode(spec))
    networks = ["--run", str(run), "--segmenter", str(tmp_path / "segmenter.json")]
    assert main(["evaluate", str(folder), *networks]) == 3
    assert "has tile" in capsys.readouterr().err
