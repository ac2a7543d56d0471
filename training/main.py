"""Console script ``edge-train``: train a classifier and a segmenter, and say how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypedDict

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import CliPositionalArg, CliSubCommand
from rich.console import Console

from edge import commandline
from edge.archive import is_archive
from edge.errors import ConfigurationError
from engines.contract import PixelFormat, TileShape
from training.data.archive import read_archive_dataset
from training.data.datasets import Dataset, read_dataset
from training.data.presets import Augmentation
from training.data.splits import Split
from training.figures.evaluate import Report, evaluate, score, show
from training.figures.predict import Cascade
from training.fit.train import Precision, Run, made_with, train
from training.networks.checkpoint import CheckpointSpec

PROGRAM = "edge-train"


class _Described(TypedDict):
    format: PixelFormat
    tile: TileShape
    pad_value: int
    class_names: tuple[str, ...]
    dataset: str
    dataset_sha256: str
    made_with: dict[str, str]


class _Flags(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _DataFlags(_Flags):
    folder: CliPositionalArg[Path] = Field(
        description="labelled pictures: images/ masks/ labels.csv, Severstal's layout, or a station's archive"
    )
    labels_file: str | None = Field(None, description="another name of the csv file in the folder")
    seed: int = Field(7, ge=0, lt=2**32, description="of weights, tiles, and of the split where the data bring none")

    trust_archive: bool = Field(
        False, description="of an archive, take also the parts nobody has reviewed, as the networks marked them"
    )

    def dataset(self) -> Dataset:
        if is_archive(self.folder):
            return read_archive_dataset(self.folder, self.seed, trust=self.trust_archive)
        return read_dataset(self.folder, self.seed, self.labels_file)


class _TrainFlags(_DataFlags):
    out: Path = Field(description="folder for the checkpoint and the log")
    format: PixelFormat = Field("mono8", description="pictures are read as this, and the line's camera must deliver it")
    core_height: int = Field(256, ge=16, le=4096, description="height of a tile's core [px]")
    core_width: int = Field(256, ge=16, le=4096, description="width of a tile's core [px]")
    halo: int = Field(16, ge=0, le=256, description="context on every side of the core [px]")
    pad_value: int = Field(0, ge=0, le=255, description="grey level outside the picture")
    epochs: int = Field(20, ge=1, description="rounds; the best one on the val split is kept")
    steps_per_epoch: int = Field(100, ge=1, description="batches a round")
    batch: int = Field(16, ge=2, description="tiles a batch")
    learning_rate: float = Field(2e-3, gt=0.0, lt=1.0, description="peak of the one-cycle schedule")
    precision: Precision = Field("32-true", description="bf16-mixed is faster where the processor has bf16 units")
    threads: int | None = Field(None, ge=1, description="processor threads; 1 is best where other work wants the cores")
    accelerator: str = Field("auto", description="auto, cpu, gpu, mps")
    validation_tiles: int = Field(
        256, ge=2, description="tiles of each validation, at most; half of them without defect"
    )
    time_limit_min: Annotated[float, Field(gt=0.0)] | None = Field(None, description="stop after so many minutes")
    progress: bool = Field(True, description="show a progress bar")

    def settings(self, *, crop: int | None = None, pretrained: bool = False) -> Run:
        return Run(
            out=self.out,
            epochs=self.epochs,
            steps_per_epoch=self.steps_per_epoch,
            batch=self.batch,
            learning_rate=self.learning_rate,
            seed=self.seed,
            precision=self.precision,
            threads=self.threads,
            accelerator=self.accelerator,
            validation_tiles=self.validation_tiles,
            crop=crop,
            pretrained=pretrained,
            time_limit_min=self.time_limit_min,
            progress=self.progress,
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
            "made_with": made_with(self.seed),
        }


class ClassifierFlags(_TrainFlags):
    """Train the tile classifier, which sees every tile of every frame."""

    backbone: str = Field(
        "test_resnet", description="timm model name; this small one learns well from scratch, see docs/training.md"
    )
    reduce: int = Field(2, ge=1, le=16, description="average-pool the pixels by this factor first")
    pretrained: bool = Field(False, description="begin with timm's published weights; fails if they cannot be had")


class SegmenterFlags(_TrainFlags):
    """Train the ResUNet, which marks the defects in suspicious tiles."""

    width: int = Field(16, ge=1, le=256, description="channels of the first level, doubled with each halving")
    depth: int = Field(4, ge=1, le=8, description="halvings; tile sides must be divisible by 2**depth")
    crop: int | None = Field(None, ge=16, le=4096, description="train on squares of this side [px], not on whole tiles")


class _ReportFlags(_DataFlags):
    split: Split = Field("test", description="which split to judge; choose nothing by the test split")
    as_json: bool = Field(False, alias="json", description="print JSON instead of a table")


class EvaluateFlags(_ReportFlags):
    """Judge two checkpoints in PyTorch: masks, ranking of images, recall of tiles."""

    classifier: Path = Field(description="the classifier's .safetensors file")
    segmenter: Path = Field(description="the segmenter's .safetensors file")
    gate: float = Field(0.5, ge=0.0, le=1.0, description="tiles with a score at or above it are segmented")
    threshold: float = Field(0.5, ge=0.0, le=1.0, description="probability at which a pixel is marked")


class ScoreFlags(_ReportFlags):
    """Judge what a subscriber of the daemon received: verdicts and masks of replayed images."""

    verdicts: Path = Field(description="a JSON object a line: the verdicts")
    masks: Path = Field(description="folder with <image stem>.png, pixel value = class id")
    format: PixelFormat = Field("mono8", description="how the line read the images")


class TrainCommand(_Flags):
    """From labelled pictures to two networks, and how good they are."""

    classifier: CliSubCommand[ClassifierFlags]
    segmenter: CliSubCommand[SegmenterFlags]
    evaluate: CliSubCommand[EvaluateFlags]
    score: CliSubCommand[ScoreFlags]


def main(args: Sequence[str] | None = None) -> int:
    """Run the console script; returns its exit code."""
    return commandline.run(PROGRAM, TrainCommand, args, _body)


def _body(command: TrainCommand) -> int:
    if command.classifier is not None:
        return _train_classifier(command.classifier)
    if command.segmenter is not None:
        return _train_segmenter(command.segmenter)
    if command.evaluate is not None:
        return _evaluate(command.evaluate)
    if command.score is not None:
        return _score(command.score)
    raise ConfigurationError("expected a command: classifier, segmenter, evaluate or score")


def _train_classifier(flags: ClassifierFlags) -> int:
    dataset = flags.dataset()
    spec = CheckpointSpec(kind="classifier", backbone=flags.backbone, reduce=flags.reduce, **flags.described(dataset))
    return _train(dataset, spec, flags.settings(pretrained=flags.pretrained))


def _train_segmenter(flags: SegmenterFlags) -> int:
    dataset = flags.dataset()
    spec = CheckpointSpec(kind="segmenter", width=flags.width, depth=flags.depth, **flags.described(dataset))
    return _train(dataset, spec, flags.settings(crop=flags.crop))


def _train(dataset: Dataset, spec: CheckpointSpec, run: Run) -> int:
    best = train(dataset, spec, run, Augmentation())
    Console(stderr=True).print(f"best val_score {best.score:.4f}: {best.path}")
    return 0


def _evaluate(flags: EvaluateFlags) -> int:
    cascade = Cascade(flags.classifier, flags.segmenter)
    return _report(flags, evaluate(flags.dataset(), flags.split, cascade, flags.gate, flags.threshold))


def _score(flags: ScoreFlags) -> int:
    return _report(flags, score(flags.dataset(), flags.split, flags.verdicts, flags.masks, flags.format))


def _report(flags: _ReportFlags, report: Report) -> int:
    if flags.as_json:
        Console(soft_wrap=True).out(msgspec.json.format(msgspec.json.encode(report)).decode(), highlight=False)
    else:
        show(report, Console())
    return 0
