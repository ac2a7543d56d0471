"""The console script, end to end on a folder of tiny pictures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.labelled import write_folder
from training.data.datasets import read_dataset
from training.main import main
from training.networks.checkpoint import load, load_spec

TILE = ["--core-height", "64", "--core-width", "64", "--halo", "0"]
SCRATCH = ["--strategy", "scratch"]
SHORT = ["--epochs", "2", "--steps-per-epoch", "3", "--batch", "4", "--threads", "1", "--no-progress", *SCRATCH]
CLASSIFIER = ["--backbone", "test_resnet", "--reduce", "1"]
SEGMENTER = ["--encoder", "plain", "--width", "4", "--depth", "2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of eighteen labelled pictures."""
    return write_folder(tmp_path_factory.mktemp("data") / "squares")


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both checkpoints, trained for six steps."""
    out = tmp_path_factory.mktemp("run")
    common = [str(folder), "--out", str(out), *TILE, *SHORT, "--augment.rotate-deg", "5", "--augment.noise", "0"]
    assert main(["both", *common, *CLASSIFIER, *SEGMENTER, "--crop", "32", "--learning-rate", "0.02"]) == 0
    return out


@pytest.mark.parametrize("kind", ["classifier", "segmenter"])
def test_training_leaves_a_checkpoint_that_says_what_it_is(trained: Path, folder: Path, kind: str) -> None:
    """The checkpoint loads and names classes, tile, data and the epoch that was best."""
    spec, _ = load(trained / f"{kind}.safetensors")
    assert (spec.kind, spec.format, spec.class_names) == (kind, "mono8", ("bright", "dark"))
    assert (spec.tile.core_height, spec.tile.halo) == (64, 0)
    assert spec.dataset_sha256 == read_dataset(folder).sha256
    assert spec.made_with["seed"] == "7"
    assert int(spec.made_with["epoch"]) in (0, 1)
    assert json.loads(spec.made_with["augmentation"])["rotate_deg"] == 5.0
    with (trained / kind / "metrics.csv").open() as file:
        assert {"loss", "val_loss", "val_score"} <= set(csv.DictReader(file).fieldnames or ())


def test_the_same_seed_trains_the_same_network(folder: Path, trained: Path, tmp_path: Path) -> None:
    """The same flags give the same weights, whether the classifier is trained alone or before a segmenter."""
    same = ["--augment.rotate-deg", "5", "--augment.noise", "0", "--learning-rate", "0.02"]
    assert main(["classifier", str(folder), "--out", str(tmp_path), *TILE, *SHORT, *CLASSIFIER, *same]) == 0
    first, second = load_spec(trained / "classifier.json"), load_spec(tmp_path / "classifier.json")
    assert first.weights_sha256 == second.weights_sha256


def evaluate(folder: Path, trained: Path, *more: str) -> int:
    """Run edge-train evaluate."""
    networks = ["--classifier", str(trained / "classifier.json"), "--segmenter", str(trained / "segmenter.json")]
    return main(["evaluate", str(folder), *networks, *more])


def test_evaluation_prints_figures(folder: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table names each class, and JSON holds the same report."""
    assert evaluate(folder, trained, "--gate", "0") == 0
    printed = capsys.readouterr().out
    assert "bright" in printed
    assert "AUROC" in printed
    assert evaluate(folder, trained, "--gate", "0", "--split", "val", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["split"], report["images"], report["segmented_share"]) == ("val", 6, 1.0)
    assert set(report["tiles"]["recall"]) == {"bright", "dark"}


def write_received(folder: Path, out: Path) -> list[str]:
    """Write what a perfect line would send for the test split; return the verdicts' lines."""
    out.mkdir()
    lines = []
    for sample in read_dataset(folder).split("test"):
        _, labels = sample.read("mono8")
        found = bool(labels.any())
        if found:
            cv2.imwrite(str(out / sample.source), labels)
        view = {"source": sample.source, "outcome": "REJECT" if found else "PASS", "scores": {"bright": float(found)}}
        lines.append(json.dumps({"seq": len(lines), "views": [view]}))
    return lines


def score(folder: Path, tmp_path: Path, lines: list[str], *more: str) -> int:
    """Run edge-train score on these lines."""
    (tmp_path / "verdicts.jsonl").write_text("\n".join(lines) + "\n")
    received = ["--verdicts", str(tmp_path / "verdicts.jsonl"), "--masks", str(tmp_path / "masks")]
    return main(["score", str(folder), *received, *more])


def test_perfect_verdicts_score_one(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Masks and scores equal to the truth give Dice, AUROC and AP of 1; a PASS needs no mask file."""
    assert score(folder, tmp_path, write_received(folder, tmp_path / "masks"), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["auroc"], report["average_precision"], report["unknown"]) == (1.0, 1.0, 0)
    assert report["masks"]["mean_dice"] == 1.0
    assert report["masks"]["false_area"] == 0.0


def test_an_unknown_verdict_is_counted_apart(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An image that got no answer stands in no figure but its own."""
    lines = write_received(folder, tmp_path / "masks")
    lines[0] = lines[0].replace("PASS", "UNKNOWN")
    assert score(folder, tmp_path, lines, "--json") == 0
    assert json.loads(capsys.readouterr().out)["unknown"] == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda lines: lines[1:], "no verdict for free_test_0.png (1 of 6 images)"),
        (lambda lines: [*lines, lines[0]], "verdicts.jsonl:7: a second verdict for free_test_0.png"),
        (lambda lines: ["{", *lines], "verdicts.jsonl:1: not a verdict"),
        (lambda lines: [lines[0].replace("PASS", "REJECT"), *lines[1:]], "free_test_0.png: cannot be read"),
    ],
)
def test_incomplete_verdicts_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: object, said: str
) -> None:
    """A missing, doubled or broken line, and a reject without its mask, end in one line."""
    assert callable(spoil)
    assert score(folder, tmp_path, spoil(write_received(folder, tmp_path / "masks"))) == 6
    assert said in capsys.readouterr().err


def test_a_received_mask_of_another_size_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mask that does not fit its image is named."""
    lines = write_received(folder, tmp_path / "masks")
    cv2.imwrite(str(tmp_path / "masks" / "bright_test_0.png"), np.zeros((5, 5), np.uint8))
    assert score(folder, tmp_path, lines) == 6
    assert "bright_test_0.png is (5, 5) px" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ([], 2, "expected a command"),
        (["segmenter", "FOLDER", "--out", "OUT", "--bach", "3"], 2, "--bach"),
        (["segmenter", "FOLDER", "--out", "OUT", "--batch", "one"], 2, "--batch = one"),
        (["segmenter", "FOLDER", "--out", "OUT", "--format", "rgb8"], 2, "--format = rgb8"),
        (["segmenter", "FOLDER"], 2, "--out"),
        (["segmenter", "FOLDER", "--out", "OUT", "--core-height", "250"], 2, "282x288 px"),
        (["segmenter", "FOLDER", "--out", "OUT", "--crop", "30", *SCRATCH], 2, "--crop 30"),
        (["segmenter", "FOLDER", "--out", "OUT", "--accelerator", "abacus", *SCRATCH], 2, "--accelerator abacus"),
        (["classifier", "FOLDER", "--out", "OUT", "--backbone", "resnet_18"], 2, "'resnet_18'"),
        (["segmenter", "OUT", "--out", "OUT"], 6, "no such folder"),
        (["segmenter", "FOLDER", "--out", "FOLDER/labels.csv", *SCRATCH], 2, "labels.csv"),
        (["segmenter", "FOLDER", "--out", "OUT", "--encoder", "plain"], 2, "--strategy scratch"),
        (["segmenter", "FOLDER", "--out", "OUT", "--weights", "no.pth"], 2, "no.pth"),
        (["segmenter", "FOLDER", "--out", "OUT", "--epochs", "1"], 2, "expected at least 2, one each for frozen"),
        (["both", "FOLDER", "--out", "OUT", "--time-budget", "30"], 2, "--time-budget = 30: '30' is no duration"),
        (["both", "FOLDER", "--out", "OUT", "--epochs", "3", "--time-budget", "1m"], 2, "expected one of them"),
        (["both", "FOLDER", "--out", "OUT", "--loss", "iou"], 2, "--loss 'iou'"),
        (["both", "FOLDER", "--out", "OUT", "--augment.scale", "2"], 2, "--augment.scale = 2"),
        (["evaluate", "FOLDER", "--classifier", "OUT/c.json", "--segmenter", "OUT/s.json"], 3, "c.json"),
    ],
)
def test_bad_input_ends_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int, said: str
) -> None:
    """A bad flag ends with 2, bad data with 6, an unusable checkpoint with 3; nothing is written."""
    out = tmp_path / "out"
    words = [a.replace("FOLDER", str(folder)).replace("OUT", str(out)) for a in args]
    assert main(words) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_checkpoints_that_do_not_fit_are_refused(
    folder: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two networks for different tiles cannot be one cascade."""
    other = ["--core-height", "32", "--core-width", "64", "--halo", "0"]
    assert main(["segmenter", str(folder), "--out", str(tmp_path), *other, *SHORT, *SEGMENTER]) == 0
    networks = ["--classifier", str(trained / "classifier.json"), "--segmenter", str(tmp_path / "segmenter.json")]
    capsys.readouterr()
    assert main(["evaluate", str(folder), *networks]) == 3
    assert "has tile" in capsys.readouterr().err
