"""
Parity: does this machine give PyTorch's answers? No engine is used before it has shown that it does.

All tiles of every reference frame go through both engines, whatever the gates say; the scores, labels and confidence
are set against the answers in the bundle, and so is the verdict that the cascade reaches on either. Thresholds are an
input of the network: that labels follow them is tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.errors import ParityFailed
from edge.inspector.answers import ask, ask_masks, canvas_of, judge
from edge.inspector.backend import Engine, Precision
from edge.inspector.golden import inspect_answers
from edge.inspector.guard import NO_BAND, GuardBand, guarded
from edge.records import Outcome
from edge.reference import Reference, load_reference
from edge.rules import default_recipe
from edge.tiles import labels_from_planes
from engines.contract import PLANES_FROM, Manifest


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
# fp16 keeps 11 bits: on the shipped bundle scores moved by 0.0016 and one pixel in 24,000, nothing beyond doubt; it
# is allowed three times that. int8 moved scores by 0.07, one pixel in 900, no more than 0.4 in a thousand of the clear
# masks; signed, with no layer kept but the outermost, 0.18 and 26 in a thousand: too much, and --keep mends it.
TOLERANCES: dict[Precision, Tolerance] = {
    "fp32": Tolerance(score=1e-3, doubt=1e-3, iou=0.99, frame_iou=0.95, differing=1e-3, confidence=2e-3, followed=0.95),
    "fp16": Tolerance(score=5e-3, doubt=5e-3, iou=0.99, frame_iou=0.95, differing=1e-3, confidence=2e-3, followed=0.95),
    "int8": Tolerance(score=0.15, doubt=5e-2, iou=0.98, frame_iou=0.85, differing=5e-3, confidence=1e-2, followed=0.8),
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
    expected: Outcome
    """By PyTorch's answers, under the manifest's own values."""
    found: Outcome
    """Here, under the same values."""
    guarded: Outcome
    """Here, with the guard band taken off them: so the line will judge."""

    @property
    def iou(self) -> float | None:
        """Marks of the right class over marks of either, 0..1; None where PyTorch marks nothing."""
        return self.pixels_agreeing / self.pixels_united if self.pixels_marked else None

    @property
    def fails_open(self) -> bool:
        """A part that must be rejected would pass here."""
        return self.expected is Outcome.REJECT and self.guarded is Outcome.PASS


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
    band: GuardBand = NO_BAND
    """Of this engine, applied to what is ``guarded``."""

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

    @property
    def verdict_flips(self) -> int:
        """Frames judged otherwise than by PyTorch's answers, without the band."""
        return sum(frame.found is not frame.expected for frame in self.frames)

    @property
    def fails_open(self) -> int:
        """Frames that are a REJECT by PyTorch's answers and a PASS here, without the band."""
        return sum(f.expected is Outcome.REJECT and f.found is Outcome.PASS for f in self.frames)

    @property
    def guarded_flips(self) -> int:
        """Frames judged otherwise than by PyTorch's answers, with the band: sound ones that it costs, or worse."""
        return sum(frame.guarded is not frame.expected for frame in self.frames)

    @property
    def guarded_fails_open(self) -> int:
        """Frames that are a REJECT by PyTorch's answers and a PASS here in spite of the band: not allowed."""
        return sum(frame.fails_open for frame in self.frames)


def check_parity(bundle: Bundle, classifier: Engine, segmenter: Engine, band: GuardBand = NO_BAND) -> ParityReport:
    """
    Compare both engines with PyTorch's answers; return the report if they agree.

    Args:
        bundle: holds the reference frames and the answers.
        classifier, segmenter: open engines of the bundle's networks; their input buffers are overwritten.
        band: of these engines, taken off the limits before the verdicts are compared.

    Raises:
        ParityFailed: an answer is not finite or out of tolerance, or the bundle has no reference frames.
        InferenceFailed: a runtime refused.
    """
    report = measure_parity(bundle, classifier, segmenter, band)
    problems = problems_of(report)
    if problems:
        raise ParityFailed(f"{bundle.path}: {report.backend} {report.precision}: {problems[0]}; do not use this engine")
    return report


def measure_parity(bundle: Bundle, classifier: Engine, segmenter: Engine, band: GuardBand = NO_BAND) -> ParityReport:
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
        frames=tuple(_frame_parity(manifest, reference, (classifier, segmenter), band) for reference in references),
        thresholds=_threshold_parity(manifest, references, segmenter),
        band=band,
    )


def labels_of(bundle: Bundle, reference: Reference, segmenter: Engine) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """
    Return a reference frame's labels by PyTorch and by this engine, both (h, w) uint8, at the default thresholds.

    Raises:
        ParityFailed: health is not finite.
        InferenceFailed: the runtime refused.
    """
    thresholds = np.array([c.threshold.default for c in bundle.manifest.classes], np.float32)
    found, _ = ask_masks(canvas_of(bundle.manifest, reference.image), segmenter, thresholds, reference.name)
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
    if frame.fails_open:
        problems.append(f"frame '{frame.name}': {frame.guarded.value} here, expected REJECT as by PyTorch's answers")
    return problems


def _frame_parity(
    manifest: Manifest, reference: Reference, engines: tuple[Engine, Engine], band: GuardBand
) -> FrameParity:
    recipe = default_recipe(manifest.classes)
    gates, thresholds = recipe.gates, recipe.thresholds
    answers = ask(canvas_of(manifest, reference.image), engines, thresholds, reference.name)
    expected = labels_from_planes(reference.planes, thresholds)
    doubt = TOLERANCES[engines[1].precision].doubt
    clear = ~_changed(reference, thresholds - doubt, thresholds + doubt)
    labels = answers.labels
    outcome = judge(manifest, answers, recipe).outcome
    return FrameParity(
        name=reference.name,
        score_deviation=float(np.abs(answers.scores - reference.scores).max()),
        gate_flips=int(((answers.scores > gates) != (reference.scores > gates)).sum()),
        pixels_marked=int((clear & (expected > 0)).sum()),
        pixels_agreeing=int((clear & (expected > 0) & (labels == expected)).sum()),
        pixels_united=int((clear & ((expected > 0) | (labels > 0))).sum()),
        pixels_differing=int((labels != expected).sum()),
        pixels=expected.size,
        confidence_deviation=_confidence_deviation(answers.confidence, reference),
        expected=inspect_answers(manifest, reference, recipe).outcome,
        found=outcome,
        guarded=outcome if band == NO_BAND else judge(manifest, answers, guarded(recipe, band)).outcome,
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
    labels, _ = ask_masks(canvas_of(manifest, reference.image), segmenter, thresholds, reference.name)
    same = labels == labels_from_planes(reference.planes, thresholds)
    return ThresholdParity(
        name=reference.name,
        pixels_changed=int(changed.sum()),
        followed=float(same[changed].mean()) if changed.any() else 1.0,
    )


def _confidence_deviation(confidence: NDArray[np.uint8], reference: Reference) -> float:
    """Return the mean absolute difference; an answer of 0 stands for all below PLANES_FROM."""
    found, expected = confidence / 255.0, reference.planes.max(axis=0)
    beyond = np.where(expected > 0.0, np.abs(found - expected), np.maximum(found - PLANES_FROM, 0.0))
    return float(beyond.mean())


def _changed(reference: Reference, first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return where PyTorch's labels differ between two sets of thresholds, (h, w)."""
    return np.asarray(labels_from_planes(reference.planes, first) != labels_from_planes(reference.planes, second))
