"""Recording both networks' answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.rules import Recipe, default_recipe
from engines.limits import defect_classes
from tests.support.bundles import write_squares
from training.calibration.recording import record
from training.calibration.replay import Replay, Shape
from training.data.datasets import read_dataset
from training.figures.engine import TrainedNetworks
from training.figures.evaluate import inspected


@pytest.fixture(scope="module")
def networks(tiny_bundle: Path) -> TrainedNetworks:
    return TrainedNetworks(
        tiny_bundle.parent / "checkpoints" / "classifier.json", tiny_bundle.parent / "checkpoints" / "segmenter.json"
    )


@pytest.mark.parametrize(("gate", "threshold"), [("0.5", "0.5"), ("0.01", "0.2"), ("0.9", "0.8")])
def test_recorded_answers_decide_as_the_networks_do(
    networks: TrainedNetworks, tmp_path: Path, gate: str, threshold: str
) -> None:
    """The same pictures, once through the networks and once replayed: the same outcome, scores and marked class."""
    samples = read_dataset(write_squares(tmp_path / "data", {"train": 3, "val": 3, "test": 9})).split("test")
    recipe: Recipe = default_recipe(defect_classes(networks.class_names, gate=[gate], threshold=[threshold]))
    recordings = list(record(samples, networks))
    replayed = Replay(recordings, Shape(networks.class_names, networks.spec.tile, networks.max_tiles)).parts(recipe)
    for part, recording, (sample, _, answer) in zip(
        replayed, recordings, inspected(samples, networks, recipe), strict=True
    ):
        assert (part.source, part.group, part.outcome) == (sample.source, sample.group, answer.outcome)
        assert np.allclose(recording.scores, answer.scores, atol=1e-6)
        assert part.found_id == (int(answer.labels.max()) if answer.labels.any() else 0)
    assert {part.outcome.value for part in replayed} == {"PASS", "REJECT"}


def test_tiles_without_a_trace_are_not_kept(networks: TrainedNetworks, tmp_path: Path) -> None:
    """A sound picture keeps its scores, and hardly any plane."""
    samples = read_dataset(write_squares(tmp_path / "data", {"train": 3, "val": 3, "test": 3})).split("test")
    sound, bright, _ = record(samples, networks)
    assert (sound.class_id, bright.class_id) == (0, 1)
    assert len(sound.scores) == 6
    assert len(sound.cores) < len(bright.cores) <= 6
    assert next(iter(bright.cores.values())).shape == (2, 64, 64)
