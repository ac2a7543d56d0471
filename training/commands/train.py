"""``edge-train classifier``, ``edge-train segmenter``, and ``edge-train both``, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypedDict

from pydantic import AfterValidator, Field
from rich.console import Console

from edge.errors import EdgeError
from engines.contract import PixelFormat, TileShape
from training.commands.flags import DataFlags, Flags, TileFlags
from training.commands.report import CheckFlags, report_trainings
from training.data.cache import MEMORY_GB
from training.data.datasets import Dataset
from training.data.findings import Check
from training.fit.objective import DEFAULT, terms_from_text
from training.fit.run import Precision, Run
from training.fit.schedule import seconds_from_text
from training.fit.strategy import (
    FINETUNE_LEARNING_RATE,
    LAYER_DECAY,
    LEARNING_RATE,
    Strategy,
    needs_weights,
    phases,
)
from training.fit.train import Outcome, train
from training.networks.checkpoint import CheckpointSpec
from training.networks.weights import TIMM

EPOCHS = 20


def _duration(text: str) -> str:
    seconds_from_text(text)
    return text


class _Described(TypedDict):
    format: PixelFormat
    tile: TileShape
    pad_value: int
    class_names: tuple[str, ...]
    dataset: str
    dataset_sha256: str
    made_with: dict[str, str]


class _StrategyFlags(Flags):
    """What is learned, from what, and how fast."""

    strategy: Strategy = Field(
        "staged",
        description="frozen: only the new head learns; finetune: everything, gently; staged: one, then the other; "
        "scratch: everything, from random weights",
    )
    learning_rate: float = Field(LEARNING_RATE, gt=0.0, lt=1.0, description="peak, of weights that begin at random")
    finetune_learning_rate: float = Field(
        FINETUNE_LEARNING_RATE, gt=0.0, lt=1.0, description="peak, of pretrained weights at the level next to the head"
    )
    layer_decay: float = Field(
        LAYER_DECAY, gt=0.0, le=1.0, description="factor on it for each level nearer to the input"
    )
    loss: str = Field(
        DEFAULT, description="sum of ce, dice and focal-tversky(alpha=0.3,beta=0.7,gamma=0.75): '0.5*ce + dice'"
    )


class _LengthFlags(Flags):
    """How long."""

    epochs: Annotated[int, Field(ge=1)] | None = Field(
        None, description=f"rounds; the best one on the val split is kept; else {EPOCHS}"
    )
    time_budget: Annotated[str, AfterValidator(_duration)] | None = Field(
        None, description="90s, 30m or 1h30m instead of epochs: the learning rate has fallen to nothing by then"
    )
    patience: Annotated[int, Field(ge=1)] | None = Field(
        None, description="end a phase after so many rounds without a better score"
    )
    steps_per_epoch: int = Field(100, ge=1, description="batches a round")
    batch: int = Field(16, ge=2, description="tiles a batch and process")
    accumulate: int = Field(1, ge=1, description="batches that make one step of the optimiser")
    validation_tiles: int = Field(
        256, ge=2, description="tiles of each validation, at most; half of them without defect"
    )

    def budget_s(self) -> float | None:
        return None if self.time_budget is None else seconds_from_text(self.time_budget)


class _MachineFlags(Flags):
    """With what, and what is shown."""

    precision: Precision = Field("32-true", description="bf16-mixed is faster where the processor has bf16 units")
    memory_gb: float = Field(MEMORY_GB, gt=0.0, description="bound on decoded pictures in memory [10**9 bytes]")
    cache: Path | None = Field(None, description="folder that holds decoded pictures instead, for several processes")
    threads: int | None = Field(None, ge=1, description="processor threads; 1 is best where other work wants the cores")
    loaders: int = Field(1, ge=1, le=64, description="threads that draw batches; more where steps wait for data")
    accelerator: str = Field("auto", description="auto, cpu, gpu, mps")
    devices: int = Field(1, ge=1, description="processes on this machine, one a GPU; each draws batches of its own")
    nodes: int = Field(1, ge=1, description="machines; start the command on each, see docs/training.md")
    progress: bool = Field(True, description="show a bar below the lines")
    tensorboard: bool = Field(False, description="write a log for TensorBoard, too: <out>/<kind>/tensorboard")


class _TrainFlags(CheckFlags, _MachineFlags, _LengthFlags, _StrategyFlags, TileFlags, DataFlags):
    out: Path = Field(description="folder for the checkpoint and the log")
    report: bool = Field(True, description="look at pictures of the val split afterwards: <out>/<kind>/report.html")
    resume: bool = Field(False, description="go on after the last whole round of a training that was interrupted")

    def settings(self, weights: str, *, budget_s: float | None, crop: int | None = None) -> Run:
        terms_from_text(self.loss)
        epochs = EPOCHS if self.epochs is None and budget_s is None else self.epochs
        given = {name: getattr(self, name) for name in (*_MachineFlags.model_fields, "out", "resume", "seed", "loss")}
        return Run(
            strategy=self.strategy,
            phases=phases(
                self.strategy,
                learning_rate=self.learning_rate,
                finetune_learning_rate=self.finetune_learning_rate,
                layer_decay=self.layer_decay,
            ),
            weights=weights if needs_weights(self.strategy) else None,
            augmentation=self.augment,
            epochs=epochs,
            time_budget_s=budget_s,
            patience=self.patience,
            steps_per_epoch=self.steps_per_epoch,
            batch=self.batch,
            accumulate=self.accumulate,
            validation_tiles=self.validation_tiles,
            crop=crop,
            **given,
        )

    def described(self, dataset: Dataset) -> _Described:
        """What both kinds of checkpoint say about themselves."""
        return {
            "format": self.format,
            "tile": TileShape(core_height=self.core_height, core_width=self.core_width, halo=self.halo),
            "pad_value": self.pad_value,
            "class_names": dataset.class_names,
            "dataset": dataset.name,
            "dataset_sha256": dataset.sha256,
            "made_with": {},
        }


class _ClassifierShape(Flags):
    backbone: str = Field(
        "test_resnet", description="(classifier) timm model name; this small one learns well, see docs/training.md"
    )
    reduce: int = Field(2, ge=1, le=16, description="(classifier) average-pool the pixels by this factor first")


class _SegmenterShape(Flags):
    encoder: str = Field("resnet18", description="(segmenter) timm model name, or plain: small, no published weights")
    width: int = Field(8, ge=1, le=256, description="(segmenter) channels of the first level, doubled at each halving")
    depth: int = Field(4, ge=1, le=8, description="(segmenter) halvings; tile sides must be divisible by 2**depth")
    crop: int | None = Field(
        None, ge=16, le=4096, description="(segmenter) train on squares of this side [px], not on whole tiles"
    )


class ClassifierFlags(_ClassifierShape, _TrainFlags):
    """Train the tile classifier, which sees every tile of every frame."""

    weights: str = Field(TIMM, description="pretrained: timm, a .safetensors or .pth file, or a checkpoint of ours")


class SegmenterFlags(_SegmenterShape, _TrainFlags):
    """Train the ResUNet, which marks the defects in suspicious tiles."""

    weights: str = Field(TIMM, description="pretrained: timm, a .safetensors or .pth file, or a checkpoint of ours")


class BothFlags(_ClassifierShape, _SegmenterShape, _TrainFlags):
    """Train the classifier, then the segmenter; each has half of --time-budget."""

    classifier_weights: str = Field(TIMM, description="pretrained weights of the classifier, as its own --weights")
    segmenter_weights: str = Field(TIMM, description="pretrained weights of the segmenter, as its own --weights")


def train_classifier(flags: ClassifierFlags) -> int:
    """Train a classifier; return the exit code."""
    check, dataset = flags.found(), flags.dataset()
    outcome = _classifier(flags, flags, dataset, flags.settings(flags.weights, budget_s=flags.budget_s()))
    return _report(flags, dataset, check, outcome)


def train_segmenter(flags: SegmenterFlags) -> int:
    """Train a segmenter; return the exit code."""
    check, dataset = flags.found(), flags.dataset()
    run = flags.settings(flags.weights, budget_s=flags.budget_s(), crop=flags.crop)
    return _report(flags, dataset, check, _segmenter(flags, flags, dataset, run))


def train_both(flags: BothFlags) -> int:
    """Train a classifier and a segmenter; return the exit code."""
    budget_s = flags.budget_s()
    half_s = None if budget_s is None else budget_s / 2.0
    check, dataset = flags.found(), flags.dataset()
    first = _classifier(flags, flags, dataset, flags.settings(flags.classifier_weights, budget_s=half_s))
    run = flags.settings(flags.segmenter_weights, budget_s=half_s, crop=flags.crop)
    return _report(flags, dataset, check, first, _segmenter(flags, flags, dataset, run))


def _classifier(flags: _TrainFlags, shape: _ClassifierShape, dataset: Dataset, run: Run) -> Outcome:
    spec = CheckpointSpec(kind="classifier", backbone=shape.backbone, reduce=shape.reduce, **flags.described(dataset))
    return _train(dataset, spec, run)


def _segmenter(flags: _TrainFlags, shape: _SegmenterShape, dataset: Dataset, run: Run) -> Outcome:
    spec = CheckpointSpec(
        kind="segmenter",
        encoder=shape.encoder,
        width=shape.width,
        depth=shape.depth,
        **flags.described(dataset),
    )
    return _train(dataset, spec, run)


def _train(dataset: Dataset, spec: CheckpointSpec, run: Run) -> Outcome:
    outcome = train(dataset, spec, run)
    if outcome.is_first:
        said = f"best val_score {outcome.best.val_score:.4f} of epoch {outcome.best.epoch + 1}: {outcome.path}"
        Console(stderr=True, soft_wrap=True).print(said, highlight=False, markup=False)
    return outcome


def _report(flags: _TrainFlags, dataset: Dataset, check: Check | None, *outcomes: Outcome) -> int:
    """Write the pages; a training that went well stays one if that fails."""
    if flags.report and all(outcome.is_first for outcome in outcomes):
        try:
            report_trainings(flags, dataset, [outcome.path for outcome in outcomes], check)
        except EdgeError as error:
            again = f"the checkpoint is whole; edge-train report {flags.out} {flags.folder} tries again"
            Console(stderr=True, soft_wrap=True).print(f"no report: {error}; {again}", highlight=False, markup=False)
    return 0
