"""
Our segmenter against the usual one, on magnetic_tile, five folds by group: Dice by class, ranking, macro-F1.

Every picture is judged once, by the network that has not seen its group. Both sides get the same folds, crops, batches,
augmentation, loss, optimiser, learning rate and epochs, and random weights. The score of a picture is that of one
network, so that rankings are made within each fold and averaged; Dice is of a picture and needs none of that.
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
from tests.qualify.plots import compared
from tests.qualify.report import CONSOLE, table
from tests.qualify.segmenting import DATA, EPOCH_STEPS, FOLDS, MODELS, OURS, VARIANT, Judged
from tests.qualify.transfer import Scored, auroc, over_rounds
from training.data.datasets import read_dataset
from training.figures.intervals import Estimate, bootstrap, mean

TITLE = "our segmenter against segmentation_models_pytorch, magnetic_tile, grouped 5-fold"

FOLDER = "magnetic_tile"
_EPOCHS, _BATCH = 8, 8
_SIDE_PX, _CROP_PX = 192, 128

Judgements = dict[str, list[Judged]]
"""What each model says of every picture, in one order."""


def run(out: Path, scale: float) -> dict[str, Any]:
    """
    Train every model on every fold, fold by fold, and compare; the variant of ours on a bigger machine only.

    What a training costs is no figure of this section: two run side by side, and whatever else the machine has to do.
    """
    models = [model for model in MODELS if model != VARIANT or scale > 1]
    arguments = {"folder": FOLDER, "side": _SIDE_PX, "crop": _CROP_PX, "epochs": _EPOCHS, "batch": _BATCH}
    fits = [
        Fit(
            f"fold {number}, {model}",
            "tests.qualify.segmenting",
            {**arguments, "model": model, "number": number, "steps": max(1, round(EPOCH_STEPS * scale))},
        )
        for number, model in product(range(FOLDS), models)
    ]
    figures = figures_of(fits, out / "folds")
    judged = {model: _judged(_of(figures, model)) for model in models}
    names = read_dataset(DATA / FOLDER).class_names
    _show_dice(judged, names, out / "folds" / "folds.png")
    _show_pictures(judged, {model: ranked(_of(figures, model)) for model in models}, len(names))
    _show_differences(judged, names)
    return {model: msgspec.to_builtins(said, str_keys=True) for model, said in judged.items()}


def _of(figures: dict[str, dict[str, Any]], model: str) -> list[dict[str, Any]]:
    return [figures[f"fold {number}, {model}"] for number in range(FOLDS)]


def _judged(fits: Sequence[dict[str, Any]]) -> list[Judged]:
    every = [msgspec.convert(judged, Judged, str_keys=True) for fit in fits for judged in fit["judged"]]
    return sorted(every, key=lambda judged: judged.source)


def ranked(fits: Sequence[dict[str, Any]]) -> tuple[Estimate, Estimate]:
    """Return AUROC and average precision of the fits of a model, one a fold: means over the folds."""
    scored = [
        (number, Scored(one.source, one.group, one.class_id > 0, one.score))
        for number, fit in enumerate(fits)
        for one in _judged([fit])
    ]
    return over_rounds(auroc, scored), over_rounds(_average_precision, scored)


def _average_precision(truth: torch.Tensor, scores: torch.Tensor) -> float:
    from torchmetrics.functional.classification import binary_average_precision  # see tests.peers.unet

    return float(binary_average_precision(scores, truth, validate_args=False))


def _show_dice(judged: Judgements, names: Sequence[str], picture: Path) -> None:
    found = {
        model: [*(_dice(said, k + 1) for k in range(len(names))), _mean_dice(said, len(names))]
        for model, said in judged.items()
    }
    table(
        f"Dice on the pictures that have the class (95 % interval by group), and the mean over the classes; one seed a "
        f"fold; {_EPOCHS} epochs for all, not one time for all (section cost)",
        ("network", *names, "mean"),
        [(model, *map(_text, estimates)) for model, estimates in found.items()],
    )
    compared(picture, found, [*names, "mean"], x="class", y="Dice on pictures that have the class")
    CONSOLE.print(f"\npicture: {picture}", markup=False)


def _show_pictures(judged: Judgements, rankings: dict[str, tuple[Estimate, Estimate]], class_count: int) -> None:
    rows = []
    for model, said in judged.items():
        groups = [one.group for one in said]
        f1 = bootstrap(lambda at, said=said: _macro_f1([said[i] for i in at], class_count), groups)  # type: ignore[misc]
        sound = [one for one in said if one.false_share is not None]
        false_area = mean([100.0 * (one.false_share or 0.0) for one in sound], [one.group for one in sound])
        rows.append((model, *map(_text, (*rankings[model], f1, false_area))))
    table(
        "Whole pictures, the segmenter alone: defect against sound by the highest smoothed probability, mean of the "
        "folds; class by the largest area; one seed a fold (95 % interval by group, networks fixed)",
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
    table(
        "Paired differences of Dice, picture by picture, one seed a fold (95 % interval by group, networks fixed)",
        ("", *names, "mean"),
        rows,
    )


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
