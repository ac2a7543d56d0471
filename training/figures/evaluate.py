"""
How good the networks are on one split: as PyTorch computes it, or as a subscriber of the daemon received it.

Both ways end in the same Report from the same metrics, so that the figures can be laid side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edge.errors import DataError
from engines.contract import PixelFormat
from training.data.datasets import Dataset, Sample
from training.data.images import read_mask
from training.data.splits import Split
from training.data.windows import Picture, grid_windows, targets_from_labels
from training.figures.metrics import MaskCounts, MaskFigures, TileFigures, ranking, tile_figures
from training.figures.predict import Cascade


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one split; definitions in training.figures.metrics."""

    dataset: str
    dataset_sha256: str
    split: str
    made_by: str
    images: int
    unknown: int
    """Images without an answer: their verdict was UNKNOWN. They stand in no other figure."""
    auroc: float | None
    average_precision: float | None
    masks: MaskFigures
    tiles: TileFigures | None = None
    """None where only whole images were seen."""
    segmented_share: float | None = None
    """Share of the tiles that went on to the segmenter."""


class _View(msgspec.Struct, frozen=True):
    source: str
    outcome: str
    scores: dict[str, float] = {}


class _Verdict(msgspec.Struct, frozen=True):
    """The few fields of a verdict that are read here (docs/protocol.md has all)."""

    views: tuple[_View, ...]


def evaluate(dataset: Dataset, split: Split, cascade: Cascade, gate: float, threshold: float) -> Report:
    """
    Run the cascade in PyTorch over a split and compare.

    Raises:
        DataError: the split is empty, a picture is unusable, or the classes are not those of the checkpoints.
    """
    names, tile, pad_value = cascade.spec.class_names, cascade.spec.tile, cascade.spec.pad_value
    if names != dataset.class_names:
        raise DataError(f"{dataset.name} has the classes {dataset.class_names}, the checkpoints {names}")
    counts, best, defective, segmented = MaskCounts(names), [], [], 0
    scores: list[NDArray[np.float32]] = []
    targets: list[NDArray[np.float32]] = []
    samples = dataset.split(split)
    for sample in samples:
        picture = Picture(*sample.read(cascade.spec.format))
        answer = cascade.answer(picture.image, gate, threshold)
        counts.add(picture.labels, answer.labels)
        best.append(float(answer.scores.max()))
        defective.append(bool(picture.labels.any()))
        scores.append(answer.scores)
        targets += [targets_from_labels(w.labels, tile, len(names)) for w in grid_windows(picture, tile, pad_value)]
        segmented += answer.segmented
    auroc, average_precision = ranking(best, defective)
    return Report(
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        split=split,
        made_by=f"PyTorch, gate {gate:g}, threshold {threshold:g}",
        images=len(samples),
        unknown=0,
        auroc=auroc,
        average_precision=average_precision,
        masks=counts.figures(),
        tiles=tile_figures(names, np.stack(targets), np.concatenate(scores), gate),
        segmented_share=segmented / len(targets),
    )


def score(dataset: Dataset, split: Split, verdicts: Path, masks: Path, pixel_format: PixelFormat) -> Report:
    """
    Compare what a subscriber received.

    Args:
        dataset: whose images were replayed, each once.
        split: which of them count.
        verdicts: a JSON object a line: the verdict with ``views[0].source`` = image file name.
        masks: folder with <image stem>.png, pixel value = class id; a view that is PASS needs none.
        pixel_format: how the line read the images.

    Raises:
        DataError: an image has no verdict or no mask, a mask has another size, or a line is no verdict.
    """
    views = _views(verdicts)
    counts, best, defective, unknown = MaskCounts(dataset.class_names), [], [], 0
    samples = dataset.split(split)
    _require_all(verdicts, views, samples)
    for sample in samples:
        view = views[sample.source]
        if view.outcome == "UNKNOWN":
            unknown += 1
            continue
        _, labels = sample.read(pixel_format)
        counts.add(labels, _received_mask(masks, view, labels.shape, len(dataset.class_names)))
        best.append(max(view.scores.values(), default=0.0))
        defective.append(bool(labels.any()))
    auroc, average_precision = ranking(best, defective)
    return Report(
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        split=split,
        made_by=f"a subscriber: {verdicts.name}, {masks.name}/",
        images=len(samples),
        unknown=unknown,
        auroc=auroc,
        average_precision=average_precision,
        masks=counts.figures(),
    )


def show(report: Report, console: Console) -> None:
    """Print a report as tables."""
    recall = report.tiles.recall if report.tiles else {}
    table = Table(title=f"{report.dataset}, split {report.split}: {report.made_by}")
    for column in ("class", "images", "Dice", "pooled Dice", *(["tile recall"] if report.tiles else [])):
        table.add_column(column, justify="left" if column == "class" else "right")
    for figures in report.masks.classes:
        cells = [figures.name, str(figures.images), _number(figures.dice), _number(figures.pooled_dice)]
        table.add_row(*cells, *([_number(recall[figures.name])] if report.tiles else []))
    console.print(table)
    lines = [
        f"images {report.images}, of these without an answer {report.unknown}, sound {report.masks.sound_images}",
        f"mean Dice {_number(report.masks.mean_dice)}, image AUROC {_number(report.auroc)}, "
        f"average precision {_number(report.average_precision)}",
        f"on sound images: {_percent(report.masks.false_area)} of the area marked, "
        f"{_percent(report.masks.sound_images_marked)} of the images marked at all",
    ]
    if report.tiles:
        lines.append(
            f"tiles: {_percent(report.tiles.any_recall)} of the defective ones go on, "
            f"{_percent(report.tiles.false_share)} of the sound ones, {_percent(report.segmented_share)} of all"
        )
    for line in lines:
        console.print(line, highlight=False)


def _views(verdicts: Path) -> dict[str, _View]:
    try:
        lines = verdicts.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{verdicts}: cannot be read: {error.strerror}") from error
    views: dict[str, _View] = {}
    for number, line in enumerate(lines, start=1):
        try:
            view = msgspec.json.decode(line, type=_Verdict).views[0]
        except (msgspec.DecodeError, IndexError) as error:
            raise DataError(f"{verdicts}:{number}: not a verdict with a view: {error}") from error
        if view.source in views:
            raise DataError(f"{verdicts}:{number}: a second verdict for {view.source}; replay each image once")
        views[view.source] = view
    return views


def _require_all(verdicts: Path, views: dict[str, _View], samples: Sequence[Sample]) -> None:
    missing = [sample.source for sample in samples if sample.source not in views]
    if missing:
        raise DataError(
            f"{verdicts}: no verdict for {missing[0]} ({len(missing)} of {len(samples)} images); replay the whole split"
        )


def _received_mask(masks: Path, view: _View, shape: tuple[int, ...], class_count: int) -> NDArray[np.uint8]:
    path = masks / f"{Path(view.source).stem}.png"
    if view.outcome == "PASS" and not path.is_file():
        return np.zeros(shape, np.uint8)
    mask = read_mask(path)
    if mask.shape != shape:
        raise DataError(f"mask {path} is {mask.shape} px, its image {shape} (height, width)")
    if mask.max() > class_count:
        raise DataError(f"mask {path}: value {mask.max()}: expected class ids 0 to {class_count}")
    return mask


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100.0 * value:.2f} %"
