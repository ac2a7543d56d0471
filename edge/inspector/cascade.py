"""
The cascade: classify every tile, segment the suspicious ones, assemble, decide. Pure but for the two engines.

The daemon drives it, and through the daemon the demo and edge-bench: there is no second one on the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.clock import SYSTEM_CLOCK, Clock, Stopwatch
from edge.errors import InferenceFailed
from edge.records import Outcome
from edge.regions import Box, findings_from_labels
from edge.rules import NO_FINDINGS, Findings, Recipe, outcome_from_findings
from edge.tiles import Canvas, Grid, paste_cores
from engines.contract import CONFIDENCE, HEALTH, LABELS, SCORES, THRESHOLDS, TILES


class TileEngine(Protocol):
    """One network as the cascade drives it: pace.PacedEngine on the line, PyTorch's own answers in calibration."""

    @property
    def inputs(self) -> Mapping[str, NDArray[Any]]:
        """The buffers that a run reads, by input name; see backend.Engine."""
        ...

    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        """Return the outputs of the first *n* rows, by name; views that the next run overwrites."""
        ...

    def rows_in(self, left_us: int, n: int) -> int:
        """Return how many of *n* rows one call can do within *left_us*, 0 when not even one."""
        ...

    def p99_us(self, n: int) -> int:
        """Return how long a call with *n* rows takes [us]."""
        ...

    def gather(self, source: Any, rows: Sequence[int]) -> bool:
        """Take tiles that *source*, the other engine, has read in its last run; see backend.Engine."""
        ...


class Networks(Protocol):
    """What the cascade knows of the two networks; a manifest says it."""

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def max_tiles(self) -> int: ...


class DeadlinePassed(Exception):
    """The part's time was over before anything was started for it. The station has answered it already."""


class Overload(Exception):
    """What is left of the part does not fit into its time, and nothing proves it a reject: UNKNOWN(overload)."""

    def __init__(self, stage: str, detail: str) -> None:
        super().__init__(f"{stage}: {detail}")
        self.stage = stage


@dataclass(frozen=True)
class Inspection:
    """
    What the cascade found in one frame.

    Attributes:
        labels: (height, width) uint8 of the picture's region; a view that the next call overwrites.
        scores: highest classifier probability over the tiles, by class name.
        tiles, segmented: tiles each network saw.
        suspicious: a tile reached a gate.
        complete: every suspicious tile was segmented; False = a REJECT that was certain before.
        stages_us: time spent, by stage.
    """

    outcome: Outcome
    findings: Findings
    labels: NDArray[np.uint8]
    scores: dict[str, float]
    tiles: int
    segmented: int
    suspicious: bool
    complete: bool
    stages_us: dict[str, int]


@dataclass(frozen=True)
class _Task:
    """One frame and what is to be known while it is worked on; see Cascade.inspect()."""

    canvas: Canvas
    recipe: Recipe
    deadline_us: int
    begins: Callable[[str], None]
    waits: Callable[[], bool]
    watch: Stopwatch


@dataclass(frozen=True)
class _Segmented:
    tiles: list[int]
    findings: Findings
    complete: bool


class Cascade:
    """
    Both networks over one canvas size. Buffers are made here, once.

    Args:
        classifier, segmenter: open engines of the bundle's networks; used by one thread only.
        networks: the bundle's manifest. Its ``max_tiles`` also bounds how many tiles a defect is followed into.
        grid: tiles of the camera's canvas.
    """

    def __init__(
        self,
        classifier: TileEngine,
        segmenter: TileEngine,
        networks: Networks,
        grid: Grid,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._classifier = classifier
        self._segmenter = segmenter
        self._grid = grid
        self._clock = clock
        self._class_names = networks.class_names
        self._most_followed = networks.max_tiles
        self._labels = np.zeros((grid.height, grid.width), np.uint8)
        self._confidence = np.zeros_like(self._labels)
        self._row_of: dict[int, int] = {}
        """Of the tiles that the classifier read in its last run: they still lie in its input, perhaps on a GPU."""

    def inspect(
        self,
        canvas: Canvas,
        recipe: Recipe,
        deadline_us: int,
        begins: Callable[[str], None] = lambda stage: None,
        waits: Callable[[], bool] = lambda: False,
    ) -> Inspection:
        """
        Inspect the picture that lies in *canvas*.

        Args:
            canvas: written by the camera; its grid is this cascade's.
            recipe: gates, thresholds and rules, within the manifest's bounds.
            deadline_us: monotonic; no call of a network is started that would, as measured, last beyond it.
            begins: told ``classify`` and ``segment`` before the first call of each.
            waits: asked after a REJECT is certain: is there something better to do than to complete the mask?

        Raises:
            InferenceFailed: an engine refused, returned a label of no class, or scores or health that are not finite.
            DeadlinePassed: the deadline had come already.
            Overload: the rest does not fit into the time left, and no rule is broken yet.
        """
        if self._clock.now_us() >= deadline_us:
            raise DeadlinePassed
        task = _Task(canvas, recipe, deadline_us, begins, waits, Stopwatch(self._clock))
        height, width = canvas.region
        active = self._grid.active(height, width)
        scores = self._classify(task, active)
        suspicious = _by_suspicion(active, scores, recipe)
        found = self._segment(task, suspicious, set(active))
        return Inspection(
            outcome=outcome_from_findings(found.findings, recipe),
            findings=found.findings,
            labels=self._labels[:height, :width],
            scores=dict(zip(self._class_names, map(float, scores.max(axis=0)), strict=True)),
            tiles=len(active),
            segmented=len(found.tiles),
            suspicious=bool(suspicious),
            complete=found.complete,
            stages_us=task.watch.stages_us,
        )

    def _classify(self, task: _Task, tiles: list[int]) -> NDArray[np.float32]:
        """Return (len(tiles), K) probabilities, every one of them finite."""
        scores = np.empty((len(tiles), len(self._class_names)), np.float32)
        task.begins("classify")
        start = 0
        while start < len(tiles):
            batch = tiles[start : start + self._rows_in_time(self._classifier, len(tiles) - start, task)]
            if not batch:
                raise Overload("classify", self._shortage(self._classifier, len(tiles) - start, task))
            task.canvas.cut(batch, self._classifier.inputs[TILES])
            task.watch.lap("tile")
            scores[start : start + len(batch)] = self._classifier.run(len(batch))[SCORES]
            self._row_of = {tile: row for row, tile in enumerate(batch)}
            task.watch.lap("classify")
            start += len(batch)
        if not np.isfinite(scores).all():
            raise InferenceFailed("classifier returned scores that are not finite; its answers cannot be believed")
        return scores

    def _segment(self, task: _Task, tiles: list[int], active: set[int]) -> _Segmented:
        """Write labels and confidence of *tiles* and of every neighbour a defect runs into; return what they hold."""
        self._labels[:] = 0
        self._confidence[:] = 0
        self._segmenter.inputs[THRESHOLDS][:] = task.recipe.thresholds
        waiting, done, findings = list(tiles), list[int](), NO_FINDINGS
        while waiting:
            certain = _is_certain(findings, task.recipe)
            if certain and task.waits():
                break
            batch = waiting[: self._rows_in_time(self._segmenter, len(waiting), task)]
            followed = len(done) + len(waiting) - len(tiles)
            if not batch or followed > self._most_followed:
                if certain:
                    break
                raise Overload("segment", self._shortage(self._segmenter, len(waiting), task, followed))
            if not done:
                task.begins("segment")
            self._segment_batch(task, batch)
            waiting, done = waiting[len(batch) :], done + batch
            waiting += self._continued(batch, active.difference(done, waiting))
            task.watch.lap("assemble")
            findings = self._findings(task, done)
            task.watch.lap("rules")
        return _Segmented(done, findings, complete=not waiting)

    def _segment_batch(self, task: _Task, batch: list[int]) -> None:
        rows = [self._row_of[tile] for tile in batch if tile in self._row_of]
        if len(rows) < len(batch) or not self._segmenter.gather(self._classifier, rows):
            task.canvas.cut(batch, self._segmenter.inputs[TILES])
        task.watch.lap("tile")
        answers = self._segmenter.run(len(batch))
        task.watch.lap("segment")
        self._refuse_unbelievable(answers)
        paste_cores(self._grid, batch, answers[LABELS], task.canvas.region, self._labels)
        paste_cores(self._grid, batch, answers[CONFIDENCE], task.canvas.region, self._confidence)

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

    def _findings(self, task: _Task, tiles: list[int]) -> Findings:
        """Return what the labels of *tiles* hold."""
        height, width = task.canvas.region
        tops, lefts = zip(*(self._grid.core(tile) for tile in tiles), strict=True)
        box = Box(
            top=min(tops),
            left=min(lefts),
            bottom=min(max(tops) + self._grid.tile.core_height, height),
            right=min(max(lefts) + self._grid.tile.core_width, width),
        )
        return findings_from_labels(self._labels[:height, :width], self._confidence[:height, :width], task.recipe, box)

    def _rows_in_time(self, engine: TileEngine, n: int, task: _Task) -> int:
        return engine.rows_in(task.deadline_us - self._clock.now_us(), n)

    def _shortage(self, engine: TileEngine, n: int, task: _Task, followed: int = 0) -> str:
        if followed > self._most_followed:
            return f"a defect runs into {followed} tiles under the gate, expected {self._most_followed} or fewer"
        left_us = task.deadline_us - self._clock.now_us()
        return f"{n} tiles left, one takes {engine.p99_us(1)} us at p99, {left_us} us are left"


def _by_suspicion(tiles: list[int], scores: NDArray[np.float32], recipe: Recipe) -> list[int]:
    """Return the tiles that reach the gate of any class, the most suspicious first."""
    over = scores - recipe.gates
    worst = over.max(axis=1)
    return [tiles[i] for i in np.argsort(-worst, kind="stable") if worst[i] >= 0]


def _is_certain(findings: Findings, recipe: Recipe) -> bool:
    """
    Tell whether the frame is a REJECT whatever the tiles not yet segmented hold.

    A region's area and peak only grow, so one that counts goes on counting: a class that may have none is broken for
    good. Of a class that may have some, two regions can become one, so its count waits for the end.
    """
    return any(n > 0 and c.max_count == 0 for n, c in zip(findings.counting, recipe.classes, strict=False))


def _shared(start: int, length: int, other: int) -> slice:
    """Return the part of start..start+length-1 that touches the neighbour beginning at *other*: all, last or first."""
    if other == start:
        return slice(start, start + length)
    return slice(start + length - 1, start + length) if other > start else slice(start, start + 1)
