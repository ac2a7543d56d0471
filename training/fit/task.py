"""What Lightning drives: one network, its loss, its optimiser, and the score that chooses the best epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import lightning as L
import msgspec
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor, nn

from edge.errors import DataError
from training.data.sampling import Batch, TrainingTiles
from training.data.windows import OUTSIDE, PRESENT, UNDECIDED
from training.figures.metrics import overlaps, pooled_dice, ranking
from training.fit.losses import bag_logits, classifier_loss, segmenter_loss
from training.networks.checkpoint import CheckpointSpec, Kind, save
from training.networks.classifier import TileClassifier

WEIGHT_DECAY = 0.01
WARM_UP_SHARE = 0.15
"""Share of the steps in which the learning rate rises; then it falls to nothing."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: learning rate at its peak, and the number of steps of the whole run."""

    learning_rate: float
    steps: int


class TileTask(L.LightningModule):
    """
    One network in training.

    ``val_score`` (0..1, higher is better) chooses the epoch: for the classifier the mean over the classes of the
    average precision of the tiles, for the segmenter the mean over the classes of the pooled Dice.
    """

    def __init__(self, network: nn.Module, kind: Kind, class_count: int, schedule: Schedule) -> None:
        super().__init__()
        self.network = network
        self._kind = kind
        self._class_count = class_count
        self._schedule = schedule
        self._found: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        self._counts = np.zeros((2, class_count), np.int64)

    def training_step(self, batch: Batch) -> Tensor:
        loss = self._loss(batch, self._logits(batch))
        if not math.isfinite(loss.item()):
            raise DataError(
                f"the loss of the {self._kind} is {loss.item()} at epoch {self.current_epoch}, step "
                f"{self.global_step}; the last good checkpoint is kept: lower --learning-rate "
                f"({self._schedule.learning_rate:g}) or use --precision 32-true"
            )
        self.log("loss", loss, prog_bar=True, on_step=True, on_epoch=False, batch_size=len(batch.pixels))
        return loss

    def on_train_epoch_start(self) -> None:
        tiles = self.trainer.train_dataloader
        if isinstance(tiles, TrainingTiles):
            tiles.set_epoch(self.current_epoch)

    def on_validation_epoch_start(self) -> None:
        self._found.clear()
        self._counts[:] = 0

    def validation_step(self, batch: Batch) -> None:
        logits = self._logits(batch).float()
        self.log("val_loss", self._loss(batch, logits), batch_size=len(batch.pixels))
        if self._kind == "classifier":
            scores = bag_logits(logits, batch.bags, len(batch.targets)).sigmoid()
            self._found.append((scores.cpu().numpy(), batch.targets.cpu().numpy()))
        else:
            self._count(
                logits.argmax(dim=1).cpu().numpy().astype(np.uint8), batch.labels.cpu().numpy().astype(np.uint8)
            )

    def on_validation_epoch_end(self) -> None:
        scores = self._precisions() if self._kind == "classifier" else pooled_dice(*self._counts)
        known = [score for score in scores if score is not None]
        self.log("val_score", float(np.mean(known)) if known else 0.0, prog_bar=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self._schedule.learning_rate, weight_decay=WEIGHT_DECAY
        )
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=self._schedule.learning_rate,
            total_steps=self._schedule.steps,
            pct_start=WARM_UP_SHARE,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return replace(
            batch,
            pixels=batch.pixels.to(device),
            labels=batch.labels.to(device),
            targets=batch.targets.to(device),
            bags=batch.bags.to(device),
        )

    def _logits(self, batch: Batch) -> Tensor:
        """Return what the loss takes: logits of cells (classifier) or of pixels (segmenter)."""
        logits: Tensor
        if isinstance(self.network, TileClassifier):
            logits = self.network.cells(batch.pixels)
        else:
            logits = self.network(batch.pixels)
        return logits

    def _loss(self, batch: Batch, logits: Tensor) -> Tensor:
        if self._kind == "classifier":
            return classifier_loss(logits, batch.labels, batch.targets, batch.bags)
        return segmenter_loss(logits, batch.labels)

    def _count(self, found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
        """Add to the two rows of counts: pixels in common (row 0), expected plus found (row 1)."""
        inside = expected != OUTSIDE
        common, wanted_px, found_px = overlaps(expected[inside], found[inside], self._class_count)
        self._counts[0] += common
        self._counts[1] += wanted_px + found_px

    def _precisions(self) -> Sequence[float | None]:
        """Return the average precision of each class over all validation tiles; None where a class is absent."""
        scores = np.concatenate([scores for scores, _ in self._found])
        targets = np.concatenate([targets for _, targets in self._found])
        decided = targets != UNDECIDED
        return [
            ranking(scores[decided[:, k], k].tolist(), (targets[decided[:, k], k] == PRESENT).tolist())[1]
            for k in range(self._class_count)
        ]


class BestCheckpoint(L.Callback):
    """Saves the network after each validation that beats all before it."""

    def __init__(self, folder: Path, spec: CheckpointSpec) -> None:
        self._folder = folder
        self._spec = spec
        self.score = -math.inf
        self.path: Path | None = None
        """Of the checkpoint; None until the first validation."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        score = float(trainer.callback_metrics["val_score"])
        if trainer.sanity_checking or not score > self.score:
            return
        assert isinstance(pl_module, TileTask)
        self.score = score
        made_with = {**self._spec.made_with, "epoch": str(trainer.current_epoch), "val_score": f"{score:.4f}"}
        self.path = save(self._folder, pl_module.network, msgspec.structs.replace(self._spec, made_with=made_with))
