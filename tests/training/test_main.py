"""The console script, end to end on a folder of tiny pictures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.support.labelled import write_folder
from training.data.datasets import read_dataset
from training.main import main
from training.networks.checkpoint import load, load_spec

TILE = ["--core-height", "64", "--core-width", "64", "--halo", "0"]
SCRATCH = ["--strategy", "scratch"]
QUIET = ["--no-progress", "--no-report"]
SHORT = ["--epochs", "2", "--steps-per-epoch", "3", "--batch", "4", "--threads", "1", *QUIET, *SCRATCH]
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


def test_what_is_trained_is_not_trained_again(folder: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Resumed after its end, the command for both networks says what they reached, and leaves them as they are."""
    before = {path: path.read_bytes() for path in trained.glob("*.*")}
    common = [str(folder), "--out", str(trained), *TILE, *SHORT, "--augment.rotate-deg", "5", "--augment.noise", "0"]
    more = [*CLASSIFIER, *SEGMENTER, "--crop", "32", "--learning-rate", "0.02"]
    assert main(["both", *common, *more, "--resume"]) == 0
    assert capsys.readouterr().err.count("best val_score") == 2
    assert {path: path.read_bytes() for path in trained.glob("*.*")} == before


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
