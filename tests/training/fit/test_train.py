"""The training loop: what it leaves behind, and what it does when something breaks."""

from __future__ import annotations

import csv
import itertools
import math
import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edge.errors import BundleError, ConfigurationError, DataError
from tests.support.fits import run_of, spec_of
from tests.support.labelled import write_folder
from training.data.datasets import Dataset, read_dataset
from training.fit import train as train_module
from training.fit.progress import Display
from training.fit.record import Row
from training.fit.schedule import Stopwatch
from training.fit.state import read_state
from training.fit.task import TileTask
from training.fit.train import train
from training.networks.checkpoint import Kind, load, load_spec, network_from_spec, save

SAME_AGAIN = ("epoch", "phase", "loss", "val_loss", "val_score", "learning_rate")
"""Columns of metrics.csv that hold no time."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Return eighteen labelled pictures."""
    return read_dataset(write_folder(tmp_path_factory.mktemp("data") / "squares"))


@pytest.fixture(scope="module")
def pretrained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a segmenter's checkpoint to begin with."""
    torch.manual_seed(3)
    spec = spec_of(dataset)
    return save(tmp_path_factory.mktemp("pretrained"), network_from_spec(spec), spec)


def rows_of(out: Path, kind: str = "segmenter") -> list[tuple[str, ...]]:
    """Return what metrics.csv says, without times."""
    with (out / kind / "metrics.csv").open(newline="") as file:
        return [tuple(row[column] for column in SAME_AGAIN) for row in csv.DictReader(file)]


def weights_of(out: Path, kind: str = "segmenter") -> str | None:
    """Return the SHA-256 of the best weights."""
    return load_spec(out / f"{kind}.json").weights_sha256


@pytest.fixture
def keep_states(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Let each epoch leave a copy of the folder, as it is when the process is killed in the next one."""
    copies: list[Path] = []
    say = Display.say_epoch

    def copy(display: Display, row: Row) -> None:
        say(display, row)
        for out in copies[:1]:
            shutil.copytree(out, out.with_name(f"{out.name}-{row.epoch}"))

    monkeypatch.setattr(Display, "say_epoch", copy)
    return copies


def test_a_staged_training_goes_on_from_any_epoch(
    dataset: Dataset, pretrained: Path, tmp_path: Path, keep_states: list[Path]
) -> None:
    """Interrupted in a phase or between two, it ends in the same weights, the same rows and the same best epoch."""
    run = run_of(tmp_path / "whole", "staged", epochs=4, weights=str(pretrained), patience=9, learning_rate=0.01)
    keep_states.append(run.out)
    best = train(dataset, spec_of(dataset), run).best
    keep_states.clear()
    rows = rows_of(run.out)
    assert [row[1] for row in rows] == ["frozen", "finetune", "finetune", "finetune"]
    final = read_state(run.out / "segmenter" / "state.safetensors")
    for epoch in range(3):
        out = tmp_path / f"whole-{epoch}"
        assert len(rows_of(out)) == epoch + 1
        again = train(dataset, spec_of(dataset), replace(run, out=out, resume=True))
        assert (again.best.epoch, again.best.val_score) == (best.epoch, best.val_score)
        assert rows_of(out) == rows
        assert weights_of(out) == weights_of(run.out)
        state = read_state(out / "segmenter" / "state.safetensors")
        assert all(torch.equal(state["state_dict"][name], final["state_dict"][name]) for name in final["state_dict"])


def test_a_checkpoint_half_renamed_is_mended_by_resume(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two renames the files do not fit; the message names the way out, and it is one."""
    run = run_of(tmp_path, epochs=2, learning_rate=0.01)
    rename, saved = Path.replace, itertools.count()

    def killed(path: Path, target: Path) -> Path:
        if target.name == "segmenter.json" and next(saved) == 1:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    monkeypatch.setattr(Row, "merit", property(lambda row: (row.epoch, 0.0)))  # so that each epoch is kept
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, spec_of(dataset), run)
    signal.signal(signal.SIGINT, handler)
    with pytest.raises(BundleError, match="its command with --resume writes both again"):
        load(tmp_path / "segmenter.safetensors")
    outcome = train(dataset, spec_of(dataset), replace(run, resume=True))
    assert load(outcome.path)[0].made_with["epoch"] == "1"


def test_a_training_that_is_over_is_not_trained_again(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Resumed after its end it returns the best epoch and says nothing."""
    run = run_of(tmp_path)
    first = train(dataset, spec_of(dataset), run)
    capsys.readouterr()
    assert train(dataset, spec_of(dataset), replace(run, resume=True)) == first
    assert "epoch" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"batch": 3}, "batch = 2, this is 3"),
        ({"seed": 8}, "seed = 7, this is 8"),
        ({"loss": "ce"}, r"loss = ce \+ dice, this is ce"),
        ({"epochs": 3}, "epochs = 1, this is 3"),
    ],
)
def test_another_training_is_not_resumed(
    dataset: Dataset, tmp_path_factory: pytest.TempPathFactory, change: dict[str, Any], said: str
) -> None:
    """What decides the result must be as it was; the message names it with both values."""
    out = tmp_path_factory.getbasetemp() / "resumed-otherwise"
    if not out.exists():
        train(dataset, spec_of(dataset), run_of(out))
    with pytest.raises(ConfigurationError, match=said):
        train(dataset, spec_of(dataset), run_of(out, **change, resume=True))


def test_other_data_or_another_network_is_not_resumed(dataset: Dataset, tmp_path: Path) -> None:
    """The data's hash and the network's sizes must be as they were."""
    run = run_of(tmp_path)
    train(dataset, spec_of(dataset), run)
    other = replace(dataset, sha256="0" * 64)
    with pytest.raises(ConfigurationError, match="dataset_sha256 = "):
        train(other, spec_of(other), replace(run, resume=True))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(dataset: Dataset, tmp_path: Path) -> None:
    """Training ends with epoch, step, process and pictures, and the checkpoint of before is untouched."""
    spec = spec_of(dataset)
    run = run_of(tmp_path, learning_rate=1e30, steps_per_epoch=9)
    good = save(run.out, network_from_spec(spec), spec)
    before = good.read_bytes()
    with pytest.raises(
        DataError, match=r"loss is nan in phase scratch, epoch 0 of it, step [1-9], process 0, over pictures \w+\.png, "
    ):
        train(dataset, spec, run)
    assert good.read_bytes() == before


@pytest.mark.parametrize("kind", ["segmenter", "classifier"])
def test_an_epoch_that_ends_in_broken_weights_is_not_kept(
    dataset: Dataset, tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are NaN after the second epoch's last step: checkpoint, state and rows of the first one stay."""
    begin, validations = TileTask.on_validation_epoch_start, itertools.count()

    def broken(task: TileTask) -> None:
        if next(validations) == 1:
            with torch.no_grad():
                for parameter in task.network.parameters():
                    parameter.fill_(math.nan)
        begin(task)

    monkeypatch.setattr(TileTask, "on_validation_epoch_start", broken)
    spec = spec_of(dataset, kind)
    with pytest.raises(DataError, match="holds NaN or infinity after phase scratch, epoch 1 of it; the last good"):
        train(dataset, spec, run_of(tmp_path, epochs=3))
    assert load(tmp_path / f"{kind}.safetensors")[0].made_with["epoch"] == "0"
    state = read_state(tmp_path / kind / "state.safetensors")
    assert all(tensor.isfinite().all() for tensor in state["state_dict"].values())
    assert [row[0] for row in rows_of(tmp_path, kind)] == ["0"]


def test_logits_that_are_not_finite_are_no_score(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are whole, their answers over the val split are not: nothing of the epoch is kept."""
    monkeypatch.setattr(TileTask, "_loss", lambda task, batch, logits: logits.sum() * (1.0 if task.training else 0.0))
    answer = TileTask._logits
    monkeypatch.setattr(
        TileTask, "_logits", lambda task, batch: answer(task, batch) * (1.0 if task.training else math.inf)
    )
    with pytest.raises(DataError, match="the loss over the val split is nan after phase scratch, epoch 0"):
        train(dataset, spec_of(dataset), run_of(tmp_path))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_full_disk_leaves_the_old_checkpoint(dataset: Dataset, tmp_path: Path) -> None:
    """Files may not grow beyond a size: one line, and both files of the checkpoint are as they were."""
    spec = spec_of(dataset)
    path = train(dataset, spec, run_of(tmp_path)).path
    before = path.read_bytes(), path.with_suffix(".json").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before[0]) // 2, hard))
    try:
        with pytest.raises(ConfigurationError, match=r"File too large; expected a folder with room"):
            train(dataset, spec, run_of(tmp_path, seed=8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "segmenter",
        "segmenter.json",
        "segmenter.safetensors",
    ]


@pytest.mark.parametrize("kind", ["segmenter", "classifier"])
def test_a_frozen_backbone_stays_what_was_loaded(dataset: Dataset, tmp_path: Path, kind: Kind) -> None:
    """After two epochs with a validation between them each tensor is equal to the bit, batch-norm statistics too."""
    spec = spec_of(dataset, kind)
    given = save(tmp_path / "given", network_from_spec(spec), spec)
    trained = train(dataset, spec, run_of(tmp_path / "out", "frozen", weights=str(given), epochs=2)).path
    before, after = (
        [tensor for module in load(path)[1].backbone_modules() for tensor in module.state_dict().values()]
        for path in (given, trained)
    )
    assert len(before) > 10
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "change", [{"strategy": "finetune", "weights": "nowhere.safetensors"}, {"crop": 63}], ids=["weights", "pictures"]
)
def test_a_training_that_cannot_begin_leaves_the_one_before(
    dataset: Dataset, tmp_path: Path, change: dict[str, Any]
) -> None:
    """Without its weights or its tiles it removes nothing: the training before can still be resumed."""
    run = run_of(tmp_path)
    train(dataset, spec_of(dataset), run)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(before) == 4
    with pytest.raises(ConfigurationError, match=r"nowhere\.safetensors|--crop 63"):
        train(dataset, spec_of(dataset), replace(run, **change))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_patience_ends_a_phase(dataset: Dataset, tmp_path: Path) -> None:
    """A phase ends so many epochs after its best one, which is kept."""
    best = train(dataset, spec_of(dataset), run_of(tmp_path, epochs=30, learning_rate=1e-30, patience=2)).best
    assert len(rows_of(tmp_path)) == best.epoch + 3


def test_a_time_budget_ends_the_training_with_a_slow_rate(
    dataset: Dataset, pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Phases share the time; each ends within it, validated, its learning rate down; by a clock that counts looks."""
    monkeypatch.setattr(train_module, "Stopwatch", lambda: Stopwatch(itertools.count().__next__))
    run = run_of(tmp_path, "staged", weights=str(pretrained), epochs=None, time_budget_s=60.0, steps_per_epoch=9)
    train(dataset, spec_of(dataset), run)
    rows = rows_of(tmp_path)
    frozen, finetune = ([row for row in rows if row[1] == phase] for phase in ("frozen", "finetune"))
    for phase, peak in ((frozen, 2e-3), (finetune, 1e-3)):
        assert float(phase[-1][5]) < 0.3 * peak
    with (tmp_path / "segmenter" / "metrics.csv").open(newline="") as file:
        elapsed = [float(row["elapsed_s"]) for row in csv.DictReader(file)]
    assert 60.0 <= elapsed[-1] <= 66.0
    assert elapsed[len(frozen) - 1] < 30.0


def test_several_threads_draw_the_same_batches(dataset: Dataset, tmp_path: Path) -> None:
    """How many threads draw does not decide what is learned; nor does a TensorBoard log."""
    for number, changes in enumerate(({}, {"loaders": 3, "tensorboard": True})):
        train(dataset, spec_of(dataset), run_of(tmp_path / str(number), steps_per_epoch=5, **changes))
    assert weights_of(tmp_path / "0") == weights_of(tmp_path / "1")
    assert list((tmp_path / "1" / "segmenter" / "tensorboard").glob("events*"))


def test_batches_are_accumulated(dataset: Dataset, tmp_path: Path) -> None:
    """Four batches that make one step move the weights once."""
    train(dataset, spec_of(dataset), run_of(tmp_path, steps_per_epoch=4, accumulate=4))
    assert read_state(tmp_path / "segmenter" / "state.safetensors")["global_step"] == 1


def test_what_was_taken_of_the_weights_is_told(
    dataset: Dataset, pretrained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line says how many tensors of which file were taken, what of it was not used, and what is still random."""
    train(dataset, spec_of(dataset), run_of(tmp_path, "frozen", weights=str(pretrained)))
    told = capsys.readouterr().err
    assert "tensors of segmenter.safetensors" in told
    assert "not used: decoder." in told
    assert "random: decoder." in told


def test_the_checkpoint_says_what_it_is_made_with(dataset: Dataset, pretrained: Path, tmp_path: Path) -> None:
    """Strategy, loss, augmentation, weights and their SHA-256 stand in it."""
    run = run_of(tmp_path, "finetune", weights=str(pretrained), loss="ce + 0.5*focal-tversky")
    spec, _ = load(train(dataset, spec_of(dataset), run).path)
    made_with = spec.made_with
    assert (made_with["strategy"], made_with["loss"]) == ("finetune", "ce + 0.5*focal-tversky")
    assert made_with["weights_sha256"] == load_spec(pretrained).weights_sha256
    assert made_with["weights"] == "segmenter.safetensors"
    assert '"brightness":20.0' in made_with["augmentation"]


@pytest.mark.parametrize(
    ("accelerator", "has_cuda", "deterministic"),
    [("auto", False, True), ("auto", True, "warn"), ("cpu", True, True), ("gpu", True, "warn"), ("cuda", True, "warn")],
)
def test_only_a_cpu_has_all_operators_deterministic(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    accelerator: str,
    has_cuda: bool,
    deterministic: object,
) -> None:
    """Where ``auto`` means a GPU, too, an operator that is not deterministic there is a warning and no error."""
    asked: dict[str, Any] = {}

    def trainer(**flags: Any) -> None:
        asked.update(flags)
        raise RuntimeError("enough is known")

    monkeypatch.setattr("training.fit.train.CUDAAccelerator.is_available", lambda: has_cuda)
    monkeypatch.setattr("training.fit.train.L.Trainer", trainer)
    with pytest.raises(ConfigurationError, match="enough is known"):
        train(dataset, spec_of(dataset), run_of(tmp_path, accelerator=accelerator))
    assert asked["deterministic"] == deterministic


def test_ctrl_c_says_how_to_go_on(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An interrupt in the middle of an epoch ends as one, and leaves the state of the epoch before."""
    step = TileTask.training_step

    def interrupted(task: TileTask, batch: Any, number: int) -> Any:
        if task.current_epoch == 1:
            raise KeyboardInterrupt
        return step(task, batch, number)

    monkeypatch.setattr(TileTask, "training_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)  # which Lightning takes away
    with pytest.raises(KeyboardInterrupt):
        train(dataset, spec_of(dataset), run_of(tmp_path, epochs=2))
    signal.signal(signal.SIGINT, handler)
    assert "interrupted; the same command with --resume goes on" in capsys.readouterr().err
    assert len(read_state(tmp_path / "segmenter" / "state.safetensors")["record"]["rows"]) == 1
