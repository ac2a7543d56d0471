"""``edge-train classifier`` and ``edge-train segmenter``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypedDict

from pydantic import Field
from rich.console import Console

from engines.contract import PixelFormat, TileShape
from training.commands.flags import DataFlags
from training.data.datasets import Dataset
from training.data.presets import Augmentation
from training.fit.train import Precision, Run, made_with, train
from training.networks.checkpoint import CheckpointSpec


class _Described(TypedDict):
    format: PixelFormat
    tile: TileShape
    pad_value: int
    class_names: tuple[str, ...]
    dataset: str
    dataset_sha256: str
    made_with: dict[str, str]


class _TrainFlags(DataFlags):
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


def train_classifier(flags: ClassifierFlags) -> int:
    """Train a classifier; return the exit code."""
    dataset = flags.dataset()
    spec = CheckpointSpec(kind="classifier", backbone=flags.backbone, reduce=flags.reduce, **flags.described(dataset))
    return _train(dataset, spec, flags.settings(pretrained=flags.pretrained))


def train_segmenter(flags: SegmenterFlags) -> int:
    """Train a segmenter; return the exit code."""
    dataset = flags.dataset()
    spec = CheckpointSpec(kind="segmenter", width=flags.width, depth=flags.depth, **flags.described(dataset))
    return _train(dataset, spec, flags.settings(crop=flags.crop))


def _train(dataset: Dataset, spec: CheckpointSpec, run: Run) -> int:
    best = train(dataset, spec, run, Augmentation())
    Console(stderr=True).print(f"best val_score {best.score:.4f}: {best.path}")
    return 0
