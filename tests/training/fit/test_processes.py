"""The real command in processes of its own: killed and resumed, and two that train together."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

from tests.support.fits import spec_of
from tests.support.labelled import write_folder
from training.data.cache import PictureStore
from training.data.datasets import read_dataset
from training.data.sampling import ValidationTiles
from training.data.windows import TileRecipe
from training.fit.processes import from_first, gathered, is_first
from training.fit.scores import PixelScores
from training.main import main
from training.networks.checkpoint import load, load_spec, network_from_spec, save

COMMAND = Path(sys.executable).with_name("edge-train")
COMMON = ["--core-height", "64", "--core-width", "64", "--halo", "0", "--batch", "4"]
QUIET = ["--threads", "1", "--accelerator", "cpu", "--no-progress"]


def start(*args: str) -> subprocess.Popen[str]:
    """Start edge-train in a process of its own, with one thread."""
    return subprocess.Popen(
        [COMMAND, *args], stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def rows_of(out: Path, kind: str) -> list[dict[str, str]]:
    """Return metrics.csv."""
    with (out / kind / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_killed_training_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Killed within the second of four epochs and resumed: the same weights to the bit, and each epoch once."""
    data = write_folder(tmp_path / "data")
    shape = ["--strategy", "scratch", "--reduce", "1", "--epochs", "4", "--steps-per-epoch", "12"]
    args = ["classifier", str(data), "--out", str(tmp_path / "killed"), *COMMON, *QUIET, *shape]
    with start(*args) as process:
        assert process.stderr is not None
        assert any("epoch 1 of 4" in line for line in process.stderr)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert [row["epoch"] for row in rows_of(tmp_path / "killed", "classifier")] == ["0"]
    assert main([*args, "--resume"]) == 0
    whole = [str(tmp_path / "whole") if arg == str(tmp_path / "killed") else arg for arg in args]
    assert main(whole) == 0
    resumed, straight = (rows_of(tmp_path / name, "classifier") for name in ("killed", "whole"))
    assert [row["epoch"] for row in resumed] == ["0", "1", "2", "3"]
    assert [row["loss"] for row in resumed] == [row["loss"] for row in straight]
    specs = [load_spec(tmp_path / name / "classifier.json") for name in ("killed", "whole")]
    assert specs[0].weights_sha256 == specs[1].weights_sha256
    assert specs[0].made_with["epoch"] == specs[1].made_with["epoch"]


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    """Through both phases only the first writes and speaks; the score is that of one process on the same tiles."""
    data = write_folder(tmp_path / "data")
    dataset = read_dataset(data)
    pretrained = save(tmp_path, network_from_spec(spec_of(dataset)), spec_of(dataset))
    out = tmp_path / "out"
    shape = ["--encoder", "plain", "--width", "2", "--depth", "2", "--epochs", "2", "--steps-per-epoch", "3"]
    many = ["--devices", "2", "--validation-tiles", "15", "--learning-rate", "0.02", "--weights", str(pretrained)]
    with start("segmenter", str(data), "--out", str(out), *COMMON, *QUIET, *shape, *many) as process:
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 0, said
    assert said.count("epoch 1 of 2") == said.count("best val_score") == 1
    rows = rows_of(out, "segmenter")
    assert [row["phase"] for row in rows] == ["frozen", "finetune"]
    spec, network = load(out / "segmenter.safetensors")
    pictures = PictureStore(dataset.sha256, "mono8").pictures(dataset.split("val"))
    recipe = TileRecipe("mono8", spec.tile, 0, 2)
    scores = PixelScores(2)
    for batch in ValidationTiles(pictures, recipe, batch_size=4, max_tiles=15):
        with torch.inference_mode():
            scores.add(batch, network(batch.pixels))
    assert max(float(row["val_score"]) for row in rows) == float(f"{scores.score():.6g}")


def test_one_process_alone_is_the_first_of_one() -> None:
    """Without others nothing is exchanged."""
    assert is_first()
    assert gathered("mine") == ["mine"]
    assert from_first(2.5) == 2.5
