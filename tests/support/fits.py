"""Trainings of a few seconds, on the pictures of tests.support.labelled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from engines.contract import TileShape
from training.data.datasets import Dataset
from training.data.presets import Augmentation
from training.fit.run import Run
from training.fit.strategy import Strategy, phases
from training.networks.checkpoint import CheckpointSpec, Kind


def spec_of(dataset: Dataset, kind: Kind = "segmenter") -> CheckpointSpec:
    """Describe a network of some thousand weights."""
    return CheckpointSpec(
        kind=kind,
        format="mono8",
        tile=TileShape(core_height=64, core_width=64, halo=0),
        pad_value=0,
        class_names=dataset.class_names,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        made_with={},
        seen=("f" * 16,),
        backbone="test_resnet",
        reduce=2,
        width=2,
        depth=2,
    )


def run_of(out: Path, strategy: Strategy = "scratch", **changes: Any) -> Run:
    """Describe a training of two steps; *changes* are fields of Run, or learning_rate."""
    run = Run(
        out=out,
        strategy=strategy,
        phases=phases(strategy, learning_rate=changes.pop("learning_rate", 2e-3)),
        loss="ce + dice",
        weights=None,
        augmentation=Augmentation(),
        epochs=1,
        time_budget_s=None,
        steps_per_epoch=2,
        batch=2,
        accumulate=1,
        crop=None,
        patience=None,
        validation_tiles=8,
        seed=7,
        precision="32-true",
        memory_gb=1.0,
        cache=None,
        threads=1,
        loaders=1,
        accelerator="cpu",
        devices=1,
        nodes=1,
        progress=False,
        tensorboard=False,
        resume=False,
    )
    return replace(run, **changes)
