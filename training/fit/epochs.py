"""What happens beside the steps: the learning rate and the end of time before each, and the books after each epoch."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import lightning as L
import msgspec
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint

from training.fit.feed import Feed
from training.fit.processes import from_first
from training.fit.progress import Display
from training.fit.record import Record, Row, epochs_without_gain, write_rows
from training.fit.run import Run, essence, state_path
from training.fit.schedule import Leg, Stopwatch, rate_factor
from training.fit.task import TileTask
from training.networks.checkpoint import CheckpointSpec, save


class Pace(L.Callback):
    """
    Sets learning rate and randomness of each step by where in its leg it stands, and ends a leg whose time is over.

    Args:
        leg: what is trained.
        record: the number of its rows is that of the epoch.
        watch: of the whole training.
        seed: each step's dropout is drawn from seed, rank, epoch and step alone, as its tiles are.
    """

    def __init__(self, leg: Leg, record: Record, watch: Stopwatch, seed: int) -> None:
        self._leg = leg
        self._record = record
        self._watch = watch
        self._seed = seed
        self._began_s = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        before = [row for row in self._record.rows if row.phase != self._leg.phase.name]
        self._began_s = before[-1].elapsed_s if before else 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(trainer.train_dataloader, Feed)
        trainer.train_dataloader.begin_epoch(len(self._record.rows))

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        factor = rate_factor(self._share(trainer, batch_idx), self._leg.phase.warm_up)
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = group["peak_lr"] * factor
        of_step = np.random.SeedSequence((self._seed, trainer.global_rank, len(self._record.rows), batch_idx))
        torch.manual_seed(int(of_step.generate_state(1)[0]))

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._stop_in_time(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._stop_in_time(trainer)  # the validation has taken its time, too

    def _stop_in_time(self, trainer: L.Trainer) -> None:
        if self._leg.until_s is not None and from_first(self._watch.elapsed_s()) >= self._leg.until_s:
            trainer.should_stop = True

    def _share(self, trainer: L.Trainer, step: int) -> float:
        """Return how much of the leg is over, 0..1."""
        if self._leg.until_s is not None:
            over_s = from_first(self._watch.elapsed_s()) - self._began_s
            return min(over_s / max(self._leg.until_s - self._began_s, 1e-9), 1.0)
        assert self._leg.epochs is not None
        steps = int(trainer.num_training_batches)
        return (trainer.current_epoch * steps + step) / (self._leg.epochs * steps)


class Books(Checkpoint):
    """
    Keeps the record after each epoch: a row, the best checkpoint, metrics.csv, and the state to resume from.

    Lightning calls it last, as it does all that saves.

    Args:
        record: added to.
        leg: what is trained.
        spec: of the checkpoint.
        run: folder, patience, and what a resumed training must be equal in.
        watch: of the whole training.
        display: told of each epoch once it is on disk.
    """

    def __init__(
        self, record: Record, leg: Leg, spec: CheckpointSpec, run: Run, watch: Stopwatch, display: Display
    ) -> None:
        self._record = record
        self._leg = leg
        self._spec = spec
        self._run = run
        self._watch = watch
        self._display = display
        self._steps_s = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._began_s = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._steps_s = time.perf_counter() - self._began_s

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, TileTask)
        row = self._row(trainer, pl_module)
        better = self._record.add(row)
        if better:
            weights = pl_module.network.state_dict()
            self._record.weights = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
        if self._run.patience is not None and epochs_without_gain(self._record.rows, row.phase) >= self._run.patience:
            trainer.should_stop = True
        if trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs:
            self._record.leg += 1
        for logger in trainer.loggers:
            logger.log_metrics({key: value for key, value in asdict(row).items() if key != "phase"}, step=row.epoch)
        if trainer.is_global_zero:
            self._write(pl_module, row, better)
        trainer.save_checkpoint(state_path(self._run, self._spec.kind))
        if trainer.is_global_zero:
            self._display.say_epoch(row)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["run"] = essence(self._run, self._spec)
        checkpoint["record"] = self._record.tree()

    def _row(self, trainer: L.Trainer, task: TileTask) -> Row:
        feed = trainer.train_dataloader
        assert isinstance(feed, Feed)
        return Row(
            epoch=len(self._record.rows),
            phase=self._leg.phase.name,
            loss=float(np.mean(task.train_losses)),
            val_loss=task.val_loss,
            val_score=task.val_score,
            learning_rate=max(group["lr"] for group in trainer.optimizers[0].param_groups),
            elapsed_s=self._watch.elapsed_s(),
            step_ms=1000.0 * self._steps_s / len(task.train_losses),
            waiting_share=min(feed.waited_s / max(self._steps_s, 1e-9), 1.0),
        )

    def _write(self, task: TileTask, row: Row, better: bool) -> None:
        if better:
            made_with = {**self._spec.made_with, "epoch": str(row.epoch), "val_score": f"{row.val_score:.4f}"}
            save(self._run.out, task.network, msgspec.structs.replace(self._spec, made_with=made_with))
        write_rows(self._run.out / self._spec.kind / "metrics.csv", self._record.rows)
