"""
What two engines answer to every tile of a frame, and what the cascade makes of such answers.

Answers are asked for once and then judged under as many recipes as need be, by the very cascade of the line: gates,
closure, rules and all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from edge.errors import ParityFailed
from edge.inspector.backend import Engine, Precision
from edge.inspector.cascade import Cascade, Inspection, Overload
from edge.inspector.pace import PacedEngine
from edge.rules import Recipe
from edge.tiles import Canvas, Grid, paste_cores
from engines.contract import CONFIDENCE, HEALTH, LABELS, SCORES, THRESHOLDS, TILES, Manifest

# Nobody waits for a frame of which all is known.
_NO_DEADLINE_US = 1 << 62


@dataclass(frozen=True)
class FrameAnswers:
    """
    Attributes:
        scores: (T, K) float32 of all T tiles of the frame's own grid.
        labels, confidence: (h, w) uint8 of the whole frame, every tile segmented.
    """

    scores: NDArray[np.float32]
    labels: NDArray[np.uint8]
    confidence: NDArray[np.uint8]


def canvas_of(manifest: Manifest, image: NDArray[np.uint8]) -> Canvas:
    """Return a canvas as large as the picture (h, w, C), holding it."""
    height, width, channels = image.shape
    canvas = Canvas(Grid(height, width, manifest.tile), channels, manifest.pad_value)
    canvas.write(image)
    return canvas


def ask(canvas: Canvas, engines: tuple[Engine, Engine], thresholds: NDArray[np.float32], name: str) -> FrameAnswers:
    """
    Ask classifier and segmenter for every tile, whatever the gates say.

    Args:
        thresholds: (K,) the segmenter's other input.
        name: of the frame, for messages.

    Raises:
        ParityFailed: an answer is not finite.
        InferenceFailed: a runtime refused.
    """
    classifier, segmenter = engines
    labels, confidence = ask_masks(canvas, segmenter, thresholds, name)
    return FrameAnswers(ask_scores(canvas, classifier, len(thresholds), name), labels, confidence)


def ask_masks(
    canvas: Canvas,
    segmenter: Engine,
    thresholds: NDArray[np.float32],
    name: str,
    tiles: Sequence[int] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return labels and confidence of the whole frame, or of *tiles* and 0 elsewhere, both (h, w); raises as ask()."""
    labels, confidence = np.zeros((2, *canvas.region), np.uint8)
    segmenter.inputs[THRESHOLDS][:] = thresholds
    for indices in _runs(range(canvas.grid.count) if tiles is None else tiles, segmenter):
        canvas.cut(indices, segmenter.inputs[TILES])
        outputs = segmenter.run(len(indices))
        _require_finite(outputs[HEALTH], HEALTH, segmenter, name)
        paste_cores(canvas.grid, indices, outputs[LABELS], canvas.region, labels)
        paste_cores(canvas.grid, indices, outputs[CONFIDENCE], canvas.region, confidence)
    return labels, confidence


def ask_scores(canvas: Canvas, classifier: Engine, classes: int, name: str) -> NDArray[np.float32]:
    """Return (T, K) scores of every tile; raises as ask()."""
    scores = np.empty((canvas.grid.count, classes), np.float32)
    for indices in _runs(range(canvas.grid.count), classifier):
        canvas.cut(indices, classifier.inputs[TILES])
        scores[indices] = classifier.run(len(indices))[SCORES]
    _require_finite(scores, SCORES, classifier, name)
    return scores


def _runs(tiles: Sequence[int], engine: Engine) -> list[list[int]]:
    most = engine.batches[-1]
    return [list(tiles[start : start + most]) for start in range(0, len(tiles), most)]


def _require_finite(values: NDArray[np.float32], what: str, engine: Engine, name: str) -> None:
    if not np.isfinite(values).all():
        raise ParityFailed(
            f"{engine.backend} {engine.precision}: frame '{name}': {what} is not finite: the network computes NaN or "
            "infinity here; do not use this engine"
        )


def judge(manifest: Manifest, answers: FrameAnswers, recipe: Recipe) -> Inspection:
    """
    Return what the cascade makes of the answers under *recipe*.

    Args:
        answers: whose labels were made with the recipe's thresholds.

    Raises:
        ParityFailed: a defect runs into more tiles than the cascade follows it.
    """
    height, width = answers.labels.shape
    grid = Grid(height, width, manifest.tile)
    classifier, segmenter = PacedEngine(_Scores(grid, answers)), PacedEngine(_Masks(grid, answers))
    return inspected(Cascade(classifier, segmenter, manifest, grid), _Numbered(grid), recipe)


def inspected(cascade: Cascade, canvas: Canvas, recipe: Recipe) -> Inspection:
    """
    Inspect a picture that nobody waits for.

    Raises:
        ParityFailed: a defect runs into more tiles than the cascade follows it.
        InferenceFailed: an engine refused, or its answers cannot be believed.
    """
    try:
        return cascade.inspect(canvas, recipe, _NO_DEADLINE_US)
    except Overload as error:
        raise ParityFailed(f"{error}: neither PASS nor REJECT; export the bundle with a larger max_tiles") from error


class _Numbered(Canvas):
    """A picture whose tiles hold nothing but their own index: that is how the stand-in engines know them."""

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid, 1, 0)

    def cut(self, indices: list[int], out: NDArray[Any]) -> None:
        out[: len(indices)] = indices


class _Answering:
    """An Engine that knows the answers by heart; its tiles are indices."""

    backend = "answers known before"
    precision: Precision = "fp32"

    def __init__(self, grid: Grid, answers: FrameAnswers) -> None:
        self.batches = (grid.count,)
        self.inputs: Mapping[str, NDArray[Any]] = {
            TILES: np.zeros(grid.count, np.int64),
            THRESHOLDS: np.zeros(answers.scores.shape[1], np.float32),
        }
        self._grid = grid
        self._answers = answers

    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        return self._outputs(self.inputs[TILES][:n])

    def _outputs(self, tiles: NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
        raise NotImplementedError

    def gather(self, source: Engine, rows: Sequence[int]) -> bool:
        return False

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Scores(_Answering):
    def _outputs(self, tiles: NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
        return {SCORES: self._answers.scores[tiles]}


class _Masks(_Answering):
    def _outputs(self, tiles: NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
        return {
            LABELS: self._cores(self._answers.labels, tiles),
            CONFIDENCE: self._cores(self._answers.confidence, tiles),
            HEALTH: np.ones(len(tiles), np.float32),
        }

    def _cores(self, plane: NDArray[np.uint8], tiles: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, core_height, core_width); 0 where the core overhangs the picture."""
        shape = self._grid.tile
        cores = np.zeros((len(tiles), shape.core_height, shape.core_width), np.uint8)
        for core, tile in zip(cores, tiles.tolist(), strict=True):
            top, left = self._grid.core(tile)
            piece = plane[top : top + shape.core_height, left : left + shape.core_width]
            core[: piece.shape[0], : piece.shape[1]] = piece
        return cores
