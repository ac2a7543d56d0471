"""What training minimises."""

from __future__ import annotations

import pytest
import torch

from training.data.windows import ABSENT, OUTSIDE, PRESENT, UNDECIDED
from training.fit.losses import bag_logits, classifier_loss, segmenter_loss, soft_dice, targets_of_cells

ALONE = torch.tensor([0])
"""One tile, a bag of its own."""


def labels_with_square() -> torch.Tensor:
    """Return (1, 32, 32) labels with class 1 in the upper left and four pixels of class 2 in the lower right."""
    labels = torch.zeros(1, 32, 32, dtype=torch.int64)
    labels[0, 2:8, 2:8] = 1
    labels[0, 30:, 30:] = 2
    return labels


def test_cells_know_what_they_hold() -> None:
    """Enough pixels: present; four: undecided; none: absent."""
    cells = targets_of_cells(labels_with_square(), 2, 2, 2)
    assert cells[0, 0].tolist() == [[PRESENT, ABSENT], [ABSENT, ABSENT]]
    assert cells[0, 1].tolist() == [[ABSENT, ABSENT], [ABSENT, UNDECIDED]]


def test_undecided_classes_cost_nothing() -> None:
    """Whatever the network says about an undecided class of a tile, the tile's loss stays."""
    labels = torch.zeros(1, 32, 32, dtype=torch.int64)
    labels[0, 0, :4] = 2
    targets = torch.tensor([[ABSENT, UNDECIDED]])
    loud, quiet = torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)
    loud[0, 1] = 9.0
    assert classifier_loss(loud, labels, targets, ALONE) == classifier_loss(quiet, labels, targets, ALONE)


def test_a_right_classifier_costs_less_than_a_wrong_one() -> None:
    """Firing in the right cell is cheap, firing in the wrong one is not."""
    targets = torch.tensor([[PRESENT, UNDECIDED]])
    right = torch.full((1, 2, 2, 2), -9.0)
    wrong = right.clone()
    right[0, 0, 0, 0] = wrong[0, 0, 1, 1] = 9.0
    assert classifier_loss(right, labels_with_square(), targets, ALONE) < 0.01
    assert classifier_loss(wrong, labels_with_square(), targets, ALONE) > 1.0


def test_a_bag_is_as_suspicious_as_its_worst_tile() -> None:
    """Of two tiles in a bag the one that fires answers for both; the third tile answers for itself."""
    cells = torch.full((3, 1, 2, 2), -9.0)
    cells[1, 0, 0, 0] = 4.0
    assert bag_logits(cells, torch.tensor([0, 0, 1]), 2).tolist() == [[4.0], [-9.0]]


def test_a_tile_of_which_nothing_is_drawn_teaches_its_bag_only() -> None:
    """Firing in any one cell of a bag that holds the class is right, whichever cell it is."""
    labels = torch.full((2, 32, 32), OUTSIDE)
    losses = []
    for cell in (0, 1):
        cells = torch.full((2, 1, 2, 2), -9.0)
        cells[1, 0, cell, 0] = 9.0
        losses.append(classifier_loss(cells, labels, torch.tensor([[PRESENT]]), torch.tensor([0, 0])).item())
    assert losses[0] == losses[1] < 0.01


def logits_from(labels: torch.Tensor, certainty: float = 20.0) -> torch.Tensor:
    """Return the (1, 3, h, w) logits of a network that says exactly *labels*."""
    return certainty * torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()


def test_a_perfect_mask_costs_nothing_and_the_void_never_counts() -> None:
    """Pixels outside the picture change neither part of the loss."""
    labels = labels_with_square()
    perfect = logits_from(labels)
    assert segmenter_loss(perfect, labels).item() == pytest.approx(0.0, abs=1e-4)
    labels[0, 16:, :16] = OUTSIDE
    perfect[0, :, 16:, :16] = torch.tensor([0.0, 50.0, 0.0]).reshape(3, 1, 1)
    assert segmenter_loss(perfect, labels).item() == pytest.approx(0.0, abs=1e-4)


def test_soft_dice_is_the_share_found() -> None:
    """A network that calls everything sound has a Dice near 0; without defects there is nothing to find."""
    labels = labels_with_square()
    assert soft_dice(logits_from(torch.zeros_like(labels)), labels) < 0.15
    assert soft_dice(logits_from(torch.zeros_like(labels)), torch.zeros_like(labels)) == 1.0
