"""The training loop: pictures in memory, tiles by recipe, Lightning's trainer, the best epoch on disk."""

from __future__ import annotations

import logging
import platform
import shlex
import sys
import warnings
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import lightning as L
import timm
import torch
from lightning.pytorch.loggers import CSVLogger

from edge.errors import ConfigurationError
from engines.contract import TileShape
from training.data.datasets import Dataset, Sample
from training.data.presets import Augmentation
from training.data.sampling import TrainingTiles, ValidationTiles, read_pictures
from training.data.windows import TileRecipe
from training.fit.progress import progress_callback
from training.fit.task import BestCheckpoint, Schedule, TileTask
from training.networks.checkpoint import CheckpointSpec, Kind, network_from_spec

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class Run:
    """Everything that decides how a training goes, beside the data and the network; see ``edge-train --help``."""

    out: Path
    epochs: int
    steps_per_epoch: int
    batch: int
    crop: int | None
    learning_rate: float
    seed: int
    precision: Precision
    threads: int | None
    accelerator: str
    validation_tiles: int
    pretrained: bool
    time_limit_min: float | None
    progress: bool


def made_with(seed: int) -> dict[str, str]:
    """Say what a checkpoint is made with: command, seed, versions."""
    return {
        "command": shlex.join(["edge-train", *sys.argv[1:]]),
        "seed": str(seed),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "lightning": L.__version__,
        "timm": timm.__version__,
    }


def train(dataset: Dataset, spec: CheckpointSpec, run: Run, augmentation: Augmentation) -> BestCheckpoint:
    """
    Train one network on the train split and keep the epoch that is best on the val split.

    Args:
        dataset: its splits train and val are used, test is not touched.
        spec: the network.
        run: how long, how fast, where to.
        augmentation: how far tiles are varied.

    Returns:
        Where the best checkpoint is, and its score; files: <out>/<kind>.safetensors, <kind>.json, <kind>/metrics.csv.

    Raises:
        DataError: pictures or labels are unusable, a split is empty, or the loss is not finite.
        ConfigurationError: the network cannot be built, or the accelerator is not there.
    """
    L.seed_everything(run.seed, workers=True, verbose=False)
    if run.threads is not None:
        torch.set_num_threads(run.threads)
    network = network_from_spec(spec, pretrained=run.pretrained)
    recipe = TileRecipe(spec.format, spec.tile, spec.pad_value, len(spec.class_names))
    tiles = TrainingTiles(
        read_pictures(_teaching(dataset.split("train"), spec.kind), spec.format),
        _training_recipe(recipe, spec, run.crop),
        batch_size=run.batch,
        steps=run.steps_per_epoch,
        seed=run.seed,
        augmentation=augmentation,
    )
    validation = ValidationTiles(
        read_pictures(_teaching(dataset.split("val"), spec.kind), spec.format),
        recipe,
        batch_size=run.batch,
        max_tiles=run.validation_tiles,
    )
    task = TileTask(
        network, spec.kind, len(spec.class_names), Schedule(run.learning_rate, run.epochs * run.steps_per_epoch)
    )
    best = BestCheckpoint(run.out, spec)
    with warnings.catch_warnings():
        # Lightning asks a newer torch for a name that is on its way out there; nothing of ours.
        warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
        _trainer(run, spec.kind, best).fit(task, tiles, validation)
    return best


def _teaching(samples: tuple[Sample, ...], kind: Kind) -> tuple[Sample, ...]:
    """Leave out what teaches a segmenter nothing: defective pictures of which only the class is known."""
    return samples if kind == "classifier" else tuple(sample for sample in samples if sample.drawn)


def _training_recipe(recipe: TileRecipe, spec: CheckpointSpec, crop: int | None) -> TileRecipe:
    """Cut squares of *crop* px for training instead of whole tiles; a segmenter learns as much from them, faster."""
    if crop is None:
        return recipe
    if spec.depth is None or crop % (1 << spec.depth):
        raise ConfigurationError(f"--crop {crop}: expected a multiple of 2**depth = {1 << (spec.depth or 0)} px")
    return replace(recipe, tile=TileShape(core_height=crop, core_width=crop, halo=0))


def _trainer(run: Run, kind: Kind, best: BestCheckpoint) -> L.Trainer:
    # Lightning announces devices and advertises services at INFO; the progress bar says what matters.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        return L.Trainer(
            accelerator=run.accelerator,
            devices=1,
            precision=run.precision,
            max_epochs=run.epochs,
            max_time=timedelta(minutes=run.time_limit_min) if run.time_limit_min else None,
            callbacks=[best, progress_callback(run.progress)],
            logger=_csv_logger(run.out, kind),
            log_every_n_steps=min(10, run.steps_per_epoch),
            # CUDA has no deterministic kernel for two of the operators used.
            deterministic="warn" if run.accelerator in ("gpu", "cuda") else True,
            enable_checkpointing=False,
            enable_progress_bar=run.progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(f"--accelerator {run.accelerator}: {error}") from error


def _csv_logger(out: Path, kind: Kind) -> CSVLogger:
    """Log to <out>/<kind>/metrics.csv; an older log of that name is replaced."""
    try:
        for name in ("metrics.csv", "hparams.yaml"):
            (out / kind / name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"--out {out}: {error.strerror}; expected a folder, or a name for a new one"
        ) from error
    return CSVLogger(out, name="", version=kind, flush_logs_every_n_steps=10)
