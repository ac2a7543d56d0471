"""
Labels to defects to an outcome: the only place where a pixel becomes a decision about a part.

Pure. Limits come in as a Recipe; where they come from is the settings' business.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.records import Defect, Outcome


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

    @property
    def hash(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()

    @property
    def gates(self) -> NDArray[np.float32]:
        return np.array([c.gate for c in self.classes], np.float32)

    @property
    def thresholds(self) -> NDArray[np.float32]:
        return np.array([c.threshold for c in self.classes], np.float32)


@dataclass(frozen=True)
class Box:
    """A rectangle of the frame [px]; outside of it every label is 0."""

    top: int
    left: int
    bottom: int
    right: int


def defects_from_labels(
    labels: NDArray[np.uint8], confidence: NDArray[np.uint8], recipe: Recipe, within: Box
) -> tuple[Defect, ...]:
    """
    Find every connected region of every class, the largest first.

    Args:
        labels: (height, width) uint8, 0 = sound, k = recipe.classes[k - 1].
        confidence: (height, width) uint8, 255 = certain.
        recipe: limits that decide which defects count.
        within: where labels may lie; the search is confined to it.

    Returns:
        Defects by descending area; equal ones by class and place, wherever the search began.
    """
    found: list[Defect] = []
    window = labels[within.top : within.bottom, within.left : within.right]
    certainty = confidence[within.top : within.bottom, within.left : within.right]
    for class_id in range(1, int(window.max(initial=0)) + 1):
        found += _regions(class_id, window, certainty, recipe, within, labels.shape)
    return tuple(sorted(found, key=lambda defect: (-defect.area_px, defect.class_id, defect.box, defect.centroid)))


def outcome_from_defects(defects: tuple[Defect, ...], recipe: Recipe) -> Outcome:
    """Return REJECT when any class has more counting defects than it may, else PASS."""
    for limits in recipe.classes:
        if sum(d.counts for d in defects if d.name == limits.name) > limits.max_count:
            return Outcome.REJECT
    return Outcome.PASS


def _regions(
    class_id: int,
    window: NDArray[np.uint8],
    certainty: NDArray[np.uint8],
    recipe: Recipe,
    within: Box,
    frame: tuple[int, ...],
) -> list[Defect]:
    mask = (window == class_id).view(np.uint8)
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return []
    near = (slice(top, top + height), slice(left, left + width))
    # Labels only, with statistics of our own: connectedComponentsWithStats is 5 to 10 times dearer on a frame.
    count, regions = cv2.connectedComponents(mask[near], connectivity=8, ltype=cv2.CV_32S)
    ys, xs = np.nonzero(regions)
    of = regions[ys, xs]
    # Pixels sorted by region: then each region is one slice, and one reduceat does all of them.
    order = np.argsort(of, kind="stable")
    area = np.bincount(of, minlength=count)[1:]
    starts = np.cumsum(area) - area
    points = np.stack([xs + (left + within.left), ys + (top + within.top)], axis=1)[order]
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    centroids = np.add.reduceat(points, starts) / area[:, np.newaxis]
    peaks = np.maximum.reduceat(certainty[near][ys, xs][order], starts)
    return [
        _defect(class_id, recipe, int(area[i]), low[i], high[i], centroids[i], int(peaks[i]) / 255, frame)
        for i in range(count - 1)
    ]


def _defect(
    class_id: int,
    recipe: Recipe,
    area_px: int,
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    centroid: NDArray[np.float64],
    peak: float,
    frame: tuple[int, ...],
) -> Defect:
    limits = recipe.classes[class_id - 1]
    left, top, right, bottom = int(low[0]), int(low[1]), int(high[0]), int(high[1])
    return Defect(
        class_id=class_id,
        name=limits.name,
        area_px=area_px,
        area_mm2=None if recipe.mm_per_px is None else area_px * recipe.mm_per_px**2,
        box=(left, top, right - left + 1, bottom - top + 1),
        centroid=(round(float(centroid[0]), 1), round(float(centroid[1]), 1)),
        peak=peak,
        cut=left == 0 or top == 0 or right == frame[1] - 1 or bottom == frame[0] - 1,
        counts=area_px >= limits.min_area_px and peak >= limits.min_peak,
    )
