"""How good the line was: what a subscriber of the daemon received, judged by the same code as PyTorch's answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError
from edge.records import Outcome
from engines.contract import PixelFormat
from training.data.datasets import Dataset, Sample
from training.data.images import read_mask
from training.data.splits import Split
from training.figures.report import Found, Report, Tally, Terms


class _View(msgspec.Struct, frozen=True):
    source: str
    outcome: Outcome
    scores: dict[str, float] = {}


class _Verdict(msgspec.Struct, frozen=True):
    """The few fields of a verdict that are read here (docs/protocol.md has all)."""

    views: tuple[_View, ...]


def score(
    dataset: Dataset, split: Split, verdicts: Path, masks: Path, pixel_format: PixelFormat, terms: Terms
) -> Report:
    """
    Compare what a subscriber received.

    Args:
        dataset: whose pictures were replayed, each once.
        split: which of them count.
        verdicts: a JSON object a line: the verdict with ``views[0].source`` = picture file name.
        masks: folder with <picture stem>.png, pixel value = class id; a view that is PASS needs none.
        pixel_format: how the line read the pictures.
        terms: of the figures.

    Raises:
        DataError: a picture has no verdict or no mask, a mask has another size, or a line is no verdict.
    """
    views = _views(verdicts)
    samples = dataset.split(split)
    _require_all(verdicts, views, samples)
    tally = Tally(dataset, split)
    for sample in samples:
        picture, view = sample.picture(pixel_format), views[sample.source]
        labels = _received_mask(masks, view, picture.labels.shape, len(dataset.class_names))
        tally.add(sample, picture, Found(view.outcome, max(view.scores.values(), default=0.0), labels))
    return tally.report(f"a subscriber: {verdicts.name}, {masks.name}/", terms)


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
            raise DataError(f"{verdicts}:{number}: a second verdict for {view.source}; replay each picture once")
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
    if view.outcome is Outcome.UNKNOWN or (view.outcome is Outcome.PASS and not path.is_file()):
        return np.zeros(shape, np.uint8)
    mask = read_mask(path)
    if mask.shape != shape:
        raise DataError(f"mask {path} is {mask.shape} px, its image {shape} (height, width)")
    if mask.max() > class_count:
        raise DataError(f"mask {path}: value {mask.max()}: expected class ids 0 to {class_count}")
    return mask
