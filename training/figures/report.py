"""One report of one split, whoever gave the answers: PyTorch, or the daemon as a subscriber received it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.records import Outcome
from engines.contract import DefectClass
from training.data.datasets import Dataset, Sample
from training.data.splits import Split
from training.data.windows import Picture
from training.figures.intervals import CONFIDENCE, Estimate
from training.figures.masks import MaskCounts, MaskFigures
from training.figures.metrics import mark_dice
from training.figures.parts import Part, PartFigures, part_figures
from training.figures.ranking import RankingFigures, ranking_figures
from training.figures.regions import RegionCounts, RegionFigures
from training.figures.tiles import TileFigures

BAD_SHARE = 0.01


@dataclass(frozen=True)
class Terms:
    """
    What figures are stated for.

    Attributes:
        confidence: of every interval and bound, 0..1.
        bad_share: of the parts that come in, assumed for what is shipped, 0..1.
    """

    confidence: float = CONFIDENCE
    bad_share: float = BAD_SHARE


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one split; definitions in the modules they come from."""

    dataset: str
    dataset_sha256: str
    split: Split
    made_by: str
    classes: tuple[DefectClass, ...] = ()
    """Gates, thresholds and rules that decided; empty where a station did, by its own recipe."""
    images: int
    groups: int
    unknown: int
    """Pictures without an answer. Their masks and scores stand in no figure; in the decisions they do not pass."""
    decisions: PartFigures
    ranking: RankingFigures
    masks: MaskFigures
    regions: RegionFigures
    overlap_area: Estimate | None = None
    """Per-region overlap integrated over thresholds; only where whole pictures were segmented."""
    tiles: TileFigures | None = None
    """None where only whole pictures were seen."""
    segmented_share: float | None = None
    """Share of the tiles that went on to the segmenter."""
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Found:
    """What was said of one picture: outcome, highest score, (h, w) labels; neither of both if it is UNKNOWN."""

    outcome: Outcome
    score: float
    labels: NDArray[np.uint8]


class Tally:
    """Adds up pictures and what was said of them."""

    def __init__(self, dataset: Dataset, split: Split) -> None:
        self._dataset = dataset
        self._split = split
        self._masks = MaskCounts(dataset.class_names)
        self._regions = RegionCounts()
        self._parts: list[Part] = []

    def add(self, sample: Sample, picture: Picture, found: Found) -> None:
        """Count one picture; of one that is not drawn only the decision and the score are judged."""
        masks = picture.drawn and found.outcome is not Outcome.UNKNOWN
        self._parts.append(
            Part(
                source=sample.source,
                group=sample.group,
                class_id=class_of(picture),
                outcome=found.outcome,
                found_id=largest_class(found.labels),
                score=found.score,
                dice=mark_dice(picture.labels, found.labels) if masks else None,
            )
        )
        if masks:
            self._masks.add(picture.labels, found.labels, sample.group)
            self._regions.add(picture.labels, found.labels, sample.group, passed=found.outcome is Outcome.PASS)

    def report(
        self,
        made_by: str,
        terms: Terms,
        *,
        classes: tuple[DefectClass, ...] = (),
        tiles: TileFigures | None = None,
        segmented_share: float | None = None,
        overlap_area: Estimate | None = None,
    ) -> Report:
        """Return the figures of all pictures so far."""
        names, parts = self._dataset.class_names, self._parts
        answered = [part for part in parts if part.outcome is not Outcome.UNKNOWN]
        return Report(
            dataset=self._dataset.name,
            dataset_sha256=self._dataset.sha256,
            split=self._split,
            made_by=made_by,
            classes=classes,
            images=len(parts),
            groups=len({part.group for part in parts}),
            unknown=len(parts) - len(answered),
            decisions=part_figures(parts, names, terms.bad_share, terms.confidence),
            ranking=ranking_figures(
                [part.score for part in answered],
                [part.class_id != 0 for part in answered],
                [part.group for part in answered],
                terms.confidence,
            ),
            masks=self._masks.figures(terms.confidence),
            regions=self._regions.figures(terms.confidence),
            overlap_area=overlap_area,
            tiles=tiles,
            segmented_share=segmented_share,
            parts=tuple(parts),
        )


def class_of(picture: Picture) -> int:
    """Return the class that fills most of a picture, 0 for a sound one; of one that is not drawn its first class."""
    return largest_class(picture.labels) if picture.drawn else picture.class_ids[0]


def largest_class(labels: NDArray[np.uint8]) -> int:
    """Return the class that most pixels have, 0 where all are sound."""
    counts = np.bincount(labels.ravel(), minlength=2)[1:]
    return int(counts.argmax()) + 1 if counts.any() else 0
