"""What a training has to show so far; it travels in the saved state, so that a restart loses nothing of it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec
from torch import Tensor

from edge.errors import DataError
from training.networks.checkpoint import replace_together


@dataclass(frozen=True)
class Row:
    """
    One epoch.

    Attributes:
        epoch: 0, 1, ..., over all phases.
        phase: of the strategy.
        loss: mean over the epoch's batches (of the first process).
        val_loss: mean over the validation tiles.
        val_score: 0..1, higher is better.
        learning_rate: of the fastest weights, at the last step.
        elapsed_s: since training began, pauses left out.
        step_ms: mean time of a step.
        waiting_share: of that time, the share spent waiting for data.
    """

    epoch: int
    phase: str
    loss: float
    val_loss: float
    val_score: float
    learning_rate: float
    elapsed_s: float
    step_ms: float
    waiting_share: float

    @property
    def merit(self) -> tuple[float, float]:
        """What chooses an epoch, higher is better: its score, and of equal scores the lower loss."""
        return self.val_score, -self.val_loss


@dataclass
class Record:
    """
    Rows, and the best epoch.

    Attributes:
        leg: number of the leg that is trained, or is next.
        best: the epoch of most merit, which is the checkpoint; None before the first.
        weights: of that epoch.
        fresh: parameters that began at random beside pretrained ones; None where nothing was loaded.
        loaded: where pretrained weights came from, for the checkpoint.
        seen: pictures that the network they came from has seen.
    """

    leg: int = 0
    rows: list[Row] = field(default_factory=list)
    best: Row | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    fresh: list[str] | None = None
    loaded: dict[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def add(self, row: Row) -> bool:
        """Add an epoch; return whether it beats all before it."""
        self.rows.append(row)
        better = self.best is None or row.merit > self.best.merit
        if better:
            self.best = row
        return better

    def tree(self) -> dict[str, Any]:
        """Return all of it as dicts, lists and tensors."""
        tree = {part.name: getattr(self, part.name) for part in fields(self)}
        return {**tree, "rows": [asdict(row) for row in self.rows], "best": self.best and asdict(self.best)}


def record_from_tree(tree: dict[str, Any]) -> Record:
    """Make what Record.tree() was made of."""
    best = Row(**tree["best"]) if tree["best"] else None
    return Record(**{**tree, "rows": [Row(**row) for row in tree["rows"]], "best": best})


def epochs_without_gain(rows: Sequence[Row], phase: str) -> int:
    """Return how many epochs the best one of a phase is past."""
    merits = [row.merit for row in rows if row.phase == phase]
    return len(merits) - 1 - merits.index(max(merits)) if merits else 0


def read_rows(path: Path) -> list[Row]:
    """
    Read what write_rows() wrote.

    Raises:
        DataError: there is no such file, or it is another one.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return msgspec.convert(list(csv.DictReader(file)), list[Row], strict=False)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; a training writes it beside its state") from error
    except (msgspec.ValidationError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not the epochs of a training: {error}; train again") from error


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """
    Write all epochs as csv; what was there before is replaced.

    Raises:
        OSError: the disk is full, or the folder cannot be written; the old file is untouched.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, [part.name for part in fields(Row)], lineterminator="\n")
    table.writeheader()
    table.writerows({key: _short(value) for key, value in asdict(row).items()} for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_together({path: text.getvalue().encode()})


def _short(value: float | str) -> float | str:
    return float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value
