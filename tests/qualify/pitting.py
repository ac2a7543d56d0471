"""
Small defects in large pictures: bsdata_mini, where pitting fills 0.13 % of a picture at the median.

The classifier in colour and at full resolution, from random weights; three folds by group, every picture judged once by
the highest score of its tiles. A fold has some twenty sound pictures: 1 % of them is none, so the recall is that over
the most suspicious sound picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.qualify.fits import Fit, figures_of
from tests.qualify.report import table
from tests.qualify.transfer import ROUNDS, TARGET, auroc, joined, over_rounds, text

TITLE = "pitting on bsdata_mini: image AUROC, recall at 1 % false rejects"

_STEPS = 120


def run(out: Path, scale: float) -> dict[str, Any]:
    """Train one classifier a fold, and rank the pictures of each fold."""
    folder = out / "pitting"
    arguments = {"out": str(folder / "runs"), "steps": max(1, round(_STEPS * scale)), "format": "bgr8", "reduce": 1}
    fits = [
        Fit(f"round {number}", "tests.qualify.transfer", {**arguments, "number": number}) for number in range(ROUNDS)
    ]
    figures = figures_of(fits, folder)
    scored = joined([figures[fit.name] for fit in fits])
    groups = {one.group for _, one in scored}
    rows = [
        (name, text(over_rounds(figure, scored)))
        for name, figure in (("image AUROC", auroc), ("recall at 1 % false rejects", recall_at_one_percent))
    ]
    bad = {one.group for _, one in scored if one.bad}
    table(
        f"{TARGET}: {len(scored)} pictures, {len(groups)} groups, {len(bad)} of them with pitting; mean of "
        f"{ROUNDS} rounds, seed and fold changing together (95 % interval by group, networks fixed)",
        ("figure", "value"),
        rows,
    )
    return figures


def recall_at_one_percent(truth: torch.Tensor, scores: torch.Tensor) -> float:
    """Return the share of the bad pictures over the gate that at most 1 % of the sound ones are over."""
    from torchmetrics.functional.classification import binary_sensitivity_at_specificity  # see tests.peers.unet

    return float(binary_sensitivity_at_specificity(scores, truth, min_specificity=0.99)[0])
