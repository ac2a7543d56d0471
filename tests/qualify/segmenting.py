"""Training one segmenter on one fold, ours or the peer's, and what it says of every picture of the fold's test side."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from edge.tiles import labels_from_planes, paste_cores
from engines.contract import CHANNELS, TileShape
from tests.peers.unet import PeerUnet
from training.data.datasets import Dataset, read_dataset
from training.data.presets import Augmentation
from training.data.samples import Sample
from training.data.splits import Split, folds_by_group
from training.figures.engine import canvas_of, tiles_of
from training.figures.metrics import overlaps
from training.figures.report import largest_class
from training.fit.run import Run
from training.fit.strategy import phases
from training.fit.train import train
from training.networks.checkpoint import CheckpointSpec, network_from_spec

DATA = Path(__file__).parents[3] / "shared" / "data"
"""Where the real pictures lie: beside the repository, into which they never come."""
FOLDS = 5
FOLD_SEED = 1
EPOCH_STEPS = 100
SMOOTHED_PX = 5


@dataclass(frozen=True)
class Model:
    """A network by name; *build* makes it of a spec, which says the rest."""

    encoder: str
    width: int
    depth: int
    peer: bool = False

    def spec(self, dataset: Dataset, tile: TileShape) -> CheckpointSpec:
        return CheckpointSpec(
            kind="segmenter",
            format="mono8",
            tile=tile,
            pad_value=0,
            class_names=dataset.class_names,
            dataset=dataset.name,
            dataset_sha256=dataset.sha256,
            made_with={},
            encoder=self.encoder,
            width=self.width,
            depth=self.depth,
        )

    def build(self, spec: CheckpointSpec) -> Any:
        if self.peer:
            return PeerUnet(self.encoder, len(spec.class_names), CHANNELS[spec.format])
        return network_from_spec(spec)


OURS = "ours"
VARIANT = "ours, resnet18 encoder"
MODELS = {
    OURS: Model("plain", width=12, depth=4),
    "Unet resnet18": Model("resnet18", width=8, depth=4, peer=True),
    "Unet resnet34": Model("resnet34", width=8, depth=4, peer=True),
    VARIANT: Model("resnet18", width=8, depth=4),
}


class Judged(msgspec.Struct, frozen=True):
    """
    What a network says of one picture.

    Attributes:
        class_id, found_id: the class that fills most of it, in truth and by the network; 0 = none.
        score: largest probability of any defect, averaged over 5 x 5 px.
        dice, iou: by class id, of the classes that it shows.
        false_share: share of the pixels marked, of a sound picture.
    """

    source: str
    group: str
    class_id: int
    found_id: int
    score: float
    dice: dict[int, float]
    iou: dict[int, float]
    false_share: float | None


def fold(dataset: Dataset, number: int) -> Dataset:
    """Return the data with fold *number* as test, the next one as val, and the rest as train."""
    strata = [max(sample.class_ids, default=0) for sample in dataset.samples]
    folds = folds_by_group([sample.group for sample in dataset.samples], strata, FOLDS, FOLD_SEED)
    named: dict[int, Split] = {number: "test", (number + 1) % FOLDS: "val"}
    samples = [replace(sample, split=named.get(of, "train")) for sample, of in zip(dataset.samples, folds, strict=True)]
    return replace(dataset, samples=tuple(samples))


def fit(
    folder: str, model: str, number: int, side: int, crop: int, epochs: int, steps: int, batch: int
) -> dict[str, Any]:
    """
    Train one model on one fold and judge the fold's test pictures.

    Args:
        folder: of the data, in DATA.
        model: of MODELS.
        number: of the fold.
        side: core of a tile [px]; its halo is 16 px.
        crop: side of the squares trained on [px].
        epochs, steps, batch: of the training.
    """
    dataset = fold(read_dataset(DATA / folder), number)
    spec = MODELS[model].spec(dataset, TileShape(core_height=side, core_width=side, halo=16))
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as out:
        run = training(Path(out), epochs=epochs, steps=steps, batch=batch, crop=crop)
        outcome = train(dataset, spec, run, MODELS[model].build)
        network = MODELS[model].build(spec)
        network.load_state_dict(load_file(outcome.path))
    network.eval()
    judged = [judge(sample, network, spec) for sample in dataset.split("test")]
    return {
        "judged": msgspec.to_builtins(judged, str_keys=True),
        "best_epoch": outcome.best.epoch,
        "epoch_s": outcome.best.elapsed_s / (outcome.best.epoch + 1),
        "step_ms": outcome.best.step_ms,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def training(out: Path, *, epochs: int, steps: int, batch: int, crop: int | None, **others: Any) -> Run:
    """Return a training from random weights, on one thread, as every figure here takes it unless it says otherwise."""
    fields: dict[str, Any] = {
        "strategy": "scratch",
        "phases": phases("scratch"),
        "loss": "ce + dice",
        "weights": None,
        "augmentation": Augmentation(),
        "time_budget_s": None,
        "accumulate": 1,
        "patience": None,
        "validation_tiles": 96,
        "seed": 7,
        "precision": "bf16-mixed",
        "memory_gb": 4.0,
        "cache": None,
        "threads": 1,
        "loaders": 1,
        "accelerator": "cpu",
        "devices": 1,
        "nodes": 1,
        "progress": False,
        "tensorboard": False,
        "resume": False,
    }
    return Run(**{**fields, **others}, out=out, epochs=epochs, steps_per_epoch=steps, batch=batch, crop=crop)


def judge(sample: Sample, network: Callable[[torch.Tensor], torch.Tensor], spec: CheckpointSpec) -> Judged:
    """Segment every tile of a picture's grid and compare with its mask."""
    picture = sample.picture(spec.format)
    planes = planes_of(picture.image, network, spec)
    found = labels_from_planes(planes, np.full(len(planes), 0.5))
    common, wanted_px, found_px = overlaps(picture.labels, found, len(planes))
    shown = np.flatnonzero(wanted_px).tolist()
    return Judged(
        source=sample.source,
        group=sample.group,
        class_id=largest_class(picture.labels),
        found_id=largest_class(found),
        score=float(cv2.blur(planes.max(axis=0), (SMOOTHED_PX, SMOOTHED_PX)).max()),
        dice={k + 1: float(2 * common[k] / (wanted_px[k] + found_px[k])) for k in shown},
        iou={k + 1: float(common[k] / (wanted_px[k] + found_px[k] - common[k])) for k in shown},
        false_share=None if shown else float(np.count_nonzero(found) / found.size),
    )


@torch.inference_mode()
def planes_of(
    image: NDArray[np.uint8], network: Callable[[torch.Tensor], torch.Tensor], spec: CheckpointSpec
) -> NDArray[np.float32]:
    """(h, w, C) -> (K, h, w) probability of each defect class."""
    tile, shape = spec.tile, image.shape[:2]
    planes = np.zeros((len(spec.class_names), *shape), np.float32)
    grid = canvas_of(image, spec).grid
    for indices, pixels in tiles_of(image, spec):
        logits = network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float())
        cores = logits[:, :, tile.halo : tile.halo + tile.core_height, tile.halo : tile.halo + tile.core_width]
        of_class = cores.softmax(dim=1)[:, 1:].numpy()
        for k, plane in enumerate(planes):
            paste_cores(grid, indices, of_class[:, k], shape, plane)
    return planes
