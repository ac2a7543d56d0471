"""The training loop when something breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import DataError
from engines.contract import TileShape
from tests.support.labelled import write_folder
from training.data.datasets import read_dataset
from training.data.presets import Augmentation
from training.fit.train import Run, train
from training.networks.checkpoint import CheckpointSpec, network_from_spec, save


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    """Training ends with the step and the flag to lower, and the checkpoint of before is untouched."""
    dataset = read_dataset(write_folder(tmp_path / "data"))
    spec = CheckpointSpec(
        kind="segmenter",
        format="mono8",
        tile=TileShape(core_height=64, core_width=64, halo=0),
        pad_value=0,
        class_names=dataset.class_names,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        made_with={},
        width=2,
        depth=2,
    )
    run = Run(
        out=tmp_path / "out",
        epochs=1,
        steps_per_epoch=9,
        batch=2,
        crop=None,
        learning_rate=1e30,
        seed=7,
        precision="32-true",
        threads=1,
        accelerator="cpu",
        validation_tiles=8,
        pretrained=False,
        time_limit_min=None,
        progress=False,
    )
    good = save(run.out, network_from_spec(spec), spec)
    before = good.read_bytes()
    with pytest.raises(
        DataError, match=r"loss of the segmenter is nan at epoch 0, step [1-9]; .*--learning-rate \(1e\+30\)"
    ):
        train(dataset, spec, run, Augmentation())
    assert good.read_bytes() == before
