"""Two checkpoints over one split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.errors import DataError
from engines.limits import defect_classes
from tests.support.bundles import CLASS_NAMES, write_squares
from training.data.datasets import Dataset, read_dataset
from training.data.windows import OUTSIDE
from training.figures.engine import TrainedNetworks
from training.figures.evaluate import evaluate
from training.figures.report import Report, Terms


@pytest.fixture(scope="module")
def networks(tiny_bundle: Path) -> TrainedNetworks:
    folder = tiny_bundle.parent / "checkpoints"
    return TrainedNetworks(folder / "classifier.json", folder / "segmenter.json")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return read_dataset(write_squares(tmp_path_factory.mktemp("data") / "squares", {"train": 3, "val": 3, "test": 12}))


def judged(dataset: Dataset, networks: TrainedNetworks, *, whole: bool = False, **flags: list[str]) -> Report:
    classes = defect_classes(CLASS_NAMES, **flags)
    return evaluate(dataset, "test", networks, classes, Terms(), whole=whole)


def test_squares_are_found(dataset: Dataset, networks: TrainedNetworks) -> None:
    """Every square is rejected and covered, every sound picture passes; every figure has its denominators."""
    report = judged(dataset, networks, whole=True)
    assert (report.images, report.groups, report.unknown) == (12, 12, 0)
    assert (report.decisions.escapes.hits, report.decisions.escapes.images) == (0, 8)
    assert (report.decisions.overkill.hits, report.decisions.overkill.images) == (0, 4)
    assert report.masks.mean_dice.value is not None
    assert report.masks.mean_dice.value > 0.85
    assert report.overlap_area is not None
    assert report.overlap_area.value is not None
    assert report.overlap_area.value > 0.9
    assert report.tiles is not None
    assert report.tiles.any_recall.value == 1.0
    assert 0.0 < (report.segmented_share or 0.0) < 0.5
    assert [part.source for part in report.parts] == [f"test{index}.png" for index in range(12)]


def test_the_rules_make_the_decision(dataset: Dataset, networks: TrainedNetworks) -> None:
    """With a smallest area that no square has everything passes, though all of them are marked."""
    report = judged(dataset, networks, min_area_px=["5000"])
    assert (report.decisions.escapes.hits, report.decisions.escapes.images) == (8, 8)
    assert report.masks.mean_dice.value is not None
    assert report.masks.mean_dice.value > 0.85
    assert sum(size.missed_parts.hits for size in report.regions.by_size) == 8
    assert sum(size.missed_regions.hits for size in report.regions.by_size) == 0


class Undrawn:
    """Labels of a picture of which only the class is known."""

    def read(self, height: int, width: int) -> np.ndarray:
        return np.full((height, width), OUTSIDE, np.uint8)


def test_a_picture_with_a_class_only_is_judged_by_its_decision(dataset: Dataset, networks: TrainedNetworks) -> None:
    """It counts as a bad part of its class, and in no figure of masks, regions or tiles."""
    samples = tuple(
        replace(s, labels=Undrawn(), drawn=False) if s.class_ids == (1,) and s.split == "test" else s
        for s in dataset.samples
    )
    report = judged(replace(dataset, samples=samples), networks)
    assert report.decisions.escapes_by_class["bright"].images == 4
    assert report.ranking.bad == 8
    assert [c.dice.images for c in report.masks.classes] == [0, 4]
    assert report.tiles is not None
    assert report.tiles.recall["bright"].images == 0


def test_other_classes_are_refused(dataset: Dataset, networks: TrainedNetworks) -> None:
    """Labels that mean something else give no figure."""
    with pytest.raises(DataError, match="has the classes"):
        judged(replace(dataset, class_names=("dark", "bright")), networks)
