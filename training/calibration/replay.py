"""
Recorded answers through the line's own cascade, under any recipe.

What the cascade finds depends on the recipe only by which tiles are over a gate, and by the thresholds; areas, peaks
and counts decide afterwards. So each such case is replayed once, with rules that let every region count, and
remembered; the rules are applied to its regions. What is not clear from these is replayed with the very recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.inspector.cascade import Cascade, Inspection, Overload
from edge.records import Outcome
from edge.rules import MOST_DEFECTS, Recipe
from edge.tiles import Canvas, Grid
from engines.contract import HEALTH, SCORES, THRESHOLDS, TILES, TileShape
from training.calibration.recording import Recording
from training.figures.engine import NO_DEADLINE_US, answers_from_planes
from training.figures.parts import Part
from training.figures.report import largest_class


@dataclass(frozen=True)
class Shape:
    """What the cascade has to know of the networks; see engine.TrainedNetworks."""

    class_names: tuple[str, ...]
    tile: TileShape
    max_tiles: int


@dataclass(frozen=True)
class _Regions:
    """
    Every region of one picture.

    Attributes:
        settled: every suspicious tile was segmented; else the part does not pass, whatever the rules are.
        listed: they are all here; else there are too many.
    """

    settled: bool
    listed: bool
    class_index: NDArray[np.int64]
    area_px: NDArray[np.int64]
    peak: NDArray[np.float64]

    def pass_under(self, recipe: Recipe) -> bool:
        min_area = np.array([c.min_area_px for c in recipe.classes])[self.class_index]
        min_peak = np.array([c.min_peak for c in recipe.classes])[self.class_index]
        counts = (self.area_px >= min_area) & (self.peak >= min_peak)
        counting = np.bincount(self.class_index[counts], minlength=len(recipe.classes))
        return not any(n > c.max_count for n, c in zip(counting.tolist(), recipe.classes, strict=True))


class Replay:
    """
    Pictures whose answers are recorded.

    Args:
        recordings: of the pictures.
        shape: of the networks.
    """

    def __init__(self, recordings: Sequence[Recording], shape: Shape) -> None:
        self.recordings = tuple(recordings)
        self._shape = shape
        self._known: list[dict[bytes, _Regions]] = [{} for _ in self.recordings]
        self._highest = [_highest(recording) for recording in self.recordings]
        self._lines: dict[tuple[int, int], _RecordedLine] = {}

    def passes(self, recipe: Recipe) -> list[bool]:
        """Tell for each picture whether the line would let it pass."""
        return [self._passes(index, recipe) for index in range(len(self.recordings))]

    def outcome(self, index: int, recipe: Recipe) -> Outcome:
        """Return what the cascade decides of one picture, without remembering anything."""
        return self._decided(index, recipe)[0]

    def parts(self, recipe: Recipe) -> list[Part]:
        """Return every picture with what the cascade decides of it."""
        parts = []
        for index, recording in enumerate(self.recordings):
            outcome, found_id = self._decided(index, recipe)
            parts.append(
                Part(
                    source=recording.source,
                    group=recording.group,
                    class_id=recording.class_id,
                    outcome=outcome,
                    found_id=found_id,
                    score=float(recording.scores.max()),
                )
            )
        return parts

    def _decided(self, index: int, recipe: Recipe) -> tuple[Outcome, int]:
        """Return the outcome, and the class that most marked pixels have."""
        try:
            found = self._inspect(index, recipe)
        except Overload:
            return Outcome.UNKNOWN, 0
        return found.outcome, largest_class(found.labels)

    def _passes(self, index: int, recipe: Recipe) -> bool:
        suspicious = (self.recordings[index].scores >= recipe.gates).any(axis=1)
        if not suspicious.any():
            return True
        # A threshold that no pixel reaches is like any other such: it shall not make a new case.
        thresholds = np.where(recipe.thresholds <= self._highest[index], recipe.thresholds, np.inf)
        case = suspicious.tobytes() + thresholds.tobytes()
        regions = self._known[index].get(case)
        if regions is None:
            regions = self._known[index][case] = self._regions(index, recipe)
        if not regions.settled:
            return False
        return regions.pass_under(recipe) if regions.listed else self.outcome(index, recipe) is Outcome.PASS

    def _regions(self, index: int, recipe: Recipe) -> _Regions:
        every = tuple(
            msgspec.structs.replace(limits, min_area_px=0.0, min_peak=0.0, max_count=0) for limits in recipe.classes
        )
        try:
            found = self._inspect(index, Recipe(classes=every, mm_per_px=None))
        except Overload:
            return _Regions(False, False, *np.zeros((3, 0), np.int64))
        defects = found.findings.defects
        return _Regions(
            settled=found.complete,
            listed=found.findings.total <= MOST_DEFECTS,
            class_index=np.array([defect.class_id - 1 for defect in defects], np.int64),
            area_px=np.array([defect.area_px for defect in defects], np.int64),
            peak=np.array([defect.peak for defect in defects], np.float64),
        )

    def _inspect(self, index: int, recipe: Recipe) -> Inspection:
        recording = self.recordings[index]
        line = self._lines.get(recording.size)
        if line is None:
            line = self._lines[recording.size] = _RecordedLine(recording.size, self._shape)
        return line.inspect(recording, recipe)


class _RecordedLine:
    """The cascade on a canvas of one size, with engines that know the answers by heart."""

    def __init__(self, size: tuple[int, int], shape: Shape) -> None:
        grid = Grid(*size, shape.tile)
        self._canvas = _Numbered(grid)
        self._classifier, self._segmenter = _RecordedScores(grid, shape), _RecordedMasks(grid, shape)
        self._cascade = Cascade(self._classifier, self._segmenter, shape, grid)

    def inspect(self, recording: Recording, recipe: Recipe) -> Inspection:
        self._classifier.recording = self._segmenter.recording = recording
        return self._cascade.inspect(self._canvas, recipe, NO_DEADLINE_US)


class _Numbered(Canvas):
    """A picture whose tiles hold nothing but their own index: that is how the engines know them."""

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid, 1, 0)

    def cut(self, indices: list[int], out: NDArray[Any]) -> None:
        out[: len(indices)] = indices


class _Recorded:
    """What the cascade needs of an engine; its tiles are indices."""

    recording: Recording

    def __init__(self, grid: Grid, shape: Shape) -> None:
        self._most = grid.count
        self._tile = shape.tile
        self.inputs: Mapping[str, NDArray[Any]] = {
            TILES: np.zeros(grid.count, np.int64),
            THRESHOLDS: np.zeros(len(shape.class_names), np.float32),
        }

    def rows_in(self, left_us: int, n: int) -> int:
        return min(n, self._most)

    def p99_us(self, n: int) -> int:
        return 0

    def gather(self, source: Any, rows: Sequence[int]) -> bool:
        return False


class _RecordedScores(_Recorded):
    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        return {SCORES: self.recording.scores[self.inputs[TILES][:n]]}


class _RecordedMasks(_Recorded):
    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        classes = len(self.inputs[THRESHOLDS])
        nothing = np.zeros((classes, self._tile.core_height, self._tile.core_width), np.float16)
        planes = np.stack([self.recording.cores.get(tile, nothing) for tile in self.inputs[TILES][:n].tolist()])
        return answers_from_planes(planes, self.inputs[THRESHOLDS]) | {HEALTH: np.ones(n, np.float32)}


def _highest(recording: Recording) -> NDArray[np.float32]:
    """Return the highest probability of each class in any pixel, (K,)."""
    peaks = [core.max(axis=(1, 2)) for core in recording.cores.values()]
    highest: NDArray[np.float16] = np.max([np.zeros(recording.scores.shape[1], np.float16), *peaks], axis=0)
    return highest.astype(np.float32)
