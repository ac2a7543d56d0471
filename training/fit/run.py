"""What decides how a training goes, beside the data and the network; and what two trainings must agree in."""

from __future__ import annotations

import platform
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import lightning as L
import msgspec
import timm
import torch

from edge.errors import ConfigurationError
from training.data.presets import Augmentation
from training.fit.strategy import Phase, Strategy
from training.networks.checkpoint import CheckpointSpec, Kind

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
NO_MATTER = ("out", "resume", "memory_gb", "cache", "threads", "loaders", "accelerator", "progress", "tensorboard")
"""Fields of Run that a resumed training may change: the result is the same, or the last digits of it are."""


@dataclass(frozen=True)
class Run:
    """
    One training; see ``edge-train --help``.

    Attributes:
        strategy, phases: what learns when; the phases are strategy.phases() of it.
        loss: text of the sum of losses.
        weights: where pretrained weights come from; None = there are none.
        epochs: of all phases together; None where *time_budget_s* says how long.
        steps_per_epoch, batch: batches an epoch, tiles a batch and process.
        accumulate: batches a step of the optimiser.
        crop: side of the squares that are trained on [px]; None = whole tiles.
        patience: epochs without a gain after which a phase ends; None = never.
        memory_gb, cache: bound on decoded pictures in memory, or the folder to hold them as files.
        threads: of a process; None = PyTorch's choice.
        loaders: threads that draw batches.
        devices, nodes: processes on each machine, machines.
        resume: go on from the saved state, if there is one.
    """

    out: Path
    strategy: Strategy
    phases: tuple[Phase, ...]
    loss: str
    weights: str | None
    augmentation: Augmentation
    epochs: int | None
    time_budget_s: float | None
    steps_per_epoch: int
    batch: int
    accumulate: int
    crop: int | None
    patience: int | None
    validation_tiles: int
    seed: int
    precision: Precision
    memory_gb: float
    cache: Path | None
    threads: int | None
    loaders: int
    accelerator: str
    devices: int
    nodes: int
    progress: bool
    tensorboard: bool
    resume: bool


def state_path(run: Run, kind: Kind) -> Path:
    """Return the file that a training of this kind is resumed from."""
    return run.out / kind / "state.safetensors"


def versions() -> dict[str, str]:
    """Say which libraries the result depends on."""
    return {"torch": str(torch.__version__), "lightning": L.__version__, "timm": timm.__version__}


def made_with(run: Run) -> dict[str, str]:
    """Say what a checkpoint is made with: command, choices, seed, versions."""
    return {
        "command": shlex.join(["edge-train", *sys.argv[1:]]),
        "seed": str(run.seed),
        "strategy": run.strategy,
        "loss": run.loss,
        "augmentation": run.augmentation.model_dump_json(),
        "python": platform.python_version(),
        **versions(),
    }


def essence(run: Run, spec: CheckpointSpec) -> dict[str, str]:
    """Return all that a resumed training must be equal in, by name of the flag."""
    of_run = {key: value for key, value in asdict(run).items() if key not in NO_MATTER}
    of_spec = msgspec.to_builtins(spec)
    del of_spec["made_with"], of_spec["seen"], of_spec["weights_sha256"]
    return {key: str(value) for key, value in {**of_spec, **of_run, **versions()}.items()}


def require_same(saved: dict[str, str], ours: dict[str, str], state: Path) -> None:
    """
    Refuse to go on with a training that was begun otherwise.

    Raises:
        ConfigurationError: names what differs, with both values.
    """
    for key in sorted(saved.keys() | ours.keys()):
        if saved.get(key) != ours.get(key):
            raise ConfigurationError(
                f"--resume: {state} was begun with {key} = {saved.get(key)}, this is {ours.get(key)}; "
                "give what it was begun with, or begin again without --resume"
            )
