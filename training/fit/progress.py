"""What a training shows while it runs: a bar on a terminal, a line an epoch in a log."""

from __future__ import annotations

import time

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar
from rich.console import Console


class EpochLines(L.Callback):
    """Print one line after each validation."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started_s = time.monotonic()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        figures = {name: float(trainer.callback_metrics[name]) for name in ("loss", "val_loss", "val_score")}
        described = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        elapsed_s = time.monotonic() - self._started_s
        self._console.print(
            f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}, {elapsed_s:.0f} s: {described}",
            highlight=False,
        )


def progress_callback(bar: bool) -> L.Callback:
    """Return the progress bar, or lines on stderr for a log."""
    return RichProgressBar() if bar else EpochLines(Console(stderr=True, soft_wrap=True))
