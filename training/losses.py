"""What training minimises. Each function takes a network's logits and returns one number."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.windows import OUTSIDE, UNDECIDED

DICE_SMOOTHING_PX = 1.0


def classifier_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """
    Return the mean binary cross-entropy over the decided (tile, class) cells.

    Args:
        logits: (N, K).
        targets: (N, K) PRESENT, ABSENT or UNDECIDED; the last ones do not count.
    """
    decided = (targets != UNDECIDED).float()
    cells = F.binary_cross_entropy_with_logits(logits.float(), targets.clamp(min=0.0), reduction="none")
    return (cells * decided).sum() / decided.sum().clamp(min=1.0)


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
    over = (0, 2, 3)
    common = 2.0 * (found * wanted).sum(over) + DICE_SMOOTHING_PX  # (K,)
    total = found.square().sum(over) + wanted.sum(over) + DICE_SMOOTHING_PX
    present = wanted.amax(dim=over)  # (K,) 0 or 1
    return (present * common / total).sum() / present.sum().clamp(min=1.0) + (present.sum() == 0).float()
