"""What training minimises."""

from __future__ import annotations

import math

import pytest
import torch

from training.data.windows import ABSENT, OUTSIDE, PRESENT, UNDECIDED
from training.fit.losses import (
    bag_logits,
    classifier_loss,
    focal_tversky,
    segmenter_loss,
    soft_dice,
    targets_of_cells,
)
from training.fit.objective import Tversky, terms_from_text

ALONE = torch.tensor([0])
"""One tile, a bag of its own."""
TERMS = terms_from_text("ce + dice")


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


def test_a_void_cell_of_a_drawn_tile_holds_nothing() -> None:
    """The line scores such cells, too; only of a tile that nobody has drawn nothing is known."""
    labels = torch.zeros(2, 32, 32, dtype=torch.int64)
    labels[0, :16] = OUTSIDE
    labels[1] = OUTSIDE
    cells = targets_of_cells(labels, 1, 2, 2)
    assert cells[0].unique().tolist() == [ABSENT]
    assert cells[1].unique().tolist() == [UNDECIDED]


def test_undecided_classes_cost_nothing() -> None:
    """Whatever the network says about an undecided class of a tile, the tile's loss stays."""
    labels = torch.zeros(1, 32, 32, dtype=torch.int64)
    labels[0, 0, :4] = 2
    targets = torch.tensor([[ABSENT, UNDECIDED]])
    loud, quiet = torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)
    loud[0, 1] = 9.0
    assert classifier_loss(loud, labels, targets, ALONE, TERMS) == classifier_loss(quiet, labels, targets, ALONE, TERMS)


def test_a_right_classifier_costs_less_than_a_wrong_one() -> None:
    """Firing in the right cell is cheap, firing in the wrong one is not."""
    targets = torch.tensor([[PRESENT, UNDECIDED]])
    right = torch.full((1, 2, 2, 2), -9.0)
    wrong = right.clone()
    right[0, 0, 0, 0] = wrong[0, 0, 1, 1] = 9.0
    for terms in (TERMS, terms_from_text("ce + focal-tversky")):
        assert classifier_loss(right, labels_with_square(), targets, ALONE, terms) < 0.01
        assert classifier_loss(wrong, labels_with_square(), targets, ALONE, terms) > 1.0


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
        losses.append(classifier_loss(cells, labels, torch.tensor([[PRESENT]]), torch.tensor([0, 0]), TERMS).item())
    assert losses[0] == losses[1] < 0.01


def logits_from(labels: torch.Tensor, certainty: float = 20.0) -> torch.Tensor:
    """Return the (1, 3, h, w) logits of a network that says exactly *labels*."""
    return certainty * torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize("text", ["ce", "dice", "focal-tversky", "ce + dice + focal-tversky"])
def test_a_perfect_mask_costs_nothing_and_the_void_never_counts(text: str) -> None:
    """Pixels outside the picture change no part of the loss."""
    terms = terms_from_text(text)
    labels = labels_with_square()
    perfect = logits_from(labels)
    assert segmenter_loss(perfect, labels, terms).item() == pytest.approx(0.0, abs=1e-4)
    labels[0, 16:, :16] = OUTSIDE
    perfect[0, :, 16:, :16] = torch.tensor([0.0, 50.0, 0.0]).reshape(3, 1, 1)
    assert segmenter_loss(perfect, labels, terms).item() == pytest.approx(0.0, abs=1e-4)


def test_soft_dice_is_the_share_found() -> None:
    """Half of two pixels and a false one: (2 * 1 + 1) / (1 + 0.25 + 2 + 1), smoothing included."""
    wanted = torch.tensor([1.0, 1.0, 0.0, 0.0]).reshape(1, 1, 2, 2)
    found = torch.tensor([1.0, 0.0, 0.5, 0.0]).reshape(1, 1, 2, 2)
    assert soft_dice(found, wanted).item() == pytest.approx((2.0 * 1.0 + 1.0) / (1.25 + 2.0 + 1.0))
    assert soft_dice(found, torch.zeros_like(wanted)) == 1.0


def test_focal_tversky_weighs_false_marks_by_alpha_and_misses_by_beta() -> None:
    """One found, one missed, half a pixel too much: 1 - 2 / (2 + 0.5 alpha + beta), to the power of gamma."""
    wanted = torch.tensor([1.0, 1.0, 0.0, 0.0]).reshape(1, 1, 2, 2)
    found = torch.tensor([1.0, 0.0, 0.5, 0.0]).reshape(1, 1, 2, 2)
    expected = (1.0 - 2.0 / (2.0 + 0.5 * 0.2 + 0.8)) ** 0.5
    assert focal_tversky(found, wanted, Tversky(0.2, 0.8, 0.5)).item() == pytest.approx(expected)
    assert focal_tversky(found, torch.zeros_like(wanted), Tversky()) == 0.0


def test_cross_entropy_of_an_undecided_network_is_the_logarithm_of_the_classes() -> None:
    """Equal logits for three classes cost log 3, a weight of 0.5 halves it, whatever share is void."""
    labels = labels_with_square()
    labels[0, :, 16:] = OUTSIDE
    loss = segmenter_loss(torch.zeros(1, 3, 32, 32), labels, terms_from_text("0.5*ce"))
    assert loss.item() == pytest.approx(0.5 * math.log(3.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [0.0, 1e4, -1e4])
@pytest.mark.parametrize("shown", [0, 1, OUTSIDE])
def test_gradients_stay_finite_at_the_extremes(dtype: torch.dtype, size: float, shown: int) -> None:
    """Networks that are dead sure, right or wrong, and tiles that are all sound, all defect or all void."""
    terms = terms_from_text("ce + dice + focal-tversky(alpha=0.1, beta=0.9, gamma=0.5)")
    labels = torch.full((1, 32, 32), shown, dtype=torch.int64)
    pixels = torch.zeros(1, 3, 32, 32, dtype=dtype)
    pixels[:, 1] = size
    pixels.requires_grad_()
    cells = torch.full((1, 2, 2, 2), size, dtype=dtype, requires_grad=True)
    targets = torch.tensor([[PRESENT, UNDECIDED]])
    loss = segmenter_loss(pixels, labels, terms) + classifier_loss(cells, labels, targets, ALONE, terms)
    loss.backward()
    assert torch.isfinite(loss)
    for grown in (pixels.grad, cells.grad):
        assert grown is not None
        assert torch.isfinite(grown).all()
