"""
Labels to defects: the connected regions of a frame, and which of them count. Pure.

Beside the rules, not in them: these the station knows too, and it has no pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.records import Defect
from edge.rules import MOST_DEFECTS, Findings, Recipe
from edge.zones import mask_from_zones


@dataclass(frozen=True)
class Box:
    """A rectangle of the frame [px]; outside of it every label is 0."""

    top: int
    left: int
    bottom: int
    right: int


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
