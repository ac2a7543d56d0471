"""The frames that the section ``precision`` judges, half of them near a limit, and what each machine makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.inspector.answers import FrameAnswers, ask_masks, ask_scores, canvas_of, judge
from edge.inspector.guard import AnswerPair, GuardReport, guard_report, guarded
from edge.inspector.parity import TOLERANCES
from edge.records import Outcome
from edge.rules import Recipe
from edge.synthetic import Strip
from edge.tiles import Canvas
from engines.calibration_set import CalibrationSet
from tests.qualify.precision_machines import BASE, MACHINES, REFERENCE, Engines, Machine

# Training took seed 1, the demo takes 7 and 2024: none of these.
CALIBRATION_SEED, JUDGED_SEED = 515_151, 727_272
APART = 10
"""Only every tenth frame of the strip: neighbours share their surface."""
NEAR = 0.1
_UNDER_GATE = 0.3
"""Tiles whose score is further under every gate are segmented by nobody, but for the neighbours of others: no band
reaches so low."""


@dataclass(frozen=True)
class Seen:
    """One frame, and which of its tiles every machine segments."""

    canvas: Canvas
    tiles: list[int]
    answers: dict[Machine, FrameAnswers]


@dataclass
class Tally:
    """What one machine did on the judged frames, against the reference."""

    both: int = 0
    either: int = 0
    both_clear: int = 0
    either_clear: int = 0
    score: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    guarded: list[Outcome] = field(default_factory=list)


class Frames:
    """What machines answer to frames; the same tiles of a frame for all of them."""

    def __init__(self, bundle: Bundle, recipe: Recipe, engines: Mapping[Machine, Engines]) -> None:
        self.manifest, self.recipe, self._engines = bundle.manifest, recipe, engines

    def bands(self, found: CalibrationSet) -> dict[Machine, GuardReport]:
        """Measure each machine's guard band on the pictures that nothing was calibrated with."""
        pairs: dict[Machine, list[AnswerPair]] = {machine: [] for machine in MACHINES}
        for image in found.guard_frames():
            answers = self._completed(self._by_reference(image)).answers
            for machine in MACHINES:
                pairs[machine].append(AnswerPair(answers[REFERENCE], answers[machine]))
        return {machine: guard_report(self.manifest, self.recipe, of) for machine, of in pairs.items()}

    def judged(self, bands: Mapping[Machine, GuardReport], count: int) -> dict[str, dict[str, Any]]:
        """Judge *count* frames of the strip, half of them near a gate or limit; return figures by machine."""
        tallies = {machine: Tally() for machine in MACHINES}
        defective: list[bool] = []
        for seen, shows in self._near_and_far(count):
            seen = self._completed(seen)
            clear = self._clear(seen) if seen.answers[REFERENCE].labels.any() else None
            for machine, tally in tallies.items():
                self._add(tally, seen.answers[REFERENCE], seen.answers[machine], clear)
                lowered = guarded(self.recipe, bands[machine].band)
                tally.outcomes.append(judge(self.manifest, seen.answers[machine], self.recipe).outcome)
                tally.guarded.append(judge(self.manifest, seen.answers[machine], lowered).outcome)
            defective.append(shows)
        expected = tallies[REFERENCE].outcomes
        return {machine.name: _figures(tally, expected, defective) for machine, tally in tallies.items()}

    def _near_and_far(self, count: int) -> Iterator[tuple[Seen, bool]]:
        """Yield frames as the reference sees them, and whether they are defective."""
        strip = Strip(JUDGED_SEED, defect_share=0.5)
        wanted = {True: count // 2, False: count - count // 2}
        number = 0
        while any(wanted.values()):
            frame = strip.frame(number)
            seen = self._by_reference(frame.image[..., np.newaxis])
            near = self._is_near(seen.answers[REFERENCE])
            if wanted[near]:
                wanted[near] -= 1
                yield seen, bool(frame.labels.any())
            number += APART

    def _by_reference(self, image: NDArray[np.uint8]) -> Seen:
        canvas = canvas_of(self.manifest, image)
        classifier, segmenter = self._engines[REFERENCE]
        scores = ask_scores(canvas, classifier, len(self.recipe.classes), "precision")
        suspicious = np.flatnonzero((scores >= self.recipe.gates - _UNDER_GATE).any(axis=1)).tolist()
        tiles = sorted({tile for i in suspicious for tile in (i, *canvas.grid.neighbours(i))})
        masks = ask_masks(canvas, segmenter, self.recipe.thresholds, "precision", tiles)
        return Seen(canvas, tiles, {REFERENCE: FrameAnswers(scores, *masks)})

    def _completed(self, seen: Seen) -> Seen:
        """Ask the other machines, too."""
        answers = dict(seen.answers)
        for machine, (classifier, segmenter) in self._engines.items():
            if machine not in answers:
                scores = ask_scores(seen.canvas, classifier, len(self.recipe.classes), machine.name)
                masks = ask_masks(seen.canvas, segmenter, self.recipe.thresholds, machine.name, seen.tiles)
                answers[machine] = FrameAnswers(scores, *masks)
        return Seen(seen.canvas, seen.tiles, answers)

    def _is_near(self, answers: FrameAnswers) -> bool:
        """Tell whether a score lies within 10 % of its gate, or a region that is found within 10 % of a limit."""
        if (np.abs(answers.scores - self.recipe.gates) <= NEAR * self.recipe.gates).any():
            return True
        for defect in judge(self.manifest, answers, self.recipe).findings.defects:
            limits = self.recipe.classes[defect.class_id - 1]
            if abs(defect.area_px - limits.min_area_px) <= NEAR * limits.min_area_px:
                return True
            if limits.min_peak and abs(defect.peak - limits.min_peak) <= NEAR * limits.min_peak:
                return True
        return False

    def _clear(self, seen: Seen) -> NDArray[np.bool_]:
        """Return (h, w): pixels whose label float32 itself keeps when its thresholds move by parity's doubt of int8."""
        segmenter, doubt = self._engines[BASE][1], TOLERANCES["int8"].doubt
        low, high = (
            ask_masks(seen.canvas, segmenter, self.recipe.thresholds + moved, "clear", seen.tiles)[0]
            for moved in (-doubt, doubt)
        )
        return np.asarray(low == high)

    def _add(self, tally: Tally, expected: FrameAnswers, found: FrameAnswers, clear: NDArray[np.bool_] | None) -> None:
        tally.score = max(tally.score, float(np.abs(expected.scores - found.scores).max()))
        if clear is None:  # the reference marks nothing
            return
        both = (expected.labels == found.labels) & (expected.labels > 0)
        either = (expected.labels > 0) | (found.labels > 0)
        tally.both, tally.either = tally.both + int(both.sum()), tally.either + int(either.sum())
        tally.both_clear += int((both & clear).sum())
        tally.either_clear += int((either & clear).sum())


def _figures(tally: Tally, expected: Sequence[Outcome], defective: Sequence[bool]) -> dict[str, Any]:
    passing = [i for i, outcome in enumerate(expected) if outcome is Outcome.PASS and not defective[i]]
    return {
        "frames": len(expected),
        "rejected by the reference": expected.count(Outcome.REJECT),
        "defective": sum(defective),
        "score deviation": tally.score,
        "IoU": tally.both / max(tally.either, 1),
        "IoU, clear": tally.both_clear / max(tally.either_clear, 1),
        "sound and passing": len(passing),
        **{
            name: {
                "flips": sum(one is not other for one, other in zip(expected, found, strict=True)),
                "opens": sum(
                    one is Outcome.REJECT and other is Outcome.PASS for one, other in zip(expected, found, strict=True)
                ),
                "overkill": sum(found[i] is Outcome.REJECT for i in passing),
            }
            for name, found in (("plain", tally.outcomes), ("banded", tally.guarded))
        },
    }
