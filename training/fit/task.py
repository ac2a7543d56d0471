"""What Lightning drives: one network in one phase of its training, its loss and its optimiser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import lightning as L
import torch
from torch import Tensor

from edge.errors import DataError
from training.data.sampling import Batch
from training.fit.losses import classifier_loss, segmenter_loss
from training.fit.objective import Term
from training.fit.processes import gathered, share_buffers
from training.fit.scores import BagScores, PixelScores
from training.fit.strategy import Phase, hold_frozen, parameter_groups
from training.networks.checkpoint import Network
from training.networks.classifier import TileClassifier

WEIGHT_DECAY = 0.01
NAMED_PICTURES = 8
"""Of a batch, in a message."""


class TileTask(L.LightningModule):
    """
    One network in one phase.

    Args:
        network: whose weights learn, as the phase says.
        class_count: K.
        phase: which weights, how fast.
        terms: of the loss.
        fresh: names of the parameters that began at random beside pretrained ones; None = the head's.
    """

    def __init__(
        self, network: Network, class_count: int, phase: Phase, terms: Sequence[Term], fresh: Sequence[str] | None
    ) -> None:
        super().__init__()
        self.network = network
        self.train_losses: list[float] = []
        """Of each batch since the epoch began."""
        self.val_loss = self.val_score = math.nan
        """Of the last validation."""
        self._class_count = class_count
        self._phase = phase
        self._terms = terms
        self._fresh = fresh
        self._groups()  # DDP, which is set up before the optimiser, must know what does not learn
        self.train()  # Lightning does not: it fits in the mode it finds, and goes back to that after a validation

    def train(self, mode: bool = True) -> TileTask:
        super().train(mode)
        hold_frozen(self.network, self._phase)
        return self

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW([{**group, "peak_lr": group["lr"]} for group in self._groups()])

    def on_train_epoch_start(self) -> None:
        self.train_losses = []

    def training_step(self, batch: Batch, step: int) -> Tensor:
        loss = self._loss(batch, self._logits(batch))
        self.train_losses.append(loss.item())
        self._require_finite(batch, step)
        return loss

    def on_validation_epoch_start(self) -> None:
        share_buffers(self.network)
        self._scores = BagScores(self._class_count) if self._classifies() else PixelScores(self._class_count)
        self._val_losses: list[tuple[float, int]] = []

    def validation_step(self, batch: Batch) -> None:
        logits = self._logits(batch).float()
        # A loss over pixels outside of any picture is finite whatever the logits are.
        loss = self._loss(batch, logits).item() if torch.isfinite(logits).all() else math.nan
        self._val_losses.append((loss, len(batch.pixels)))
        self._scores.add(batch, logits)

    def on_validation_epoch_end(self) -> None:
        losses = [pair for part in gathered(self._val_losses) for pair in part]
        self.val_loss = sum(loss * tiles for loss, tiles in losses) / max(sum(tiles for _, tiles in losses), 1)
        self._require_finite_network()
        self.val_score = self._scores.score()

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return replace(
            batch,
            pixels=batch.pixels.to(device),
            labels=batch.labels.to(device),
            targets=batch.targets.to(device),
            bags=batch.bags.to(device),
        )

    def _groups(self) -> list[dict[str, Any]]:
        return parameter_groups(self.network, self._phase, WEIGHT_DECAY, self._fresh)

    def _classifies(self) -> bool:
        return isinstance(self.network, TileClassifier)

    def _logits(self, batch: Batch) -> Tensor:
        """Return what the loss takes: logits of cells (classifier) or of pixels (segmenter)."""
        logits: Tensor
        if isinstance(self.network, TileClassifier):
            logits = self.network.cells(batch.pixels)
        else:
            logits = self.network(batch.pixels)
        return logits

    def _loss(self, batch: Batch, logits: Tensor) -> Tensor:
        if self._classifies():
            return classifier_loss(logits, batch.labels, batch.targets, batch.bags, self._terms)
        return segmenter_loss(logits, batch.labels, self._terms)

    def _require_finite(self, batch: Batch, step: int) -> None:
        """Stop all processes if the last loss of one is not finite; each knows whose it was, and says so."""
        loss = self.train_losses[-1]
        for rank, (value, sources) in enumerate(gathered((loss, () if math.isfinite(loss) else batch.sources))):
            if math.isfinite(value):
                continue
            shown = ", ".join(sources[:NAMED_PICTURES])
            more = f" and {len(sources) - NAMED_PICTURES} more" if len(sources) > NAMED_PICTURES else ""
            raise DataError(
                f"the loss is {value} in phase {self._phase.name}, epoch {self.current_epoch} of it, step {step}, "
                f"process {rank}, over pictures {shown}{more}; the last good checkpoint is kept: lower the learning "
                f"rate ({self._phase.learning_rate:g}), use --precision 32-true, or look at these pictures"
            )

    def _require_finite_network(self) -> None:
        """Stop before an epoch is kept that the last steps broke; all processes have the same weights and losses."""
        state = self.network.state_dict().items()
        broken = next((name for name, t in state if t.is_floating_point() and not torch.isfinite(t).all()), None)
        if broken is None and math.isfinite(self.val_loss):
            return
        what = (
            f"weight '{broken}' holds NaN or infinity" if broken else f"the loss over the val split is {self.val_loss}"
        )
        raise DataError(
            f"{what} after phase {self._phase.name}, epoch {self.current_epoch} of it; the last good checkpoint and "
            f"state are kept: lower the learning rate ({self._phase.learning_rate:g}) or use --precision 32-true"
        )
