"""
What was found in a frame to an outcome: the only place where that becomes a decision about a part.

Pure. Limits come in as a Recipe; where they come from is the settings' business. Pixels to findings: regions.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.records import Defect, Outcome
from edge.zones import Zone
from engines.contract import DefectClass


class ClassLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The working values for one defect class."""

    name: str
    gate: float
    """Classifier probability above which a tile is segmented."""
    threshold: float
    """Segmenter probability a pixel of this class must reach."""
    min_area_px: float
    min_peak: float
    max_count: int


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides, for one product; its hash goes into each verdict."""

    classes: tuple[ClassLimits, ...]
    mm_per_px: float | None
    ignore: tuple[Zone, ...] = ()
    """Of the camera's place: a region that lies wholly in them is no defect."""

    @property
    def hash(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()

    @property
    def gates(self) -> NDArray[np.float32]:
        return np.array([c.gate for c in self.classes], np.float32)

    @property
    def thresholds(self) -> NDArray[np.float32]:
        return np.array([c.threshold for c in self.classes], np.float32)


def default_recipe(classes: Sequence[DefectClass]) -> Recipe:
    """Return the values that classes come with, before anybody has moved one."""
    return Recipe(
        classes=tuple(
            ClassLimits(
                name=c.name,
                gate=c.gate.default,
                threshold=c.threshold.default,
                min_area_px=c.rule.min_area_px.default,
                min_peak=c.rule.min_peak.default,
                max_count=round(c.rule.max_count.default),
            )
            for c in classes
        ),
        mm_per_px=None,
    )


MOST_DEFECTS = 256
"""So many defects are described; a picture full of noise has tens of thousands, and a verdict must stay small."""


@dataclass(frozen=True)
class Findings:
    """
    What the labels of one frame hold; nothing of what lies wholly in the recipe's zones.

    Attributes:
        defects: the largest MOST_DEFECTS, by descending area; equal ones by class and place.
        total: how many there are.
        counting: how many count against the rule, by class; over all of them, described or not.
    """

    defects: tuple[Defect, ...]
    total: int
    counting: tuple[int, ...]


NO_FINDINGS = Findings(defects=(), total=0, counting=())


def outcome_from_findings(findings: Findings, recipe: Recipe) -> Outcome:
    """Return REJECT when any class has more counting defects than it may, else PASS."""
    over = [n > limits.max_count for n, limits in zip(findings.counting, recipe.classes, strict=False)]
    return Outcome.REJECT if any(over) else Outcome.PASS
