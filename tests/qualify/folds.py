"""
Our segmenter against the usual one, on magnetic_tile, five folds by group: Dice by class, ranking, macro-F1.

Every picture is judged once, by the network that has not seen its group. Both sides get the same folds, crops, batches,
augmentation, loss, optimiser, learning rate and epochs, and random weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from tests.qualify.fits import Fit, figures_of
from tests.qualify.report import table
from tests.qualify.segmenting import DATA, FOLDS, MODELS, OURS, VARIANT, Judged
from training.data.datasets import read_dataset
from training.figures.intervals import CONFIDENCE, Estimate, bootstrap, mean
from training.figures.ranking import ranking_figures

TITLE = "our segmenter against segmentation_models_pytorch, magnetic_tile, grouped 5-fold"

FOLDER = "magnetic_tile"
_EPOCHS, _STEPS, _BATCH = 8, 100, 8
_SIDE_PX, _CROP_PX = 192, 128

Judgements = dict[str, list[Judged]]
"""What each model says of every picture, in one order."""


def run(out: Path, scale: float) -> dict[str, Any]:
    """Train every model on every fold, fold by fold, and compare."""
    arguments = {"folder": FOLDER, "side": _SIDE_PX, "crop": _CROP_PX, "epochs": _EPOCHS, "batch": _BATCH}
    fits = [
        Fit(
            f"fold {number}, {model}",
            "tests.qualify.segmenting",
            {**arguments, "model": model, "number": number, "steps": max(1, round(_STEPS * scale))},
        )
        # Fold by fold; the variant of ours last, so that a run that is cut short has the comparison itself.
        for number, model in sorted(product(range(FOLDS), MODELS), key=lambda way: way[1] == VARIANT)
    ]
    figures = figures_of(fits, out / "folds")
    judged = {model: _judged([figures[f"fold {number}, {model}"] for number in range(FOLDS)]) for model in MODELS}
    names = read_dataset(DATA / FOLDER).class_names
    _show_dice(judged, names)
    _show_pictures(judged, len(names))
    _show_differences(judged, names)
    table(
        "What it cost, one thread, two fits side by side: figures of the section cost are the ones to compare",
        ("network", "s an epoch", "peak MB"),
        [(m, *(np.median([f[key] for f in _of(figures, m)]) for key in ("epoch_s", "peak_mb"))) for m in MODELS],
    )
    return {model: msgspec.to_builtins(said, str_keys=True) for model, said in judged.items()}


def _of(figures: dict[str, dict[str, Any]], model: str) -> list[dict[str, Any]]:
    return [figures[f"fold {number}, {model}"] for number in range(FOLDS)]


def _judged(fits: Sequence[dict[str, Any]]) -> list[Judged]:
    every = [msgspec.convert(judged, Judged, str_keys=True) for fit in fits for judged in fit["judged"]]
    return sorted(every, key=lambda judged: judged.source)


def _show_dice(judged: Judgements, names: Sequence[str]) -> None:
    rows = []
    for model, said in judged.items():
        by_class = [_text(_dice(said, k + 1)) for k in range(len(names))]
        rows.append((model, *by_class, _text(_mean_dice(said, len(names)))))
    table(
        "Dice on the pictures that have the class (95 % interval by group), and the mean over the classes",
        ("network", *names, "mean"),
        rows,
    )


def _show_pictures(judged: Judgements, class_count: int) -> None:
    rows = []
    for model, said in judged.items():
        groups = [one.group for one in said]
        ranked = ranking_figures([one.score for one in said], [one.class_id > 0 for one in said], groups, CONFIDENCE)
        f1 = bootstrap(lambda at, said=said: _macro_f1([said[i] for i in at], class_count), groups)  # type: ignore[misc]
        sound = [one for one in said if one.false_share is not None]
        false_area = mean([100.0 * (one.false_share or 0.0) for one in sound], [one.group for one in sound])
        rows.append((model, *map(_text, (ranked.auroc, ranked.average_precision, f1, false_area))))
    table(
        "Whole pictures: defect against sound by the highest smoothed probability; class by the largest area",
        ("network", "AUROC", "average precision", "macro-F1", "false area on sound pictures [%]"),
        rows,
    )


def _show_differences(judged: Judgements, names: Sequence[str]) -> None:
    rows = []
    for model, said in judged.items():
        if model == OURS:
            continue
        by_class = [_text(_dice_difference(judged[OURS], said, k + 1), signed=True) for k in range(len(names))]
        rows.append(
            (f"ours - {model}", *by_class, _text(_mean_difference(judged[OURS], said, len(names)), signed=True))
        )
    table("Paired differences of Dice, picture by picture (95 % interval by group)", ("", *names, "mean"), rows)


def _dice(said: Sequence[Judged], class_id: int) -> Estimate:
    having = [one for one in said if class_id in one.dice]
    return mean([one.dice[class_id] for one in having], [one.group for one in having])


def _dice_difference(ours: Sequence[Judged], theirs: Sequence[Judged], class_id: int) -> Estimate:
    pairs = [(one, other) for one, other in zip(ours, theirs, strict=True) if class_id in one.dice]
    return mean([one.dice[class_id] - other.dice[class_id] for one, other in pairs], [one.group for one, _ in pairs])


def _mean_dice(said: Sequence[Judged], class_count: int) -> Estimate:
    return bootstrap(lambda at: _mean_over_classes([said[i].dice for i in at], class_count), [o.group for o in said])


def _mean_difference(ours: Sequence[Judged], theirs: Sequence[Judged], class_count: int) -> Estimate:
    differences = [{k: one.dice[k] - other.dice[k] for k in one.dice} for one, other in zip(ours, theirs, strict=True)]
    return bootstrap(
        lambda at: _mean_over_classes([differences[i] for i in at], class_count), [one.group for one in ours]
    )


def _mean_over_classes(values: Sequence[dict[int, float]], class_count: int) -> float | None:
    """Return the mean over the classes that occur of the mean over the pictures that have the class."""
    by_class = [[of[k] for of in values if k in of] for k in range(1, class_count + 1)]
    means = [float(np.mean(of)) for of in by_class if of]
    return float(np.mean(means)) if means else None


def _macro_f1(said: Sequence[Judged], class_count: int) -> float:
    from torchmetrics.functional.classification import multiclass_f1_score  # after ``training``: see tests.peers.unet

    found, truth = (torch.tensor([getattr(one, name) for one in said]) for name in ("found_id", "class_id"))
    return float(multiclass_f1_score(found, truth, num_classes=class_count + 1, average="macro"))


def _text(of: Estimate, *, signed: bool = False) -> str:
    if of.value is None:
        return "-"
    form = "+.2f" if signed else ".2f"
    if of.interval is None:
        return f"{of.value:{form}} ({of.groups} groups)"
    return f"{of.value:{form}} ({of.interval.low:{form}} to {of.interval.high:{form}})"
