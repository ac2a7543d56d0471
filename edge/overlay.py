"""Draw what a person wants to see: the frame, the mask over it, the verdict beside it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.records import Outcome, Verdict

# BGR. Told apart in the common forms of colour blindness (Okabe and Ito's palette).
_CLASS_COLOURS = [(0, 159, 230), (233, 180, 86), (115, 158, 0), (66, 228, 240), (178, 114, 0), (0, 94, 213)]
_OUTCOME_COLOURS = {Outcome.PASS: (80, 160, 60), Outcome.UNKNOWN: (0, 159, 230), Outcome.REJECT: (50, 50, 210)}
_BANNER_PX = 34
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw(picture: NDArray[np.uint8], labels: NDArray[np.uint8] | None, verdict: Verdict) -> NDArray[np.uint8]:
    """
    Return the picture with outlines of the mask and a banner that says the verdict.

    Args:
        picture: (h, w) or (h, w, 3) uint8; not changed.
        labels: (h, w) uint8 mask of the same size; None when there is none.

    Returns:
        (h + banner, w, 3) uint8 BGR.
    """
    grey = picture.ndim == 2
    colour = np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8) if grey else picture.copy()
    if labels is not None:
        for class_id in np.unique(labels[labels > 0]):
            _outline(colour, labels == class_id, colour_of_class(int(class_id)))
    banner = np.full((_BANNER_PX, colour.shape[1], 3), _OUTCOME_COLOURS[verdict.outcome], np.uint8)
    cv2.putText(banner, describe(verdict), (10, 24), _FONT, 0.62, (255, 255, 255), 2, cv2.LINE_AA)
    return np.vstack([banner, colour])


def colour_of_class(class_id: int) -> tuple[int, int, int]:
    return _CLASS_COLOURS[(class_id - 1) % len(_CLASS_COLOURS)]


def describe(verdict: Verdict) -> str:
    """Return the verdict as one line: number, outcome, reason or what was found."""
    line = f"{verdict.seq}  {verdict.outcome.value}"
    if verdict.reason is not None:
        return f"{line} ({verdict.reason.value})  {verdict.detail}"
    return f"{line}  {defects_as_text(verdict)}"


def defects_as_text(verdict: Verdict) -> str:
    """Return the counting defects by class: how many, and how large together."""
    found: dict[str, list[int]] = {}
    for view in verdict.views:
        for defect in view.defects:
            if defect.counts:
                found.setdefault(defect.name, []).append(defect.area_px)
    return ", ".join(f"{len(areas)} {name} {sum(areas)} px" for name, areas in found.items())


def _outline(picture: NDArray[np.uint8], region: NDArray[np.bool_], colour: tuple[int, int, int]) -> None:
    """Tint the region lightly and draw its contour, so that the defect itself stays visible."""
    picture[region] = (0.75 * picture[region] + 0.25 * np.array(colour)).astype(np.uint8)
    contours, _ = cv2.findContours(region.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, colour, 1)
