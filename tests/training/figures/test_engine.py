"""PyTorch's answers through the line's cascade."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge.errors import BundleError, ConfigurationError, InferenceFailed
from edge.records import Outcome
from edge.rules import Recipe, default_recipe
from engines.contract import CONFIDENCE, HEALTH, LABELS, SCORES, THRESHOLDS, TILES
from engines.graphs import ClassifierGraph, SegmenterGraph
from engines.limits import defect_classes
from tests.support.bundles import CLASS_NAMES, picture
from training.figures.engine import ClassifierEngine, SegmenterEngine, TorchLine, TrainedNetworks, checkpoints_of
from training.networks.checkpoint import load


@pytest.fixture(scope="module")
def folder(tiny_bundle: Path) -> Path:
    """Return the folder of two trained checkpoints."""
    return tiny_bundle.parent / "checkpoints"


@pytest.fixture
def networks(folder: Path) -> TrainedNetworks:
    return TrainedNetworks(folder / "classifier.json", folder / "segmenter.json")


def recipe(**flags: list[str]) -> Recipe:
    return default_recipe(defect_classes(CLASS_NAMES, **flags))


def test_the_engines_answer_as_what_is_exported(networks: TrainedNetworks, folder: Path) -> None:
    """Scores, labels, confidence and health are those of the graphs that export writes, thresholds included."""
    rng = np.random.default_rng(4)
    tiles = np.stack([picture(seed, 1, height=96, width=96)[..., np.newaxis] for seed in range(3)])
    tiles[2] = rng.integers(0, 256, tiles[2].shape)
    classifier, segmenter = ClassifierEngine(networks), SegmenterEngine(networks)
    classifier.inputs[TILES][:3] = segmenter.inputs[TILES][:3] = tiles
    segmenter.inputs[THRESHOLDS][:] = (0.3, 0.8)
    exported = (
        ClassifierGraph(load(folder / "classifier.json")[1]),
        SegmenterGraph(  # type: ignore[arg-type]
            load(folder / "segmenter.json")[1], networks.spec.tile
        ),
    )
    with torch.inference_mode():
        scores = exported[0](torch.from_numpy(tiles)).numpy()
        labels, confidence, health = (
            out.numpy() for out in exported[1](torch.from_numpy(tiles), torch.tensor([0.3, 0.8]))
        )
    answers = segmenter.run(3)
    assert np.allclose(classifier.run(3)[SCORES], scores, atol=1e-6)
    assert np.array_equal(answers[LABELS], labels)
    assert labels.any()
    assert np.abs(answers[CONFIDENCE].astype(int) - confidence.astype(int)).max() <= 1
    assert np.allclose(answers[HEALTH], health, rtol=1e-3)


class OneSuspect(TrainedNetworks):
    """Finds a defect in the first tile of a picture alone, whatever the others hold."""

    def scores(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        scores = np.zeros((len(tiles), len(self.class_names)), np.float32)
        scores[0, 0] = 1.0
        return scores


def test_a_defect_over_a_border_is_found_whole(folder: Path, networks: TrainedNetworks) -> None:
    """A square over four tiles is marked in all of them, though only one tile's gate is open."""
    image = np.full((128, 128, 1), 128, np.uint8)
    image[54:74, 54:74] = 220
    one = OneSuspect(folder / "classifier.json", folder / "segmenter.json")
    alone, all_four = (TorchLine(each).inspect(image, recipe()) for each in (one, networks))
    assert (alone.scores.max(axis=1) > 0).sum() == 1
    assert alone.segmented == 4
    assert np.array_equal(alone.labels, all_four.labels)
    assert alone.outcome is Outcome.REJECT
    assert alone.findings.defects[0].area_px > 300


def test_rules_decide(networks: TrainedNetworks) -> None:
    """The same marks are a REJECT or a PASS, as the smallest area says."""
    image = picture(7, 1)[..., np.newaxis]
    line = TorchLine(networks)
    assert line.inspect(image, recipe()).outcome is Outcome.REJECT
    passed = line.inspect(image, recipe(min_area_px=["5000"]))
    assert passed.outcome is Outcome.PASS
    assert passed.labels.any()


def test_a_defect_that_runs_too_far_is_unknown(folder: Path) -> None:
    """With fewer tiles to follow into than the defect covers, there is no answer."""
    networks = OneSuspect(folder / "classifier.json", folder / "segmenter.json", max_tiles=1)
    image = np.full((128, 192, 1), 128, np.uint8)
    image[54:74, 10:180] = 220
    answer = TorchLine(networks).inspect(image, recipe(min_area_px=["100000"]))
    assert (answer.outcome, answer.segmented, answer.labels.any()) == (Outcome.UNKNOWN, 0, False)
    assert answer.scores.shape == (6, 2)


def test_answers_that_are_not_finite_are_refused(networks: TrainedNetworks) -> None:
    """A broken weight ends the evaluation: no figure is made of it."""
    with torch.no_grad():
        next(networks._classifier.parameters()).fill_(float("nan"))
    with pytest.raises(InferenceFailed, match="not finite"):
        TorchLine(networks).inspect(picture(1, 1)[..., np.newaxis], recipe())


def test_swapped_checkpoints_are_refused(folder: Path) -> None:
    """A segmenter given as classifier is told."""
    with pytest.raises(BundleError, match="holds a segmenter, expected a classifier"):
        TrainedNetworks(folder / "segmenter.json", folder / "classifier.json")


def test_a_run_is_short_for_both_checkpoints() -> None:
    """A file beside the folder wins; with neither there are no networks."""
    run = Path("runs/one")
    assert checkpoints_of(run, None, None) == (run / "classifier.safetensors", run / "segmenter.safetensors")
    assert checkpoints_of(run, Path("other"), None)[0] == Path("other")
    with pytest.raises(ConfigurationError, match="--run FOLDER"):
        checkpoints_of(None, Path("other"), None)
