"""What a training shows while it runs: a line an epoch with the time left, and on a terminal a bar below the lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from training.fit.record import Record, Row
from training.fit.schedule import Leg, Stopwatch, text_from_seconds


class Display(L.Callback):
    """
    Lines and bar on stderr.

    Args:
        title: of the training.
        legs: all of them.
        record: what is done.
        watch: of the whole training.
        bar: draw it; only the lines go well into a log.
    """

    def __init__(self, title: str, legs: Sequence[Leg], record: Record, watch: Stopwatch, *, bar: bool) -> None:
        self._title = title
        self._legs = legs
        self._record = record
        self._watch = watch
        left = TextColumn("{task.percentage:.0f} %, {task.fields[left]}")
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            left,
            console=Console(stderr=True, soft_wrap=True),
            disable=not bar,
        )
        self._task = self._progress.add_task(title, total=1.0, left="")

    def say(self, text: str) -> None:
        """Print a line."""
        self._progress.console.print(text, highlight=False, markup=False)

    def say_epoch(self, row: Row) -> None:
        """Print the figures of an epoch that is over."""
        left_s = self.seconds_left(0.0)
        self.say(
            f"{self._title}, {row.phase}, epoch {row.epoch + 1}{self._of_epochs()}, "
            f"{text_from_seconds(row.elapsed_s)}{'' if left_s is None else f', {text_from_seconds(left_s)} left'}: "
            f"loss {row.loss:.4f}, val_loss {row.val_loss:.4f}, val_score {row.val_score:.4f}; "
            f"{row.step_ms:.0f} ms a step, {row.waiting_share:.0%} of it waiting for data"
        )

    def seconds_left(self, part_of_epoch: float) -> float | None:
        """Say how long the training still takes, at most: early stopping may end it before; None at its very start."""
        until_s, elapsed_s = self._legs[-1].until_s, self._watch.elapsed_s()
        if until_s is not None:
            return max(until_s - elapsed_s, 0.0)
        done = len(self._record.rows) + part_of_epoch
        return elapsed_s / done * (self._epochs_left() - part_of_epoch) if done else None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._progress.start()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        left_s = self.seconds_left((batch_idx + 1) / int(trainer.num_training_batches))
        if left_s is not None:
            share = 1.0 - left_s / max(self._watch.elapsed_s() + left_s, 1e-9)
            self._progress.update(self._task, completed=share, left=f"{text_from_seconds(left_s)} left")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._progress.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._progress.stop()

    def _epochs_left(self) -> int:
        if self._record.leg >= len(self._legs):
            return 0
        now, later = self._legs[self._record.leg], self._legs[self._record.leg + 1 :]
        done = sum(row.phase == now.phase.name for row in self._record.rows)
        return (now.epochs or 0) - done + sum(leg.epochs or 0 for leg in later)

    def _of_epochs(self) -> str:
        return "" if self._legs[-1].until_s is not None else f" of {sum(leg.epochs or 0 for leg in self._legs)}"
