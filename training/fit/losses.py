"""What training minimises. Each function takes a network's logits and returns one number."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.data.windows import ABSENT, MIN_CORE_PX, OUTSIDE, PRESENT, UNDECIDED

DICE_SMOOTHING = 1.0


def classifier_loss(cells: Tensor, labels: Tensor, targets: Tensor, bags: Tensor) -> Tensor:
    """
    Return the binary cross-entropy of the bags, plus that of the cells, plus one minus the cells' soft Dice.

    Of a hundred cells one or two hold a defect: without the Dice term the cells are long content with saying no.

    Args:
        cells: (N, K, rows, columns) logits of TileClassifier.cells().
        labels: (N, h, w) int64 labels of the tiles; they say which cells hold a class.
        targets: (B, K) PRESENT, ABSENT or UNDECIDED for each bag.
        bags: (N,) int64, the bag of each tile.
    """
    cells = cells.float()
    cell_targets = targets_of_cells(labels, *cells.shape[1:])
    decided = (cell_targets != UNDECIDED).float()
    dice = _dice(cells.sigmoid() * decided, cell_targets.clamp(min=0.0))
    whole = _decided_cross_entropy(bag_logits(cells, bags, len(targets)), targets)
    return whole + _decided_cross_entropy(cells, cell_targets) + 1.0 - dice


def bag_logits(cells: Tensor, bags: Tensor, count: int) -> Tensor:
    """Return the (count, K) logits of the bags: each its most suspicious cell's, of (N, K, rows, columns) logits."""
    tiles = cells.amax(dim=(2, 3))  # (N, K)
    lowest = torch.full((count, tiles.shape[1]), -torch.inf, dtype=tiles.dtype, device=tiles.device)
    return lowest.scatter_reduce(0, bags.unsqueeze(1).expand_as(tiles), tiles, "amax")


def targets_of_cells(labels: Tensor, class_count: int, rows: int, columns: int) -> Tensor:
    """
    Say which classes lie in which cell of a tile.

    Returns:
        (N, class_count, rows, columns) PRESENT where at least MIN_CORE_PX of the class lie in the cell, UNDECIDED
        where fewer do or nothing of the tile is drawn, else ABSENT.
    """
    undrawn = (labels == OUTSIDE).flatten(1).all(dim=1).reshape(-1, 1, 1, 1)
    classes = torch.arange(1, class_count + 1, device=labels.device).reshape(1, -1, 1, 1)
    wanted = (labels.unsqueeze(1) == classes).float()  # (N, K, h, w)
    cell_px = labels.shape[1] * labels.shape[2] / (rows * columns)
    held_px = F.adaptive_avg_pool2d(wanted, (rows, columns)) * cell_px  # (N, K, rows, columns)
    undecided = torch.where((held_px > 0.0) | undrawn, UNDECIDED, ABSENT)
    return torch.where(held_px >= MIN_CORE_PX, PRESENT, undecided)


def _decided_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over the elements whose target is not UNDECIDED."""
    decided = (targets != UNDECIDED).float()
    losses = F.binary_cross_entropy_with_logits(logits, targets.clamp(min=0.0), reduction="none")
    return (losses * decided).sum() / decided.sum().clamp(min=1.0)


def segmenter_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """
    Return cross-entropy plus one minus the soft Dice of the defect classes, both over the pixels inside the picture.

    Cross-entropy alone is content with calling everything sound where defects are small; Dice alone is noisy.
    Source: Milletari, Navab, Ahmadi, "V-Net", 3DV 2016, equation for D (squared denominator).

    Args:
        logits: (N, K + 1, h, w).
        labels: (N, h, w) int64, OUTSIDE where there is no picture.
    """
    logits = logits.float()
    return F.cross_entropy(logits, labels, ignore_index=OUTSIDE) + 1.0 - soft_dice(logits, labels)


def soft_dice(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean soft Dice (0..1) of the defect classes that the batch holds; 1 if it holds none."""
    inside = (labels != OUTSIDE).unsqueeze(1)  # (N, 1, h, w)
    found = (logits.softmax(dim=1) * inside)[:, 1:]  # (N, K, h, w)
    classes = torch.arange(1, logits.shape[1], device=labels.device).reshape(1, -1, 1, 1)
    wanted = (labels.unsqueeze(1) == classes).float()  # (N, K, h, w)
    return _dice(found, wanted)


def _dice(found: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean over the classes that occur, of (N, K, h, w) probabilities against 0 and 1."""
    over = (0, 2, 3)
    common = 2.0 * (found * wanted).sum(over) + DICE_SMOOTHING  # (K,)
    total = found.square().sum(over) + wanted.sum(over) + DICE_SMOOTHING
    present = wanted.amax(dim=over)  # (K,) 0 or 1
    return (present * common / total).sum() / present.sum().clamp(min=1.0) + (present.sum() == 0).float()
