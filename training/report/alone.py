"""One trained network and whole pictures: what it says without the other one, at the values of a new bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.records import Outcome
from edge.tiles import labels_from_planes, paste_cores
from engines.limits import GATE, MIN_AREA_PX, THRESHOLD
from training.data.samples import Sample
from training.data.windows import Picture
from training.figures.engine import canvas_of, planes_of, scores_of, tiles_of
from training.figures.metrics import mark_dice
from training.figures.parts import SOUND, Part
from training.figures.report import class_of, largest_class
from training.networks.checkpoint import CheckpointSpec, Network, load
from training.report.pictures import outlined, with_scores


@dataclass(frozen=True)
class Seen:
    """
    One picture and what the network says of it.

    Attributes:
        scores: (T,) highest probability of any class in each tile.
        marks: the labels of a segmenter as PNG, so that those of many pictures fit into memory; None of a classifier.
    """

    sample: Sample
    part: Part
    scores: NDArray[np.float32]
    marks: NDArray[np.uint8] | None


class LoneNetwork:
    """
    A checkpoint.

    Raises:
        BundleError, DataError: it is unusable; see checkpoint.load().
    """

    def __init__(self, path: Path) -> None:
        self.spec: CheckpointSpec
        self._network: Network
        self.spec, self._network = load(path)

    def look(self, sample: Sample) -> Seen:
        """
        Judge a picture.

        Raises:
            DataError: it is unusable.
        """
        picture = sample.picture(self.spec.format)
        if self.spec.kind == "classifier":
            scores = np.concatenate(
                [scores_of(self._network, tiles) for _, tiles in tiles_of(picture.image, self.spec)]
            )
            found_id = int(scores.max(axis=0).argmax()) + 1 if scores.max() >= GATE.default else SOUND
            return Seen(sample, _part(sample, picture, scores, found_id, None), scores.max(axis=1), None)
        scores, labels = self._segmented(picture)
        found_id = largest_class(labels) if np.count_nonzero(labels) >= MIN_AREA_PX.default else SOUND
        part = _part(sample, picture, scores, found_id, labels)
        return Seen(sample, part, scores.max(axis=1), np.asarray(cv2.imencode(".png", labels)[1], np.uint8))

    def drawing(self, seen: Seen) -> bytes:
        """Return the picture as a JPEG with truth and answer."""
        picture = seen.sample.picture(self.spec.format)
        if seen.marks is not None:
            labels = np.asarray(cv2.imdecode(seen.marks, cv2.IMREAD_UNCHANGED), np.uint8)
            return outlined(picture.image, picture.labels, labels)
        grid = canvas_of(picture.image, self.spec).grid
        return with_scores(picture.image, picture.labels, grid, seen.scores, GATE.default)

    def _segmented(self, picture: Picture) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return the (T, K) highest probability of each class in each tile, and (h, w) labels."""
        height, width = picture.labels.shape
        grid = canvas_of(picture.image, self.spec).grid
        labels, scores = np.zeros((height, width), np.uint8), []
        thresholds = np.full(len(self.spec.class_names), THRESHOLD.default, np.float32)
        for indices, tiles in tiles_of(picture.image, self.spec):
            planes, _ = planes_of(self._network, tiles, self.spec.tile)
            cores = np.stack([labels_from_planes(of_tile, thresholds) for of_tile in planes])
            paste_cores(grid, indices, cores, (height, width), labels)
            scores.append(planes.max(axis=(2, 3)))
        return np.concatenate(scores), labels


def _part(
    sample: Sample,
    picture: Picture,
    scores: NDArray[np.float32],
    found_id: int,
    labels: NDArray[np.uint8] | None,
) -> Part:
    return Part(
        source=sample.source,
        group=sample.group,
        class_id=class_of(picture),
        outcome=Outcome.REJECT if found_id else Outcome.PASS,
        found_id=found_id,
        score=float(scores.max()),
        dice=mark_dice(picture.labels, labels) if picture.drawn and labels is not None else None,
    )
