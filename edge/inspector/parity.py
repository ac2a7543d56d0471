"""
Parity: does this machine give PyTorch's answers? No engine is used before it has shown that it does.

All tiles of every reference frame go through both engines, whatever the gates say; the scores, labels and confidence
are set against the answers in the bundle. Thresholds are an input of the network: that labels follow them is tried.
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
from engines.contract import CONFIDENCE, HEALTH, LABELS, PLANES_FROM, SCORES, THRESHOLDS, TILES, Manifest


@dataclass(frozen=True)
class Tolerance:
    """
    How far a machine may be from PyTorch.

    Attributes:
        score: largest difference of a tile's score, 0..1.
        doubt: pixels whose label PyTorch itself changes when its thresholds move by so much are not judged, 0..1.
        iou: of the masks of all frames together, 0..1.
        frame_iou: of each frame in which PyTorch marks ENOUGH_PX, 0..1.
        differing: largest share of a frame's pixels with another label, 0..1.
        confidence: largest mean difference of a frame's confidence, 0..1.
        followed: smallest share of pixels that take PyTorch's label when the thresholds change, 0..1.
    """

    score: float
    doubt: float
    iou: float
    frame_iou: float
    differing: float
    confidence: float
    followed: float


# fp32 differs by the order of summation and of stored answers by rounding; bf16 keeps 8 bits of every product: on a
# network with soft edges 97 % of the masks agreed, and every pixel that did not was within 0.07 of its threshold.
TOLERANCES: dict[Precision, Tolerance] = {
    "fp32": Tolerance(score=1e-3, doubt=1e-3, iou=0.99, frame_iou=0.95, differing=1e-3, confidence=2e-3, followed=0.95),
    "fp16": Tolerance(score=1e-2, doubt=1e-2, iou=0.99, frame_iou=0.95, differing=2e-3, confidence=4e-3, followed=0.9),
    "int8": Tolerance(score=1e-1, doubt=5e-2, iou=0.98, frame_iou=0.85, differing=1e-2, confidence=2e-2, followed=0.8),
    "bf16": Tolerance(score=5e-2, doubt=3e-2, iou=0.98, frame_iou=0.85, differing=5e-3, confidence=1e-2, followed=0.8),
}

ENOUGH_PX = 64
"""Of fewer marked pixels, one on a border is too large a share to judge a frame by."""


class FrameParity(msgspec.Struct, frozen=True, kw_only=True):
    """One reference frame: this machine against PyTorch."""

    name: str
    score_deviation: float
    """Largest absolute difference over all tiles and classes, 0..1."""
    gate_flips: int
    """(tile, class) pairs on the other side of the default gate."""
    pixels_marked: int
    """By PyTorch, without those in doubt."""
    pixels_agreeing: int
    """Of these, marked here as the same class."""
    pixels_united: int
    """Marked by either, without those in doubt."""
    pixels_differing: int
    pixels: int
    confidence_deviation: float
    """Mean absolute difference over the frame, 0..1; one level of the output is 1/255."""

    @property
    def iou(self) -> float | None:
        """Marks of the right class over marks of either, 0..1; None where PyTorch marks nothing."""
        return self.pixels_agreeing / self.pixels_united if self.pixels_marked else None


class ThresholdParity(msgspec.Struct, frozen=True, kw_only=True):
    """The reference frame that other thresholds change most: do this machine's labels follow?"""

    name: str
    pixels_changed: int
    """Pixels to which PyTorch gives another label under the other thresholds."""
    followed: float
    """Share of them that get PyTorch's new label here, 0..1; 1 if there are none."""


class ParityReport(msgspec.Struct, frozen=True, kw_only=True):
    """What check_parity() found; it is only returned when every figure is within TOLERANCES."""

    backend: str
    precision: Precision
    bundle_hash: str
    frames: tuple[FrameParity, ...]
    thresholds: ThresholdParity

    @property
    def score_deviation(self) -> float:
        return max(frame.score_deviation for frame in self.frames)

    @property
    def iou(self) -> float | None:
        """Of all frames together; None when PyTorch marks nothing in any."""
        united = sum(frame.pixels_united for frame in self.frames)
        if not any(frame.pixels_marked for frame in self.frames):
            return None
        return sum(frame.pixels_agreeing for frame in self.frames) / united

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
    references = [load_reference(bundle, frame) for frame in manifest.reference]
    return ParityReport(
        backend=segmenter.backend,
        precision=segmenter.precision,
        bundle_hash=bundle.hash,
        frames=tuple(_frame_parity(manifest, reference, classifier, segmenter) for reference in references),
        thresholds=_threshold_parity(manifest, references, segmenter),
    )


def labels_of(bundle: Bundle, reference: Reference, segmenter: Engine) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """
    Return a reference frame's labels by PyTorch and by this engine, both (h, w) uint8, at the default thresholds.

    Raises:
        ParityFailed: health is not finite.
        InferenceFailed: the runtime refused.
    """
    thresholds = np.array([c.threshold.default for c in bundle.manifest.classes], np.float32)
    found, _ = _masks(_canvas(bundle.manifest, reference), segmenter, thresholds, reference.name)
    return labels_from_planes(reference.planes, thresholds), found


def problems_of(report: ParityReport) -> list[str]:
    """Return one line for each figure that is out of tolerance, naming the frame, the value and the bound."""
    tolerance = TOLERANCES[report.precision]
    problems = [line for frame in report.frames for line in _frame_problems(frame, tolerance)]
    if report.iou is not None and not report.iou >= tolerance.iou:
        problems.append(f"IoU {report.iou:.4f} over all frames, expected {tolerance.iou} or more")
    moved = report.thresholds
    if not moved.followed >= tolerance.followed:
        problems.append(
            f"frame '{moved.name}': {moved.followed:.1%} of {moved.pixels_changed} px follow other thresholds, "
            f"expected {tolerance.followed:.0%} or more: the network does not take its thresholds from the input"
        )
    return problems


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
    enough = frame.pixels_marked >= ENOUGH_PX
    if enough and frame.iou is not None and not frame.iou >= tolerance.frame_iou:
        problems.append(f"frame '{frame.name}': IoU {frame.iou:.4f}, expected {tolerance.frame_iou} or more")
    return problems


def _frame_parity(manifest: Manifest, reference: Reference, classifier: Engine, segmenter: Engine) -> FrameParity:
    gates = np.array([c.gate.default for c in manifest.classes], np.float32)
    thresholds = np.array([c.threshold.default for c in manifest.classes], np.float32)
    canvas = _canvas(manifest, reference)
    scores = _scores(canvas, classifier, reference)
    labels, confidence = _masks(canvas, segmenter, thresholds, reference.name)
    expected = labels_from_planes(reference.planes, thresholds)
    doubt = TOLERANCES[segmenter.precision].doubt
    clear = ~_changed(reference, thresholds - doubt, thresholds + doubt)
    return FrameParity(
        name=reference.name,
        score_deviation=float(np.abs(scores - reference.scores).max()),
        gate_flips=int(((scores > gates) != (reference.scores > gates)).sum()),
        pixels_marked=int((clear & (expected > 0)).sum()),
        pixels_agreeing=int((clear & (expected > 0) & (labels == expected)).sum()),
        pixels_united=int((clear & ((expected > 0) | (labels > 0))).sum()),
        pixels_differing=int((labels != expected).sum()),
        pixels=expected.size,
        confidence_deviation=_confidence_deviation(confidence, reference),
    )


def _threshold_parity(manifest: Manifest, references: list[Reference], segmenter: Engine) -> ThresholdParity:
    """Move all thresholds halfway to either bound, whichever changes PyTorch's labels of some frame most."""
    limits = [c.threshold for c in manifest.classes]
    default = np.array([limit.default for limit in limits], np.float32)
    moved = [
        np.array([(limit.default + bound) / 2 for limit, bound in zip(limits, bounds, strict=True)], np.float32)
        for bounds in ([limit.low for limit in limits], [limit.high for limit in limits])
    ]
    reference, thresholds = max(
        ((reference, thresholds) for reference in references for thresholds in moved),
        key=lambda pair: int(_changed(pair[0], default, pair[1]).sum()),
    )
    changed = _changed(reference, default, thresholds)
    labels, _ = _masks(_canvas(manifest, reference), segmenter, thresholds, reference.name)
    same = labels == labels_from_planes(reference.planes, thresholds)
    return ThresholdParity(
        name=reference.name,
        pixels_changed=int(changed.sum()),
        followed=float(same[changed].mean()) if changed.any() else 1.0,
    )


def _canvas(manifest: Manifest, reference: Reference) -> Canvas:
    height, width, channels = reference.image.shape
    canvas = Canvas(Grid(height, width, manifest.tile), channels, manifest.pad_value)
    canvas.write(reference.image)
    return canvas


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


def _confidence_deviation(confidence: NDArray[np.uint8], reference: Reference) -> float:
    """Return the mean absolute difference; an answer of 0 stands for all below PLANES_FROM."""
    found, expected = confidence / 255.0, reference.planes.max(axis=0)
    beyond = np.where(expected > 0.0, np.abs(found - expected), np.maximum(found - PLANES_FROM, 0.0))
    return float(beyond.mean())


def _changed(reference: Reference, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return where PyTorch's labels differ between two sets of thresholds, (h, w)."""
    return np.asarray(labels_from_planes(reference.planes, first) != labels_from_planes(reference.planes, second))
