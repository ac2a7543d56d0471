"""What training minimises. Each function takes a network's logits and returns one number, computed in float32."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from training.data.windows import ABSENT, MIN_CORE_PX, OUTSIDE, PRESENT, UNDECIDED
from training.fit.objective import Term, Tversky

DICE_SMOOTHING = 1.0
LEAST_SHORTFALL = 1e-6
"""Of a Tversky index: below it the power's slope, which grows without bound towards 0, is cut off."""


def classifier_loss(cells: Tensor, labels: Tensor, targets: Tensor, bags: Tensor, terms: Sequence[Term]) -> Tensor:
    """
    Return the binary cross-entropy of the bags, plus the *terms* over the cells.

    Of a hundred cells one or two hold a defect: without an overlap term (Dice, Tversky) the cells are long content with
    saying no. The cells of a tile of which nothing is drawn teach nothing; its bag does.

    Args:
        cells: (N, K, rows, columns) logits of TileClassifier.cells().
        labels: (N, h, w) int64 labels of the tiles; they say which cells hold a class.
        targets: (B, K) PRESENT, ABSENT or UNDECIDED for each bag.
        bags: (N,) int64 in 0..B-1: the bag of each tile.
        terms: ``ce`` is the binary cross-entropy of the cells.
    """
    cells = cells.float()
    cell_targets = targets_of_cells(labels, *cells.shape[1:])
    decided = (cell_targets != UNDECIDED).float()
    found, wanted = cells.sigmoid() * decided, cell_targets.clamp(min=0.0)
    in_cells = _sum(terms, _decided_cross_entropy(cells, cell_targets), found, wanted)
    return _decided_cross_entropy(bag_logits(cells, bags, len(targets)), targets) + in_cells


def bag_logits(cells: Tensor, bags: Tensor, bag_count: int) -> Tensor:
    """
    Return the logit of each class in each bag: that of the most suspicious cell of its tiles.

    Args:
        cells: (N, K, rows, columns) logits.
        bags: (N,) int64 in 0..bag_count-1, each occurring.

    Returns:
        (bag_count, K) logits.
    """
    tiles = cells.amax(dim=(2, 3))  # (N, K)
    lowest = tiles.new_full((bag_count, tiles.shape[1]), -torch.inf)
    return lowest.scatter_reduce(0, bags.unsqueeze(1).expand_as(tiles), tiles, "amax")


def targets_of_cells(labels: Tensor, class_count: int, rows: int, columns: int) -> Tensor:
    """
    Say which classes lie in which cell of a tile.

    Returns:
        (N, class_count, rows, columns) PRESENT where at least MIN_CORE_PX of the class lie in the cell, UNDECIDED
        where fewer do or nothing of the tile is drawn, else ABSENT: also where a cell of a drawn tile is void, since
        the line scores those, too, and they must be quiet.
    """
    undrawn = (labels == OUTSIDE).flatten(1).all(dim=1).reshape(-1, 1, 1, 1)
    classes = torch.arange(1, class_count + 1, device=labels.device).reshape(1, -1, 1, 1)
    wanted = (labels.unsqueeze(1) == classes).float()  # (N, K, h, w)
    cell_px = labels.shape[1] * labels.shape[2] / (rows * columns)
    held_px = F.adaptive_avg_pool2d(wanted, (rows, columns)) * cell_px  # (N, K, rows, columns)
    undecided = torch.where((held_px > 0.0) | undrawn, UNDECIDED, ABSENT)
    return torch.where(held_px >= MIN_CORE_PX, PRESENT, undecided)


def segmenter_loss(logits: Tensor, labels: Tensor, terms: Sequence[Term]) -> Tensor:
    """
    Return the sum of the *terms* over the pixels inside the picture.

    Cross-entropy alone is content with calling everything sound where defects are small; an overlap alone is noisy.

    Args:
        logits: (N, K + 1, h, w).
        labels: (N, h, w) int64, OUTSIDE where there is no picture.
        terms: ``ce`` is the cross-entropy of the K + 1 classes; the others look at the K defects.
    """
    logits = logits.float()
    inside = (labels != OUTSIDE).unsqueeze(1)  # (N, 1, h, w)
    found = (logits.softmax(dim=1) * inside)[:, 1:]  # (N, K, h, w)
    classes = torch.arange(1, logits.shape[1], device=labels.device).reshape(1, -1, 1, 1)
    wanted = (labels.unsqueeze(1) == classes).float()  # (N, K, h, w)
    losses = F.cross_entropy(logits, labels, ignore_index=OUTSIDE, reduction="sum")
    return _sum(terms, losses / inside.sum().clamp(min=1), found, wanted)


def soft_dice(found: Tensor, wanted: Tensor) -> Tensor:
    """
    Return the mean soft Dice (0..1) of the classes that the batch holds; 1 if it holds none.

    Source: Milletari, Navab, Ahmadi, "V-Net", 3DV 2016, equation for D (squared denominator).

    Args:
        found: (N, K, h, w) probabilities, 0 where there is nothing to judge.
        wanted: (N, K, h, w) 0 or 1.
    """
    over = (0, 2, 3)
    common = 2.0 * (found * wanted).sum(over) + DICE_SMOOTHING  # (K,)
    total = found.square().sum(over) + wanted.sum(over) + DICE_SMOOTHING
    return _mean_of_present(common / total, wanted, otherwise=1.0)


def focal_tversky(found: Tensor, wanted: Tensor, parameters: Tversky) -> Tensor:
    """
    Return the mean of (1 - Tversky index) ** gamma of the classes that the batch holds; 0 if it holds none.

    Args:
        found: (N, K, h, w) probabilities, 0 where there is nothing to judge.
        wanted: (N, K, h, w) 0 or 1.
        parameters: their sources are there.
    """
    over = (0, 2, 3)
    common = (found * wanted).sum(over) + DICE_SMOOTHING  # (K,)
    false_marks = parameters.alpha * (found * (1.0 - wanted)).sum(over)
    misses = parameters.beta * ((1.0 - found) * wanted).sum(over)
    shortfall = 1.0 - common / (common + false_marks + misses)
    return _mean_of_present(shortfall.clamp(min=LEAST_SHORTFALL).pow(parameters.gamma), wanted, otherwise=0.0)


def _sum(terms: Sequence[Term], cross_entropy: Tensor, found: Tensor, wanted: Tensor) -> Tensor:
    """Weigh the terms over planes of found and wanted classes."""
    total = torch.zeros_like(cross_entropy)
    for term in terms:
        if term.name == "ce":
            value = cross_entropy
        elif term.name == "dice":
            value = 1.0 - soft_dice(found, wanted)
        else:
            value = focal_tversky(found, wanted, term.tversky)
        total = total + term.weight * value
    return total


def _decided_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over the elements whose target is not UNDECIDED."""
    decided = (targets != UNDECIDED).float()
    losses = F.binary_cross_entropy_with_logits(logits, targets.clamp(min=0.0), reduction="none")
    return (losses * decided).sum() / decided.sum().clamp(min=1.0)


def _mean_of_present(values: Tensor, wanted: Tensor, otherwise: float) -> Tensor:
    """Return the mean of (K,) values over the classes that occur in (N, K, h, w) *wanted*."""
    present = wanted.amax(dim=(0, 2, 3))  # (K,) 0 or 1
    return (present * values).sum() / present.sum().clamp(min=1.0) + otherwise * (present.sum() == 0).float()
