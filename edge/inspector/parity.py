"""
Parity: does this machine give PyTorch's answers? No engine is used before it has shown that it does.

All tiles of every reference frame go through both engines, whatever the gates say; the scores, labels and confidence
are set against the answers in the bundle. Thresholds are an input of the network, so a second set is tried as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle, Reference, load_reference
from edge.errors import ParityFailed
from edge.inspector.backend import Engine, Precision
from edge.tiles import Canvas, Grid, labels_from_planes, paste_cores
from engines.contract import CONFIDENCE, HEALTH, LABELS, SCORES, THRESHOLDS, TILES, Limit, Manifest


@dataclass(frozen=True)
class Tolerance:
    """
    How far a machine may be from PyTorch.

    Attributes:
        score: largest difference of a tile's score, 0..1.
        mean_iou, min_iou: of the masks, over the frames in which PyTorch marks something, 0..1.
        differing: largest share of a frame's pixels with another label, 0..1.
        confidence: largest mean difference of a frame's confidence, 0..1.
    """

    score: float
    mean_iou: float
    min_iou: float
    differing: float
    confidence: float


# fp32 differs by the order of summation, and the answers' planes are float16; bf16 keeps 8 bits of every product.
TOLERANCES: dict[Precision, Tolerance] = {
    "fp32": Tolerance(score=1e-3, mean_iou=0.99, min_iou=0.95, differing=1e-3, confidence=2e-3),
    "bf16": Tolerance(score=5e-2, mean_iou=0.98, min_iou=0.85, differing=5e-3, confidence=1e-2),
}


class FrameParity(msgspec.Struct, frozen=True, kw_only=True):
    """One reference frame: this machine against PyTorch."""

    name: str
    score_deviation: float
    """Largest absolute difference over all tiles and classes, 0..1."""
    gate_flips: int
    """(tile, class) pairs on the other side of the default gate."""
    iou: float | None
    """Marks of the right class over marks of either, 0..1; None where PyTorch marks nothing."""
    pixels_differing: int
    pixels: int
    confidence_deviation: float
    """Mean absolute difference over the frame, 0..1; one level of the output is 1/255."""


class ParityReport(msgspec.Struct, frozen=True, kw_only=True):
    """What check_parity() found; it is only returned when every figure is within TOLERANCES."""

    backend: str
    precision: Precision
    bundle_hash: str
    frames: tuple[FrameParity, ...]
    second_thresholds: FrameParity
    """The frame that thresholds change most, at thresholds halfway to their upper bounds."""

    @property
    def score_deviation(self) -> float:
        return max(frame.score_deviation for frame in self.frames)

    @property
    def mean_iou(self) -> float | None:
        """None when PyTorch marks nothing in any frame."""
        marked = [frame.iou for frame in self.frames if frame.iou is not None]
        return sum(marked) / len(marked) if marked else None

    @property
    def gate_flips(self) -> int:
        return sum(frame.gate_flips for frame in self.frames)

    @property
    def pixels_differing(self) -> int:
        return sum(frame.pixels_differing for frame in self.frames)


def check_parity(bundle: Bundle, classifier: Engine, segmenter: Engine) -> ParityReport:
    """
    Compare both engines with PyTorch's answers; return the report if they agree.

    Args:
        bundle: holds the reference frames and the answers.
        classifier, segmenter: open engines of the bundle's networks; their input buffers are overwritten.

    Raises:
        ParityFailed: an answer is not finite or out of tolerance, or the bundle has no reference frames.
        InferenceFailed: a runtime refused.
    """
    report = measure_parity(bundle, classifier, segmenter)
    problems = problems_of(report)
    if problems:
        raise ParityFailed(f"{bundle.path}: {report.backend} {report.precision}: {problems[0]}; do not use this engine")
    return report


def measure_parity(bundle: Bundle, classifier: Engine, segmenter: Engine) -> ParityReport:
    """
    Compare both engines with PyTorch's answers, without judging (``edge-engine verify`` prints bad reports too).

    Raises:
        ParityFailed: an answer is not finite, or the bundle has no reference frames.
        InferenceFailed: a runtime refused.
    """
    manifest = bundle.manifest
    if not manifest.reference:
        raise ParityFailed(f"{bundle.path}: the bundle has no reference frames; export it with --reference")
    defaults = np.array([c.threshold.default for c in manifest.classes], np.float32)
    second = np.array([_raised(c.threshold) for c in manifest.classes], np.float32)
    references = [load_reference(bundle, frame) for frame in manifest.reference]
    frames = [_frame_parity(manifest, ref, classifier, segmenter, defaults) for ref in references]
    most_changed = max(references, key=lambda ref: _changed(ref, defaults, second))
    return ParityReport(
        backend=segmenter.backend,
        precision=segmenter.precision,
        bundle_hash=bundle.hash,
        frames=tuple(frames),
        second_thresholds=_frame_parity(manifest, most_changed, classifier, segmenter, second),
    )


def problems_of(report: ParityReport) -> list[str]:
    """Return one line for each figure that is out of tolerance, naming the frame, the value and the bound."""
    tolerance = TOLERANCES[report.precision]
    problems = [line for frame in report.frames for line in _frame_problems(frame, tolerance)]
    if report.mean_iou is not None and report.mean_iou < tolerance.mean_iou:
        problems.append(f"mean IoU {report.mean_iou:.4f} against PyTorch, expected {tolerance.mean_iou} or more")
    second = _frame_problems(report.second_thresholds, tolerance)
    return problems + [f"with other thresholds: {line}" for line in second]


def _frame_problems(frame: FrameParity, tolerance: Tolerance) -> list[str]:
    share = frame.pixels_differing / frame.pixels
    upper = [
        ("score deviation", frame.score_deviation, tolerance.score),
        ("share of pixels that differ", share, tolerance.differing),
        ("confidence deviation", frame.confidence_deviation, tolerance.confidence),
    ]
    problems = [
        f"frame '{frame.name}': {what} {value:.2g}, expected {limit:g} or less"
        for what, value, limit in upper
        if not value <= limit
    ]
    if frame.iou is not None and not frame.iou >= tolerance.min_iou:
        problems.append(f"frame '{frame.name}': IoU {frame.iou:.4f}, expected {tolerance.min_iou} or more")
    return problems


def _frame_parity(
    manifest: Manifest, reference: Reference, classifier: Engine, segmenter: Engine, thresholds: NDArray[np.float32]
) -> FrameParity:
    height, width, channels = reference.image.shape
    canvas = Canvas(Grid(height, width, manifest.tile), channels, manifest.pad_value)
    canvas.write(reference.image)
    scores = _scores(canvas, classifier, reference)
    labels, confidence = _masks(canvas, segmenter, thresholds, reference.name)
    expected = labels_from_planes(reference.planes, thresholds)
    gates = np.array([c.gate.default for c in manifest.classes], np.float32)
    return FrameParity(
        name=reference.name,
        score_deviation=float(np.abs(scores - reference.scores).max()),
        gate_flips=int(((scores > gates) != (reference.scores > gates)).sum()),
        iou=_iou(labels, expected),
        pixels_differing=int((labels != expected).sum()),
        pixels=expected.size,
        confidence_deviation=float(np.abs(confidence / 255.0 - reference.planes.max(axis=0)).mean()),
    )


def _scores(canvas: Canvas, classifier: Engine, reference: Reference) -> NDArray[np.float32]:
    """Return the (T, K) scores of all tiles."""
    scores = np.empty_like(reference.scores)
    for indices in _runs(canvas.grid, classifier):
        canvas.cut(indices, classifier.inputs[TILES])
        scores[indices] = classifier.run(len(indices))[SCORES]
    _require_finite(scores, SCORES, classifier, reference.name)
    return scores


def _masks(
    canvas: Canvas, segmenter: Engine, thresholds: NDArray[np.float32], name: str
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return labels and confidence of the whole frame, both (h, w) uint8."""
    labels, confidence = np.zeros((2, *canvas.region), np.uint8)
    segmenter.inputs[THRESHOLDS][:] = thresholds
    for indices in _runs(canvas.grid, segmenter):
        canvas.cut(indices, segmenter.inputs[TILES])
        outputs = segmenter.run(len(indices))
        _require_finite(outputs[HEALTH], HEALTH, segmenter, name)
        paste_cores(canvas.grid, indices, outputs[LABELS], canvas.region, labels)
        paste_cores(canvas.grid, indices, outputs[CONFIDENCE], canvas.region, confidence)
    return labels, confidence


def _runs(grid: Grid, engine: Engine) -> list[list[int]]:
    most = engine.batches[-1]
    return [list(range(start, min(start + most, grid.count))) for start in range(0, grid.count, most)]


def _require_finite(values: NDArray[np.float32], what: str, engine: Engine, name: str) -> None:
    if not np.isfinite(values).all():
        raise ParityFailed(
            f"{engine.backend} {engine.precision}: frame '{name}': {what} is not finite: the network computes NaN or "
            "infinity here; do not use this engine"
        )


def _iou(labels: NDArray[np.uint8], expected: NDArray[np.uint8]) -> float | None:
    if not expected.any():
        return None
    marked = (labels > 0) | (expected > 0)
    return float((labels == expected)[marked].mean())


def _raised(threshold: Limit) -> float:
    return (threshold.default + threshold.high) / 2


def _changed(reference: Reference, first: NDArray[np.float32], second: NDArray[np.float32]) -> int:
    return int((labels_from_planes(reference.planes, first) != labels_from_planes(reference.planes, second)).sum())
