"""What a training has to show so far."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edge.errors import DataError
from training.fit.record import Record, Row, epochs_without_gain, read_rows, record_from_tree, write_rows
from training.fit.state import read_state, write_state


def row(epoch: int, score: float, phase: str = "scratch", val_loss: float = 0.5) -> Row:
    """Return an epoch with this score."""
    return Row(epoch, phase, 1 / 3, val_loss, score, 1e-3, 10.0 * (epoch + 1), 200.0, 0.01)


def test_the_first_of_equals_is_best() -> None:
    """Only a higher score beats what was before."""
    record = Record()
    assert [record.add(row(epoch, score)) for epoch, score in enumerate((0.0, 0.4, 0.4, 0.3))] == [
        True,
        True,
        False,
        False,
    ]
    assert record.best == row(1, 0.4)


def test_of_equal_scores_the_lower_loss_is_best() -> None:
    """While nothing is found yet, or everything is, the loss tells which epoch is better; never against the score."""
    record = Record()
    rows = [row(epoch, score, val_loss=loss) for epoch, (score, loss) in enumerate([(0, 0.9), (0, 0.4), (0, 0.6)])]
    assert [record.add(one) for one in rows] == [True, True, False]
    assert epochs_without_gain(rows, "scratch") == 1
    assert record.add(row(3, 0.1, val_loss=2.0))


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    """Rows, the best epoch and its weights come back from a saved state."""
    record = Record(
        leg=1, weights={"head.bias": torch.tensor([0.25])}, fresh=["head.bias"], loaded={"weights": "w.pth"}
    )
    record.add(row(0, 0.7, "frozen"))
    write_state(tmp_path / "s", record.tree())
    back = record_from_tree(read_state(tmp_path / "s"))
    assert torch.equal(back.weights.pop("head.bias"), record.weights.pop("head.bias"))
    assert back == record
    assert record_from_tree(Record().tree()) == Record()


@pytest.mark.parametrize(("scores", "stale"), [([], 0), ([0.5], 0), ([0.1, 0.2], 0), ([0.5, 0.5, 0.4], 2)])
def test_epochs_without_gain_are_those_after_the_best_of_the_phase(scores: list[float], stale: int) -> None:
    """A phase before, though better, does not count."""
    rows = [row(0, 0.9, "frozen"), *(row(epoch + 1, score, "finetune") for epoch, score in enumerate(scores))]
    assert epochs_without_gain(rows, "finetune") == stale


def test_a_table_is_written_anew(tmp_path: Path) -> None:
    """Header and a line an epoch, six digits; no line of before is left."""
    path = tmp_path / "new" / "metrics.csv"
    write_rows(path, [row(0, 0.5), row(1, 0.25)])
    write_rows(path, [row(0, 0.5)])
    header, line = path.read_text().splitlines()
    assert header == "epoch,phase,loss,val_loss,val_score,learning_rate,elapsed_s,step_ms,waiting_share"
    assert line == "0,scratch,0.333333,0.5,0.5,0.001,10.0,200.0,0.01"


def test_a_table_is_read_back(tmp_path: Path) -> None:
    """The rows come back, to six digits and without a number where there was none; any other file is refused."""
    path = tmp_path / "metrics.csv"
    rows = [row(0, 0.5, "frozen"), row(1, 0.25)]
    write_rows(path, rows)
    assert [(back.epoch, back.phase, back.val_score) for back in read_rows(path)] == [
        (0, "frozen", 0.5),
        (1, "scratch", 0.25),
    ]
    write_rows(path, [replace(row(0, 0.5), val_loss=math.nan)])
    assert math.isnan(read_rows(path)[0].val_loss)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="not the epochs of a training"):
        read_rows(path)
    with pytest.raises(DataError, match="No such file"):
        read_rows(tmp_path / "none.csv")
