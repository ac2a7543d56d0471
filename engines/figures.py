"""A parity report as text: the same in the table of ``edge-engine verify`` and on the page of a build."""

from __future__ import annotations

from edge.inspector.backend import Precision
from edge.inspector.parity import TOLERANCES, FrameParity

HEADINGS = ("score deviation", "gate flips", "marked px", "IoU", "px differing", "confidence deviation")


def figures_of(frame: FrameParity) -> tuple[str, ...]:
    """Return one frame's figures, in the order of HEADINGS."""
    return (
        f"{frame.score_deviation:.1e}",
        str(frame.gate_flips),
        str(frame.pixels_marked),
        iou_text(frame.iou),
        str(frame.pixels_differing),
        f"{frame.confidence_deviation:.1e}",
    )


def allowed_figures(precision: Precision) -> tuple[str, ...]:
    """Return what is allowed, in the order of HEADINGS."""
    tolerance = TOLERANCES[precision]
    return (
        f"{tolerance.score:.1e}",
        "",
        "",
        f"{tolerance.iou} of all, {tolerance.frame_iou} each",
        f"{tolerance.differing:.1e} of a frame",
        f"{tolerance.confidence:.1e}",
    )


def iou_text(iou: float | None) -> str:
    return "nothing marked" if iou is None else f"{iou:.4f}"
