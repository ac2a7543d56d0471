"""
Labels to defects to an outcome: the only place where a pixel becomes a decision about a part.

Pure. Limits come in as a Recipe; where they come from is the settings' business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.records import Defect, Outcome
from edge.zones import Zone, mask_from_zones
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


@dataclass(frozen=True)
class Box:
    """A rectangle of the frame [px]; outside of it every label is 0."""

    top: int
    left: int
    bottom: int
    right: int


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


def findings_from_labels(
    labels: NDArray[np.uint8], confidence: NDArray[np.uint8], recipe: Recipe, within: Box
) -> Findings:
    """
    Find every connected region of every class.

    Args:
        labels: (height, width) uint8, 0 = sound, k = recipe.classes[k - 1].
        confidence: (height, width) uint8, 255 = certain.
        recipe: limits that decide which defects count.
        within: where labels may lie; the search is confined to it.
    """
    window = labels[within.top : within.bottom, within.left : within.right]
    certainty = confidence[within.top : within.bottom, within.left : within.right]
    zones = mask_from_zones(recipe.ignore, *labels.shape) if recipe.ignore else None
    regions = [_regions(k, window, certainty, within, zones) for k in range(1, int(window.max(initial=0)) + 1)]
    found = np.concatenate([*regions, np.zeros(0, _REGION)])
    # A region only grows while tiles are added: one that reaches out of the zones goes on doing so, and counting.
    found = found[found["ignored"] < found["area"]]
    # Whatever the search began with, equal defects come in the same order.
    keys = ("sum_y", "sum_x", "bottom", "right", "left", "top", "class_id")
    order = np.lexsort((*(found[key] for key in keys), -found["area"]))[:MOST_DEFECTS]
    limits_area = np.array([c.min_area_px for c in recipe.classes])[found["class_id"] - 1]
    limits_peak = np.array([c.min_peak for c in recipe.classes])[found["class_id"] - 1]
    counts = (found["area"] >= limits_area) & (found["peak"] / 255 >= limits_peak)
    return Findings(
        defects=tuple(_defect(found[i], bool(counts[i]), recipe, labels.shape) for i in order),
        total=len(found),
        counting=tuple(np.bincount(found["class_id"][counts], minlength=len(recipe.classes) + 1)[1:].tolist()),
    )


def outcome_from_findings(findings: Findings, recipe: Recipe) -> Outcome:
    """Return REJECT when any class has more counting defects than it may, else PASS."""
    over = [n > limits.max_count for n, limits in zip(findings.counting, recipe.classes, strict=False)]
    return Outcome.REJECT if any(over) else Outcome.PASS


# One connected region; sums are of its pixels' coordinates in the frame, "ignored" counts those that lie in a zone.
_REGION = np.dtype(
    [
        (name, np.int64)
        for name in ("class_id", "area", "left", "top", "right", "bottom", "sum_x", "sum_y", "peak", "ignored")
    ]
)


def _regions(
    class_id: int,
    window: NDArray[np.uint8],
    certainty: NDArray[np.uint8],
    within: Box,
    zones: NDArray[np.bool_] | None,
) -> NDArray[np.void]:
    """Return one _REGION for each connected region of the class; zones: (height, width) of the frame."""
    mask = (window == class_id).view(np.uint8)
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return np.zeros(0, _REGION)
    near = (slice(top, top + height), slice(left, left + width))
    # Labels only, with statistics of our own: connectedComponentsWithStats is 5 to 10 times dearer on a frame.
    count, regions = cv2.connectedComponents(mask[near], connectivity=8, ltype=cv2.CV_32S)
    ys, xs = np.nonzero(regions)
    of = regions[ys, xs]
    # Pixels sorted by region: then each region is one slice, and one reduceat does all of them.
    order = np.argsort(of, kind="stable")
    area = np.bincount(of, minlength=count)[1:]
    starts = np.cumsum(area) - area
    x, y = xs[order] + (left + within.left), ys[order] + (top + within.top)
    found = np.zeros(count - 1, _REGION)
    found["class_id"], found["area"] = class_id, area
    found["left"], found["right"] = np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts)
    found["top"], found["bottom"] = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    found["sum_x"], found["sum_y"] = np.add.reduceat(x, starts), np.add.reduceat(y, starts)
    found["peak"] = np.maximum.reduceat(certainty[near][ys, xs][order], starts)
    if zones is not None:
        inside = zones[within.top : within.bottom, within.left : within.right][near]
        found["ignored"] = np.add.reduceat(inside[ys, xs][order].astype(np.int64), starts)
    return found


def _defect(region: np.void, counts: bool, recipe: Recipe, frame: tuple[int, ...]) -> Defect:
    class_id, area, left, top, right, bottom, sum_x, sum_y, peak, _ = region.tolist()
    return Defect(
        class_id=class_id,
        name=recipe.classes[class_id - 1].name,
        area_px=area,
        area_mm2=None if recipe.mm_per_px is None else area * recipe.mm_per_px**2,
        box=(left, top, right - left + 1, bottom - top + 1),
        centroid=(round(sum_x / area, 1), round(sum_y / area, 1)),
        peak=peak / 255,
        cut=left == 0 or top == 0 or right == frame[1] - 1 or bottom == frame[0] - 1,
        counts=counts,
    )
