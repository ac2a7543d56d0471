"""How well a score sorts bad pictures from sound ones, whatever the gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    binary_precision_recall_curve,
    binary_sensitivity_at_specificity,
)

from training.figures.intervals import Estimate, bootstrap

FALSE_REJECT_RATES = (0.01, 0.05)
CURVE_POINTS = 200

_Figure = Callable[[torch.Tensor, torch.Tensor], float]


class CurvePoint(msgspec.Struct, frozen=True):
    """One gate of a precision-recall curve."""

    gate: float
    precision: float
    recall: float


class RankingFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How the pictures are ranked; values are None where all are bad or all sound."""

    bad: int
    sound: int
    auroc: Estimate
    average_precision: Estimate
    recall_at_false_rejects: dict[str, Estimate]
    """Share of the bad pictures over the gate that so many sound ones ("0.01") are over at most."""
    curve: tuple[CurvePoint, ...]


def ranking_figures(
    scores: Sequence[float], defective: Sequence[bool], groups: Sequence[str], confidence: float
) -> RankingFigures:
    """
    Judge a ranking.

    Args:
        scores: of each picture, 0..1, higher means more suspicious.
        defective: the truth.
        groups: of each picture.
        confidence: of the intervals.
    """
    ranked, truth = torch.tensor(scores, dtype=torch.float64), torch.tensor(defective).long()

    def estimate(figure: _Figure) -> Estimate:
        return bootstrap(lambda at: _both_kinds(figure, ranked[at], truth[at]), groups, confidence)

    return RankingFigures(
        bad=sum(defective),
        sound=len(defective) - sum(defective),
        auroc=estimate(lambda s, t: float(binary_auroc(s, t, validate_args=False))),
        average_precision=estimate(lambda s, t: float(binary_average_precision(s, t, validate_args=False))),
        recall_at_false_rejects={
            f"{allowed:g}": estimate(lambda s, t, allowed=allowed: _recall_at(s, t, allowed))  # type: ignore[misc]
            for allowed in FALSE_REJECT_RATES
        },
        curve=_curve(ranked, truth) if any(defective) and not all(defective) else (),
    )


def _both_kinds(figure: _Figure, scores: torch.Tensor, truth: torch.Tensor) -> float | None:
    return figure(scores, truth) if truth.numel() and truth.min() != truth.max() else None


def _recall_at(scores: torch.Tensor, truth: torch.Tensor, allowed: float) -> float:
    recall, _ = binary_sensitivity_at_specificity(scores, truth, min_specificity=1.0 - allowed, validate_args=False)
    return float(recall)


def _curve(scores: torch.Tensor, truth: torch.Tensor) -> tuple[CurvePoint, ...]:
    """Return at most CURVE_POINTS gates, ascending; the last point of torchmetrics has no gate and is left out."""
    precision, recall, gates = binary_precision_recall_curve(scores, truth)
    shown: NDArray[np.int64] = np.unique(np.linspace(0, len(gates) - 1, CURVE_POINTS).round().astype(np.int64))
    return tuple(CurvePoint(float(gates[i]), float(precision[i]), float(recall[i])) for i in shown)
