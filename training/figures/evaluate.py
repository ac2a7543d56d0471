"""How good two checkpoints are on one split: exactly what the line would do with them, and nothing besides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edge.errors import DataError
from edge.records import Outcome
from edge.rules import Recipe, default_recipe
from edge.tiles import paste_cores
from engines.contract import DefectClass
from training.data.datasets import Dataset, Sample
from training.data.splits import Split
from training.data.windows import Picture, grid_windows, targets_from_labels
from training.figures.engine import Answer, TorchLine, TrainedNetworks, canvas_of, tiles_of
from training.figures.intervals import Estimate
from training.figures.regions import OverlapCurve
from training.figures.report import Found, Report, Tally, Terms
from training.figures.tiles import TileFigures, tile_figures


def evaluate(
    dataset: Dataset,
    split: Split,
    networks: TrainedNetworks,
    classes: Sequence[DefectClass],
    terms: Terms,
    *,
    whole: bool = False,
) -> Report:
    """
    Run the line's cascade over a split and compare.

    Args:
        dataset: labelled pictures.
        split: which of them.
        networks: both of them.
        classes: gates, thresholds and rules; their defaults decide.
        terms: of the figures.
        whole: segment every tile of every picture besides, for the overlap over all thresholds.

    Raises:
        DataError: the split is empty, a picture is unusable, or the classes are not those of the checkpoints.
        InferenceFailed: a network answers with what is not finite.
    """
    require_same_classes(dataset, networks)
    tally, tiles, recipe = Tally(dataset, split), _Tiles(networks), default_recipe(classes)
    for sample, picture, answer in inspected(dataset.split(split), networks, recipe):
        tally.add(sample, picture, found_by(answer))
        tiles.add(sample, picture, answer)
    return tally.report(
        "PyTorch",
        terms,
        classes=tuple(classes),
        tiles=tiles.figures(recipe, terms),
        segmented_share=tiles.segmented / tiles.count,
        overlap_area=overlap_area(dataset, split, networks, terms) if whole else None,
    )


def inspected(
    samples: Sequence[Sample], networks: TrainedNetworks, recipe: Recipe
) -> Iterator[tuple[Sample, Picture, Answer]]:
    """Yield what the line says of each picture under *recipe*."""
    line = TorchLine(networks)
    for sample in samples:
        picture = sample.picture(networks.spec.format)
        yield sample, picture, line.inspect(picture.image, recipe)


def found_by(answer: Answer) -> Found:
    """Return what a report needs of an answer."""
    score = 0.0 if answer.outcome is Outcome.UNKNOWN else float(answer.scores.max())
    return Found(answer.outcome, score, answer.labels)


def overlap_area(dataset: Dataset, split: Split, networks: TrainedNetworks, terms: Terms) -> Estimate:
    """Segment every tile of every drawn picture; return the per-region overlap integrated over the thresholds."""
    curve = OverlapCurve()
    for sample in dataset.split(split):
        picture = sample.picture(networks.spec.format)
        if not picture.drawn:
            continue
        planes = np.zeros((len(networks.class_names), *picture.labels.shape), np.float32)
        grid = canvas_of(picture.image, networks.spec).grid
        for indices, pixels in tiles_of(picture.image, networks.spec):
            cores, _ = networks.planes(pixels)
            for k, plane in enumerate(planes):
                paste_cores(grid, indices, cores[:, k], picture.labels.shape[:2], plane)
        curve.add(picture.labels, planes.astype(np.float16), sample.group)
    return curve.area(terms.confidence)


def require_same_classes(dataset: Dataset, networks: TrainedNetworks) -> None:
    """
    Refuse pictures with other classes than the networks know.

    Raises:
        DataError: says both.
    """
    if networks.class_names != dataset.class_names:
        raise DataError(f"{dataset.name} has the classes {dataset.class_names}, the checkpoints {networks.class_names}")


class _Tiles:
    """Adds up tiles; those of pictures that are not drawn only count as segmented or not."""

    def __init__(self, networks: TrainedNetworks) -> None:
        self._networks = networks
        self._scores: list[np.ndarray] = []
        self._targets: list[np.ndarray] = []
        self._groups: list[str] = []
        self.segmented = 0
        self.count = 0

    def add(self, sample: Sample, picture: Picture, answer: Answer) -> None:
        spec = self._networks.spec
        self.segmented += answer.segmented
        self.count += len(answer.scores)
        if picture.drawn:
            windows = grid_windows(picture, spec.tile, spec.pad_value)
            self._targets += [targets_from_labels(w.labels, spec.tile, len(spec.class_names)) for w in windows]
            self._scores.append(answer.scores)
            self._groups += [sample.group] * len(answer.scores)

    def figures(self, recipe: Recipe, terms: Terms) -> TileFigures | None:
        if not self._targets:
            return None
        return tile_figures(
            self._networks.class_names,
            np.stack(self._targets),
            np.concatenate(self._scores),
            recipe.gates,
            self._groups,
            terms.confidence,
        )
