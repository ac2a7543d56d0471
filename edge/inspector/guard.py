"""
The guard band: how far an engine of lower precision strays from the float32 one, and what that takes off the limits.

Pure. Measured on pictures that nothing else was tuned on; gates and limits are lowered by it for that engine, so that
what the float32 engine rejects is rejected all the same. The price are sound parts that are rejected: it is counted.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError, ParityFailed
from edge.inspector.answers import FrameAnswers, ask, canvas_of, judge
from edge.inspector.backend import Engine
from edge.records import Outcome
from edge.rules import ClassLimits, Recipe
from engines.contract import Manifest, MaxGuard

NEAR = 4.0
"""Regions from the least area that counts to so many times of it are compared by their whole area."""

_STEPS = 1000
"""A band is rounded up to the next thousandth."""

LEAST_REGIONS = 8
"""That count, on the frames a band is measured on."""

LEAST_AREA_PX = 1.0
"""A region of no pixel does not exist: the smallest limit that means anything."""


class GuardBand(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken off the limits of a recipe for one engine; all 0 for float32."""

    score: float = 0.0
    """Off every gate: the largest deviation of a tile's score, 0..1."""
    area_share: float = 0.0
    """Off every least area, as a share of it: the largest shortfall of a region that counts, 0..1."""
    peak: float = 0.0
    """Off every least peak: the largest shortfall of such a region's highest confidence, 0..1."""


NO_BAND = GuardBand()


class GuardReport(msgspec.Struct, frozen=True, kw_only=True):
    """A guard band, and what it does on the very frames it was measured on."""

    band: GuardBand
    frames: int
    rejected: int
    """By the float32 engine."""
    regions: int
    """That count in float32; the band was measured on these."""
    flips: int
    """Frames judged otherwise, without the band."""
    fails_open: int
    """Of these REJECT in float32 and PASS in the lower precision."""
    guarded_flips: int
    """Frames judged otherwise, with the band."""
    guarded_fails_open: int

    @property
    def overkill(self) -> float:
        """Share of the frames passing in float32 that the band, and the lower precision, make a REJECT, 0..1."""
        passing = self.frames - self.rejected
        return (self.guarded_flips - self.guarded_fails_open) / passing if passing else 0.0


@dataclass(frozen=True)
class AnswerPair:
    """One frame's answers in float32 and in the lower precision, with equal thresholds."""

    expected: FrameAnswers
    found: FrameAnswers


def guarded(recipe: Recipe, band: GuardBand) -> Recipe:
    """Return the recipe with lower limits, none below the smallest that means anything."""
    if band == NO_BAND:
        return recipe
    return msgspec.structs.replace(recipe, classes=tuple(_lowered(limits, band) for limits in recipe.classes))


def refuse_tighter(asked: Recipe, measured: Recipe, band: GuardBand) -> None:
    """
    Refuse a recipe that counts smaller or fainter regions than the band was measured on: it says nothing about them.

    Args:
        asked: as the engineer wrote it.
        measured: the manifest's own values.

    Raises:
        ConfigurationError: names the class and the value.
    """
    if band == NO_BAND:
        return
    for ours, theirs in zip(asked.classes, measured.classes, strict=True):
        for name in ("min_area_px", "min_peak"):
            value, least = getattr(ours, name), getattr(theirs, name)
            if value < least:
                raise ConfigurationError(
                    f"recipe, class {ours.name}: {name} = {value:g}: the guard band of this engine was measured from "
                    f"{least:g} on, the bundle's own value; use precision fp32, or export the bundle with that value"
                )


def _lowered(limits: ClassLimits, band: GuardBand) -> ClassLimits:
    return msgspec.structs.replace(
        limits,
        gate=max(limits.gate - band.score, 0.0),
        min_area_px=max(limits.min_area_px * (1.0 - band.area_share), LEAST_AREA_PX),
        min_peak=max(limits.min_peak - band.peak, 0.0),
    )


def measure_guard(
    manifest: Manifest,
    recipe: Recipe,
    frames: Iterable[NDArray[np.uint8]],
    reference: tuple[Engine, Engine],
    engines: tuple[Engine, Engine],
) -> GuardReport:
    """
    Run both pairs of engines over *frames* and return the band.

    Args:
        recipe: whose limits decide which regions count; edge.rules.default_recipe of the manifest.
        frames: pictures (h, w, C) that were not used for calibrating.
        reference: classifier and segmenter in float32.
        engines: the same in the lower precision.

    Raises:
        ParityFailed: an answer is not finite.
        InferenceFailed: a runtime refused.
    """

    def pairs() -> Iterator[AnswerPair]:
        for number, image in enumerate(frames):
            canvas, name = canvas_of(manifest, image), f"guard {number}"
            expected = ask(canvas, reference, recipe.thresholds, name)
            yield AnswerPair(expected, ask(canvas, engines, recipe.thresholds, name))

    return guard_report(manifest, recipe, pairs())


def guard_report(manifest: Manifest, recipe: Recipe, pairs: Iterable[AnswerPair]) -> GuardReport:
    """Return the band that *pairs* ask for, and what it does to them."""
    deviation, shortfalls, outcomes, packed = 0.0, list[_Shortfall](), list[Outcome](), list[_Packed]()
    for pair in pairs:
        seen = judge(manifest, pair.expected, recipe)
        deviation = max(deviation, float(np.abs(pair.expected.scores - pair.found.scores).max()))
        shortfalls += _shortfalls(seen.labels, pair, recipe)
        outcomes.append(seen.outcome)
        packed.append(_Packed(pair.found))
    band = GuardBand(
        score=_rounded_up(deviation),
        area_share=_rounded_up(max((s.area_share for s in shortfalls), default=0.0)),
        peak=_rounded_up(max((s.peak for s in shortfalls), default=0.0)),
    )
    plain = [judge(manifest, answers.unpacked(), recipe).outcome for answers in packed]
    lowered = guarded(recipe, band)
    with_band = [judge(manifest, answers.unpacked(), lowered).outcome for answers in packed]
    return GuardReport(
        band=band,
        frames=len(outcomes),
        rejected=outcomes.count(Outcome.REJECT),
        regions=len(shortfalls),
        flips=_flips(outcomes, plain),
        fails_open=_fails_open(outcomes, plain),
        guarded_flips=_flips(outcomes, with_band),
        guarded_fails_open=_fails_open(outcomes, with_band),
    )


def refuse_wide_band(report: GuardReport, most: MaxGuard, where: str, least_regions: int = LEAST_REGIONS) -> None:
    """
    Refuse an engine that strays too far, lets a reject pass in spite of the band, or was measured on too little.

    Args:
        most: of the manifest.
        where: backend and precision, for the message.
        least_regions: so many regions that count must have been compared: of sound pictures any band is narrow.

    Raises:
        ParityFailed: names the figure and the bound.
    """
    for name in ("score", "area_share", "peak"):
        found, allowed = getattr(report.band, name), getattr(most, name)
        if not found <= allowed:
            raise ParityFailed(
                f"{where}: guard band {name} = {found:g}, the bundle allows {allowed:g}: this precision strays too far "
                "from fp32; keep the layers that move most in higher precision (--keep), or use another precision"
            )
    if report.guarded_fails_open:
        raise ParityFailed(
            f"{where}: {report.guarded_fails_open} of {report.rejected} rejects pass in spite of the guard band; keep "
            "the layers that move most in higher precision (--keep), or use another precision"
        )
    if report.regions < least_regions:
        raise ParityFailed(
            f"{where}: {report.regions} regions that count on {report.frames} frames, expected {least_regions} or "
            "more to measure a guard band on: add pictures with defects"
        )


@dataclass(frozen=True)
class _Shortfall:
    area_share: float
    peak: float


def _shortfalls(seen: NDArray[np.uint8], pair: AnswerPair, recipe: Recipe) -> Iterator[_Shortfall]:
    """
    Yield what each region that counts in float32 lacks in the lower precision.

    A region of up to NEAR times the least area stands for one at the limit: its whole shortfall counts. A larger one
    must only not fall below the limit itself.

    Args:
        seen: (h, w) float32's labels, of the tiles that the cascade segments.
    """
    for label, limits in enumerate(recipe.classes, start=1):
        regions, others = _regions(seen == label), _regions(pair.found.labels == label)
        areas = np.bincount(others.ravel())
        for inside in _each(regions):
            area, peak = int(inside.sum()), int(pair.expected.confidence[inside].max()) / 255
            if area < limits.min_area_px or peak < limits.min_peak:
                continue
            candidates = np.unique(others[inside])
            candidates = candidates[candidates > 0]
            if not candidates.size:
                yield _Shortfall(1.0, 0.0)
                continue
            largest = candidates[areas[candidates].argmax()]
            needed = area if area <= NEAR * limits.min_area_px else limits.min_area_px
            found_peak = int(pair.found.confidence[others == largest].max()) / 255
            yield _Shortfall(max(0.0, 1.0 - areas[largest] / needed), max(0.0, peak - found_peak))


def _regions(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return (h, w): 0 outside, 1.. the number of the 8-connected region."""
    _, regions = cv2.connectedComponents(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    return np.asarray(regions, np.int32)


def _each(regions: NDArray[np.int32]) -> Iterator[NDArray[np.bool_]]:
    return (regions == number for number in range(1, int(regions.max(initial=0)) + 1))


class _Packed:
    """A frame's answers, small: labels and confidence are nearly all 0, where no label is."""

    def __init__(self, answers: FrameAnswers) -> None:
        self._scores, self._shape = answers.scores, answers.labels.shape
        confidence = np.where(answers.labels > 0, answers.confidence, 0)  # the rules look nowhere else
        self._labels, self._confidence = (
            zlib.compress(plane.astype(np.uint8).tobytes(), 1) for plane in (answers.labels, confidence)
        )

    def unpacked(self) -> FrameAnswers:
        labels, confidence = (
            np.frombuffer(zlib.decompress(data), np.uint8).reshape(self._shape)
            for data in (self._labels, self._confidence)
        )
        return FrameAnswers(self._scores, labels, confidence)


def _rounded_up(value: float) -> float:
    return min(math.ceil(value * _STEPS) / _STEPS, 1.0)


def _flips(expected: list[Outcome], found: list[Outcome]) -> int:
    return sum(one is not other for one, other in zip(expected, found, strict=True))


def _fails_open(expected: list[Outcome], found: list[Outcome]) -> int:
    return sum(one is Outcome.REJECT and other is Outcome.PASS for one, other in zip(expected, found, strict=True))
