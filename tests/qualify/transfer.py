"""
Does what was learned on one surface help on another, and with how few parts? A classifier of defect against sound.

Pretrained on magnetic_tile (all its classes as one), transferred to the pitting of bsdata_mini with 10, 25, 50 and
100 % of the groups that are labelled: of train, and of val, which chooses the epoch. Each of three rounds has another
fold and another seed, so that every picture is judged once by each strategy at each share. Transfer from ImageNet is
not measured: its weights cannot be had here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from engines.contract import PixelFormat, TileShape
from tests.qualify.fits import Fit, figures_of
from tests.qualify.plots import compared
from tests.qualify.report import CONSOLE, table
from tests.qualify.segmenting import DATA, training
from training.data.datasets import Dataset, read_dataset
from training.data.labels import LabelSource
from training.data.samples import Sample
from training.data.splits import folds_by_group, strata_of_groups
from training.figures.engine import tiles_of
from training.figures.intervals import Estimate, bootstrap
from training.fit.strategy import Strategy, needs_weights, phases
from training.fit.train import train
from training.networks.checkpoint import CheckpointSpec, load

TITLE = "transfer from magnetic_tile to bsdata_mini: scratch, frozen, finetune, staged"

SOURCE, TARGET = "magnetic_tile", "bsdata_mini"
SHARES = (0.1, 0.25, 0.5, 1.0)
STRATEGIES: tuple[Strategy, ...] = ("scratch", "frozen", "finetune", "staged")
ROUNDS = 3
CLASS = "defect"
_TILE = TileShape(core_height=192, core_width=192, halo=16)
_SOURCE_STEPS, _STEPS, _EPOCHS, _BATCH = 120, 40, 6, 16
assert set(STRATEGIES) == set(get_args(Strategy))


@dataclass(frozen=True)
class AnyDefect:
    """Labels in which every class is the one class."""

    labels: LabelSource

    def read(self, height: int, width: int) -> NDArray[np.uint8]:
        return np.minimum(self.labels.read(height, width), 1).astype(np.uint8)


class Scored(msgspec.Struct, frozen=True):
    """One picture of the target: highest score of its tiles."""

    source: str
    group: str
    bad: bool
    score: float


def run(out: Path, scale: float) -> dict[str, Any]:
    """Pretrain once, then transfer every way, and compare."""
    folder = out / "transfer"
    source = Fit("source", __name__, {"out": str(folder / "source"), "steps": max(1, round(_SOURCE_STEPS * scale))})
    figures_of([source], folder)
    ways = list(product(STRATEGIES, SHARES, range(ROUNDS)))
    fits = {
        way: Fit(
            "{}, {:g}, round {}".format(*way),
            __name__,
            {
                "strategy": way[0],
                "share": way[1],
                "number": way[2],
                "out": str(folder / "target"),
                "weights": str(folder / "source" / "classifier.safetensors"),
                "steps": max(1, round(_STEPS * scale)),
            },
        )
        for way in sorted(ways, key=lambda way: way[2])
    }
    figures = figures_of(list(fits.values()), folder)
    by_way = {
        (strategy, share): [figures[fits[strategy, share, number].name] for number in range(ROUNDS)]
        for strategy, share in product(STRATEGIES, SHARES)
    }
    _show(by_way, folder / "transfer.png")
    return {f"{strategy}, {share:g}": found for (strategy, share), found in by_way.items()}


def fit(
    out: str,
    steps: int,
    strategy: Strategy = "scratch",
    share: float = 1.0,
    number: int | None = None,
    weights: str = "",
    format: PixelFormat = "mono8",
    reduce: int = 2,
) -> dict[str, Any]:
    """
    Train one classifier; on the source where no round is named, else on a share of the target's labelled groups.

    Args:
        out: folder of checkpoints.
        steps: batches an epoch.
        strategy: how the weights are used.
        share: of the target's groups in train and in val, 0..1.
        number: of the round.
        weights: checkpoint of the source.
        format, reduce: of the network.
    """
    dataset = binary(read_dataset(DATA / (SOURCE if number is None else TARGET)))
    if number is not None:
        dataset = thinned(fold(dataset, number), share, seed=number)
    folder = Path(out) if number is None else Path(out) / f"{strategy}-{share:g}-{number}"
    run = training(
        folder,
        epochs=_EPOCHS,
        steps=steps,
        batch=_BATCH,
        crop=None,
        strategy=strategy,
        phases=phases(strategy),
        weights=weights if needs_weights(strategy) else None,
        seed=number or 0,
    )
    outcome = train(dataset, _spec(dataset, format, reduce), run)
    return {
        "scored": [] if number is None else msgspec.to_builtins(_scored(dataset, outcome.path)),
        "groups": len({sample.group for sample in dataset.split("train")}),
        "val_groups": len({sample.group for sample in dataset.split("val")}),
        "images": len(dataset.split("train")),
        "best_epoch": outcome.best.epoch,
        "val_score": outcome.best.val_score,
        "elapsed_s": outcome.best.elapsed_s,
    }


def binary(dataset: Dataset) -> Dataset:
    """Return the data with one class, whatever the defect."""
    samples = tuple(
        replace(sample, labels=AnyDefect(sample.labels), class_ids=(1,) if sample.class_ids else ())
        for sample in dataset.samples
    )
    return replace(dataset, class_names=(CLASS,), samples=samples)


def fold(dataset: Dataset, number: int) -> Dataset:
    """Return the data with a third of the groups as test, and a quarter of the others as val."""
    test = folds_by_group(*_groups(dataset.samples), ROUNDS, 0)
    rest = [sample for sample, of in zip(dataset.samples, test, strict=True) if of != number]
    val = folds_by_group(*_groups(rest), 4, number)
    dealt = [replace(sample, split="val" if of == 0 else "train") for sample, of in zip(rest, val, strict=True)]
    judged = [replace(s, split="test") for s, of in zip(dataset.samples, test, strict=True) if of == number]
    return replace(dataset, samples=tuple(dealt + judged))


def thinned(dataset: Dataset, share: float, seed: int) -> Dataset:
    """Keep that share of the groups of train and of val, in each of those with a defect and the others at least one."""
    kept = {sample.group for sample in dataset.split("test")}
    for split in ("train", "val"):
        strata = strata_of_groups(*_groups(dataset.split(split)))
        for stratum in sorted(set(strata.values())):
            members = sorted(group for group, of in strata.items() if of == stratum)
            np.random.default_rng((seed, stratum)).shuffle(members)
            kept |= set(members[: max(1, round(share * len(members)))])
    return replace(dataset, samples=tuple(sample for sample in dataset.samples if sample.group in kept))


def _groups(samples: Sequence[Sample]) -> tuple[list[str], list[int]]:
    return [sample.group for sample in samples], [max(sample.class_ids, default=0) for sample in samples]


def _spec(dataset: Dataset, format_: PixelFormat, reduce: int) -> CheckpointSpec:
    return CheckpointSpec(
        kind="classifier",
        format=format_,
        tile=_TILE,
        pad_value=0,
        class_names=dataset.class_names,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        made_with={},
        backbone="test_resnet",
        reduce=reduce,
    )


@torch.inference_mode()
def _scored(dataset: Dataset, path: Path) -> list[Scored]:
    spec, network = load(path)
    scored = []
    for sample in dataset.split("test"):
        image = sample.picture(spec.format).image
        tiles = [pixels for _, pixels in tiles_of(image, spec)]
        scores = [network(torch.from_numpy(of).permute(0, 3, 1, 2).float()).sigmoid().max() for of in tiles]
        scored.append(Scored(sample.source, sample.group, bool(sample.class_ids), float(max(scores))))
    return scored


Figures = dict[tuple[Strategy, float], list[dict[str, Any]]]
Figure = Callable[[torch.Tensor, torch.Tensor], float]
"""Of truth (1 = bad) and score of some pictures."""


def _show(by_way: Figures, picture: Path) -> None:
    places = [f"{100 * share:g} %" for share in SHARES]
    found = {strategy: [_auroc(by_way[strategy, share]) for share in SHARES] for strategy in STRATEGIES}
    rows, differences = [], []
    for at, share in enumerate(SHARES):
        of_share = [by_way[strategy, share] for strategy in STRATEGIES]
        groups = "/".join(f"{one['groups']}+{one['val_groups']}" for one in of_share[0])
        rows.append((places[at], groups, *(text(found[strategy][at]) for strategy in STRATEGIES)))
        differences.append((places[at], *(text(_gain(rounds, of_share[0]), "+") for rounds in of_share[1:])))
    intervals = f"mean of {ROUNDS} rounds, seed and fold changing together (95 % interval by group, networks fixed)"
    table(f"Image AUROC on {TARGET}, {intervals}", ("share of the labels", "groups, train+val", *STRATEGIES), rows)
    table(f"Gain over scratch, {intervals}", ("share of the labels", *STRATEGIES[1:]), differences)
    compared(picture, found, places, x=f"share of the labelled groups of {TARGET}", y="image AUROC", lines=True)
    CONSOLE.print(f"\npicture: {picture}", markup=False)
    table(
        "Seconds of training until the best epoch, median of all, one thread",
        ("", *STRATEGIES),
        [("s", *(np.median([f["elapsed_s"] for s in SHARES for f in by_way[way, s]]) for way in STRATEGIES))],
    )


def _auroc(rounds: Sequence[dict[str, Any]]) -> Estimate:
    return over_rounds(auroc, joined(rounds))


def _gain(rounds: Sequence[dict[str, Any]], scratch: Sequence[dict[str, Any]]) -> Estimate:
    ours, theirs = joined(rounds), joined(scratch)

    def gain(at: NDArray[np.int64]) -> float | None:
        one, other = mean_over_rounds(auroc, [ours[i] for i in at]), mean_over_rounds(auroc, [theirs[i] for i in at])
        return None if one is None or other is None else one - other

    return bootstrap(gain, [one.group for _, one in ours])


def joined(rounds: Sequence[dict[str, Any]]) -> list[tuple[int, Scored]]:
    every = [(number, msgspec.convert(one, Scored)) for number, of in enumerate(rounds) for one in of["scored"]]
    return sorted(every, key=lambda pair: pair[1].source)


def auroc(truth: torch.Tensor, scores: torch.Tensor) -> float:
    """Return how well bad (1) and sound (0) pictures are told apart."""
    from torchmetrics.functional.classification import binary_auroc  # after ``training``: see tests.peers.unet

    return float(binary_auroc(scores, truth, validate_args=False))


def over_rounds(figure: Figure, scored: Sequence[tuple[int, Scored]]) -> Estimate:
    """Return mean_over_rounds() with its interval by group; the networks of the rounds stay what they are."""
    return bootstrap(lambda at: mean_over_rounds(figure, [scored[i] for i in at]), [one.group for _, one in scored])


def mean_over_rounds(figure: Figure, scored: Sequence[tuple[int, Scored]]) -> float | None:
    """Return the mean over the rounds: each has a network of its own, whose scores no other's can be ranked with."""
    found = []
    for number in sorted({of for of, _ in scored}):
        of_round = [one for of, one in scored if of == number]
        truth = torch.tensor([int(one.bad) for one in of_round])
        if truth.numel() and truth.min() != truth.max():
            found.append(figure(truth, torch.tensor([one.score for one in of_round])))
    return float(np.mean(found)) if found else None


def text(of: Estimate, sign: str = "") -> str:
    if of.value is None or of.interval is None:
        return "-"
    return f"{of.value:{sign}.2f} ({of.interval.low:{sign}.2f} to {of.interval.high:{sign}.2f})"
