"""How the gates sort tiles."""

from __future__ import annotations

import numpy as np

from training.data.windows import ABSENT, PRESENT, UNDECIDED
from training.figures.tiles import tile_figures


def test_the_gates_are_judged_by_tiles() -> None:
    """Undecided tiles count for nothing; a defective tile that another class opens still goes on."""
    targets = np.array([[PRESENT, ABSENT], [PRESENT, ABSENT], [ABSENT, ABSENT], [UNDECIDED, ABSENT]], np.float32)
    scores = np.array([[0.9, 0.1], [0.2, 0.6], [0.1, 0.5], [0.9, 0.9]], np.float32)
    figures = tile_figures(["pits", "crack"], targets, scores, np.full(2, 0.5, np.float32), ["a", "a", "b", "b"], 0.95)
    assert (figures.recall["pits"].value, figures.recall["pits"].images, figures.recall["pits"].groups) == (0.5, 2, 1)
    assert figures.recall["crack"].value is None
    assert (figures.any_recall.value, figures.false_share.value) == (1.0, 1.0)


def test_each_class_has_its_own_gate() -> None:
    """The same score opens one class's gate and not the other's."""
    targets, scores = np.full((1, 2), PRESENT, np.float32), np.full((1, 2), 0.5, np.float32)
    figures = tile_figures(["pits", "crack"], targets, scores, np.array([0.4, 0.6], np.float32), ["a"], 0.95)
    assert (figures.recall["pits"].value, figures.recall["crack"].value) == (1.0, 0.0)


def test_an_interval_holds_its_share() -> None:
    """One tile in ten found in each of eight parts is a tenth, and no part stands for its other tiles."""
    groups = [f"part{index // 10}" for index in range(80)]
    scores = np.zeros((80, 1), np.float32)
    scores[::10] = 0.9
    figures = tile_figures(
        ["pits"], np.full((80, 1), PRESENT, np.float32), scores, np.full(1, 0.5, np.float32), groups, 0.95
    )
    recall = figures.recall["pits"]
    assert recall.value == 0.1
    assert recall.interval is not None
    assert recall.interval.low <= 0.1 <= recall.interval.high
    assert recall.interval.high < 0.2
