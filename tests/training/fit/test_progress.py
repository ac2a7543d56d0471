"""What a training shows while it runs."""

from __future__ import annotations

import itertools

import pytest

from training.fit.progress import Display
from training.fit.record import Record, Row
from training.fit.schedule import Stopwatch, legs_from_phases
from training.fit.strategy import phases

TEN_SECONDS_A_LOOK = 10


def display(record: Record, epochs: int | None, budget_s: float | None = None) -> Display:
    """Return lines without a bar, by a clock that goes on by ten seconds at each look."""
    legs = legs_from_phases(phases("staged"), epochs, budget_s)
    watch = Stopwatch(itertools.count(0, TEN_SECONDS_A_LOOK).__next__)
    return Display("segmenter", legs, record, watch, bar=False)


def row(epoch: int, phase: str) -> Row:
    """Return an epoch."""
    return Row(epoch, phase, 0.5, 0.25, 0.75, 1e-3, 10.0, 123.4, 0.034)


def test_a_line_says_the_figures_and_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    """One of four epochs in ten seconds leaves thirty."""
    record = Record(rows=[row(0, "frozen")], leg=1)
    display(record, 4).say_epoch(record.rows[0])
    assert capsys.readouterr().err == (
        "segmenter, frozen, epoch 1 of 4, 10 s, 30 s left: loss 0.5000, val_loss 0.2500, val_score 0.7500; "
        "123 ms a step, 3% of it waiting for data\n"
    )


def test_the_time_left_follows_epochs_or_the_budget() -> None:
    """Nothing is known before anything is done; a phase that ended early is not waited for."""
    assert display(Record(), 10).seconds_left(0.0) is None
    assert display(Record(), 10).seconds_left(0.5) == pytest.approx(10.0 / 0.5 * 9.5)
    ended_early = Record(rows=[row(0, "frozen")], leg=1)
    assert display(ended_early, 10).seconds_left(0.0) == pytest.approx(10.0 * 7)
    assert display(Record(rows=[row(0, "frozen")], leg=2), 10).seconds_left(0.0) == 0.0
    assert display(Record(), None, 60.0).seconds_left(0.0) == 50.0
    assert display(Record(), None, 5.0).seconds_left(0.0) == 0.0
