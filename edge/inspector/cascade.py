"""
The cascade: classify every tile, segment the suspicious ones, assemble, decide. Pure but for the two engines.

The daemon drives it, and through the daemon the demo and edge-bench: there is no second one on the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.clock import SYSTEM_CLOCK, Clock, Stopwatch
from edge.errors import InferenceFailed
from edge.inspector.backend import Engine
from edge.records import Outcome
from edge.rules import NO_FINDINGS, Box, Findings, Recipe, findings_from_labels, outcome_from_findings
from edge.tiles import Canvas, Grid, paste_cores
from engines.contract import CONFIDENCE, HEALTH, LABELS, SCORES, THRESHOLDS, TILES, Manifest


class DeadlinePassed(Exception):
    """The part's time is over: nothing more is started for it. The station has answered it already."""


@dataclass(frozen=True)
class Inspection:
    """
    What the cascade found in one frame.

    Attributes:
        labels: (height, width) uint8 of the picture's region; a view that the next call overwrites.
        scores: highest classifier probability over the tiles, by class name.
        tiles, segmented: tiles each network saw.
        stages_us: time spent, by stage.
    """

    outcome: Outcome
    findings: Findings
    labels: NDArray[np.uint8]
    scores: dict[str, float]
    tiles: int
    segmented: int
    stages_us: dict[str, int]


class Cascade:
    """
    Both networks over one canvas size. Buffers are made here, once.

    Args:
        classifier, segmenter: open engines of the bundle's networks; used by one thread only.
        manifest: the bundle's.
        grid: tiles of the camera's canvas.
    """

    def __init__(
        self, classifier: Engine, segmenter: Engine, manifest: Manifest, grid: Grid, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._classifier = classifier
        self._segmenter = segmenter
        self._grid = grid
        self._clock = clock
        self._class_names = manifest.class_names
        self._labels = np.zeros((grid.height, grid.width), np.uint8)
        self._confidence = np.zeros_like(self._labels)

    def inspect(self, canvas: Canvas, recipe: Recipe, deadline_us: int) -> Inspection:
        """
        Inspect the picture that lies in *canvas*.

        Args:
            canvas: written by the camera; its grid is this cascade's.
            recipe: gates, thresholds and rules, within the manifest's bounds.
            deadline_us: monotonic; no call of a network is started after it.

        Raises:
            InferenceFailed: an engine refused, returned a label of no class, or scores or health that are not finite.
            DeadlinePassed: the deadline came first.
        """
        watch = Stopwatch(self._clock)
        height, width = canvas.region
        active = self._grid.active(height, width)
        scores = self._classify(canvas, active, deadline_us, watch)
        suspicious = _by_suspicion(active, scores, recipe)
        segmented = self._segment(canvas, suspicious, set(active), recipe, deadline_us, watch)
        labels, confidence = self._labels[:height, :width], self._confidence[:height, :width]
        findings = NO_FINDINGS
        if segmented:
            findings = findings_from_labels(labels, confidence, recipe, self._box(segmented, canvas.region))
        watch.lap("rules")
        self._refuse_late(deadline_us)
        return Inspection(
            outcome=outcome_from_findings(findings, recipe),
            findings=findings,
            labels=labels,
            scores=dict(zip(self._class_names, map(float, scores.max(axis=0)), strict=True)),
            tiles=len(active),
            segmented=len(segmented),
            stages_us=watch.stages_us,
        )

    def _classify(self, canvas: Canvas, tiles: list[int], deadline_us: int, watch: Stopwatch) -> NDArray[np.float32]:
        """Return (len(tiles), K) probabilities, every one of them finite."""
        scores = np.empty((len(tiles), len(self._class_names)), np.float32)
        largest = self._classifier.batches[-1]
        for start in range(0, len(tiles), largest):
            batch = tiles[start : start + largest]
            self._refuse_late(deadline_us)
            canvas.cut(batch, self._classifier.inputs[TILES])
            watch.lap("tile")
            scores[start : start + len(batch)] = self._classifier.run(len(batch))[SCORES]
            watch.lap("classify")
        if not np.isfinite(scores).all():
            raise InferenceFailed("classifier returned scores that are not finite; its answers cannot be believed")
        return scores

    def _segment(
        self,
        canvas: Canvas,
        tiles: list[int],
        active: set[int],
        recipe: Recipe,
        deadline_us: int,
        watch: Stopwatch,
    ) -> list[int]:
        """Write labels and confidence of *tiles* and of every neighbour a defect runs into; return all of them."""
        self._labels[:] = 0
        self._confidence[:] = 0
        self._segmenter.inputs[THRESHOLDS][:] = recipe.thresholds
        waiting, done = list(tiles), list[int]()
        while waiting:
            batch, waiting = waiting[: self._segmenter.batches[-1]], waiting[self._segmenter.batches[-1] :]
            self._refuse_late(deadline_us)
            canvas.cut(batch, self._segmenter.inputs[TILES])
            watch.lap("tile")
            answers = self._segmenter.run(len(batch))
            watch.lap("segment")
            self._refuse_unbelievable(answers)
            paste_cores(self._grid, batch, answers[LABELS], canvas.region, self._labels)
            paste_cores(self._grid, batch, answers[CONFIDENCE], canvas.region, self._confidence)
            done += batch
            waiting += self._continued(batch, active.difference(done, waiting))
            watch.lap("assemble")
        return done

    def _refuse_unbelievable(self, answers: Mapping[str, NDArray[Any]]) -> None:
        # A network with a NaN weight returns labels of all zeros, which would be a PASS: health tells.
        if not np.isfinite(answers[HEALTH]).all():
            raise InferenceFailed("segmenter's logits are not all finite; its labels cannot be believed")
        highest = int(answers[LABELS].max())
        if highest > len(self._class_names):
            raise InferenceFailed(f"segmenter returned label {highest}, expected 0 to {len(self._class_names)}")

    def _continued(self, batch: list[int], unsegmented: set[int]) -> list[int]:
        """Return the tiles of *unsegmented* into which a labelled region of *batch* runs, diagonals included."""
        return sorted(
            {n for tile in batch for n in self._grid.neighbours(tile) if n in unsegmented and self._meets(tile, n)}
        )

    def _meets(self, tile: int, neighbour: int) -> bool:
        """Tell whether labels of *tile* lie on the border it shares with *neighbour*."""
        (top, left), (other_top, other_left) = self._grid.core(tile), self._grid.core(neighbour)
        rows = _shared(top, self._grid.tile.core_height, other_top)
        columns = _shared(left, self._grid.tile.core_width, other_left)
        return bool(self._labels[rows, columns].any())

    def _box(self, tiles: list[int], region: tuple[int, int]) -> Box:
        tops, lefts = zip(*(self._grid.core(tile) for tile in tiles), strict=True)
        return Box(
            top=min(tops),
            left=min(lefts),
            bottom=min(max(tops) + self._grid.tile.core_height, region[0]),
            right=min(max(lefts) + self._grid.tile.core_width, region[1]),
        )

    def _refuse_late(self, deadline_us: int) -> None:
        if self._clock.now_us() >= deadline_us:
            raise DeadlinePassed


def _by_suspicion(tiles: list[int], scores: NDArray[np.float32], recipe: Recipe) -> list[int]:
    """Return the tiles that reach the gate of any class, the most suspicious first."""
    over = scores - recipe.gates
    worst = over.max(axis=1)
    return [tiles[i] for i in np.argsort(-worst, kind="stable") if worst[i] >= 0]


def _shared(start: int, length: int, other: int) -> slice:
    """Return the part of start..start+length-1 that touches the neighbour beginning at *other*: all, last or first."""
    if other == start:
        return slice(start, start + length)
    return slice(start + length - 1, start + length) if other > start else slice(start, start + 1)
