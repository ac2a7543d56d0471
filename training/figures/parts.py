"""
What a plant asks: bad parts that escape, good parts that are thrown away, and what that means in ppm.

    escape     a bad part whose outcome is PASS
    overkill   a sound part whose outcome is not PASS; UNKNOWN counts, since whatever is not a proven PASS is rejected
    kappa      agreement beyond chance of truth and decision; it moves with the share of bad parts: never alone
    shipped    bad parts among those that pass, for an assumed share of bad parts coming in (Bayes)

A part is a picture here; what is independent is its group.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import binary_cohen_kappa, multiclass_confusion_matrix, multiclass_f1_score

from edge.records import Outcome
from training.figures.intervals import PPM, Estimate, Rate, bootstrap, rate, upper_bound

SOUND = 0


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one picture is, and what the line says of it."""

    source: str
    group: str
    class_id: int
    """The truth: 0 = sound, else the class that fills most of it."""
    outcome: Outcome
    found_id: int
    """The class that most marked pixels have; 0 = nothing is marked."""
    score: float
    """The classifier's highest probability over all tiles and classes."""
    dice: float | None = None
    """Of all that is labelled against all that is marked, whatever the class; None: sound, not drawn, or UNKNOWN."""


class Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """What leaves the line, for an assumed share of bad parts coming in."""

    bad_share: float
    shipped_ppm: float
    """Bad parts in a million that pass."""
    shipped_ppm_at_most: float
    """The same with both rates at upper bounds that hold together with the confidence."""
    overkill_ppm: float
    """Sound parts thrown away in a million that come in."""
    sound_share_of_rejects: float | None
    """None where nothing is rejected."""


class PartFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How the line sorts parts; definitions above."""

    escapes: Rate
    overkill: Rate
    escapes_by_class: dict[str, Rate]
    unknown_bad: int
    """Bad parts that only an UNKNOWN kept from passing."""
    unknown_sound: int
    effectiveness: float
    """Share of the parts that are sorted right."""
    kappa: Estimate
    f1_macro: Estimate
    """Mean over sound and all classes that occur, of the pictures that got an answer."""
    confusion: tuple[tuple[int, ...], ...]
    """Row = true class, column = found class, both from 0 = sound; pictures that got an answer."""
    shipped: Shipped | None
    """None without bad or without sound parts."""


def part_figures(parts: Sequence[Part], class_names: Sequence[str], bad_share: float, confidence: float) -> PartFigures:
    """
    Judge the decisions.

    Args:
        parts: at least one.
        class_names: K names.
        bad_share: of the parts that come in, for what is shipped (0..1).
        confidence: of every interval and bound.
    """
    escapes, overkill = escape_rate(parts, confidence), overkill_rate(parts, confidence)
    answered = [part for part in parts if part.outcome is not Outcome.UNKNOWN]
    right = [(part.class_id == SOUND) == (part.outcome is Outcome.PASS) for part in parts]
    return PartFigures(
        escapes=escapes,
        overkill=overkill,
        escapes_by_class={
            name: escape_rate([part for part in parts if part.class_id == k], confidence)
            for k, name in enumerate(class_names, start=1)
        },
        unknown_bad=sum(part.outcome is Outcome.UNKNOWN and part.class_id != SOUND for part in parts),
        unknown_sound=sum(part.outcome is Outcome.UNKNOWN and part.class_id == SOUND for part in parts),
        effectiveness=sum(right) / len(parts),
        kappa=_kappa(parts, confidence),
        f1_macro=_f1_macro(answered, len(class_names), confidence),
        confusion=confusion(answered, len(class_names)),
        shipped=shipped(escapes, overkill, bad_share),
    )


def escape_rate(parts: Sequence[Part], confidence: float) -> Rate:
    """Return how many of the bad parts pass."""
    bad = [part for part in parts if part.class_id != SOUND]
    return rate([part.outcome is Outcome.PASS for part in bad], [part.group for part in bad], confidence)


def overkill_rate(parts: Sequence[Part], confidence: float) -> Rate:
    """Return how many of the sound parts do not pass."""
    sound = [part for part in parts if part.class_id == SOUND]
    return rate([part.outcome is not Outcome.PASS for part in sound], [part.group for part in sound], confidence)


def shipped(escapes: Rate, overkill: Rate, bad_share: float) -> Shipped | None:
    """Return what leaves the line when a share of *bad_share* of the parts comes in bad."""
    if escapes.value is None or overkill.value is None or escapes.at_most is None or overkill.at_most is None:
        return None
    caught, thrown = bad_share * (1.0 - escapes.value), (1.0 - bad_share) * overkill.value
    return Shipped(
        bad_share=bad_share,
        shipped_ppm=shipped_ppm(bad_share, escapes.value, overkill.value),
        shipped_ppm_at_most=shipped_ppm(bad_share, *(_joint_bound(rate) for rate in (escapes, overkill))),
        overkill_ppm=PPM * thrown,
        sound_share_of_rejects=thrown / (caught + thrown) if caught + thrown else None,
    )


def _joint_bound(of: Rate) -> float:
    """Return a bound of one of two rates, such that both bounds hold together with the confidence (Bonferroni)."""
    return upper_bound(of.groups_hit, of.groups, (1.0 + of.confidence) / 2.0)


def shipped_ppm(bad_share: float, escape: float, overkill: float) -> float:
    """Return p b / (p b + (1 - p)(1 - a)) in ppm: bad share p, escape rate b, overkill rate a; 0 if nothing passes."""
    bad, sound = bad_share * escape, (1.0 - bad_share) * (1.0 - overkill)
    return PPM * bad / (bad + sound) if bad + sound else 0.0


def _kappa(parts: Sequence[Part], confidence: float) -> Estimate:
    """Cohen's kappa of bad or sound against rejected or passed; none where all parts are of one kind."""
    truth = torch.tensor([part.class_id != SOUND for part in parts]).long()
    decided = torch.tensor([part.outcome is not Outcome.PASS for part in parts]).long()

    def kappa(at: NDArray[np.int64]) -> float | None:
        wanted, found = truth[at], decided[at]
        if wanted.min() == wanted.max():
            return None
        return float(binary_cohen_kappa(found, wanted, validate_args=False))

    return bootstrap(kappa, [part.group for part in parts], confidence)


def _f1_macro(parts: Sequence[Part], class_count: int, confidence: float) -> Estimate:
    truth, found = _classes(parts)

    def f1(at: NDArray[np.int64]) -> float | None:
        if not len(at):
            return None
        # Classes that occur neither here nor there are left out of the mean by torchmetrics.
        score = multiclass_f1_score(found[at], truth[at], class_count + 1, average="macro", validate_args=False)
        return float(score)

    return bootstrap(f1, [part.group for part in parts], confidence)


def confusion(parts: Sequence[Part], class_count: int) -> tuple[tuple[int, ...], ...]:
    """Count parts that got an answer: row = true class, column = found class, both from 0 = sound."""
    truth, found = _classes(parts)
    counts = multiclass_confusion_matrix(found, truth, num_classes=class_count + 1)
    return tuple(tuple(row) for row in counts.tolist())


def _classes(parts: Sequence[Part]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the true and the found class of each part; what passes is found sound whatever is marked in it."""
    truth = torch.tensor([part.class_id for part in parts]).long()
    found = torch.tensor([part.found_id if part.outcome is Outcome.REJECT else SOUND for part in parts]).long()
    return truth, found
