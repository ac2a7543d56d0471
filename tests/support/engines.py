"""Engines that see only the bytes of the tiles they are given, and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from edge.inspector.backend import Precision
from engines.contract import CONFIDENCE, HEALTH, LABELS, SCORES, THRESHOLDS, TILES
from tests.support.records import CLASS_NAMES, TILE

SOUND = 100
PAD = 7
PITS, CRACKS = 201, 202
"""A pixel of this grey value is labelled 1 or 2; its brightness is its whole meaning."""
MARK = 250
"""A pixel of this value in a tile's core makes the classifier certain, and is sound to the segmenter."""


class Engine:
    """An engine that answers from what lies in its input rows, in buffers it reuses like a real one."""

    backend = "stand-in"
    precision: Precision = "fp32"

    def __init__(self, largest: int, classes: int = len(CLASS_NAMES)) -> None:
        self.batches = (1, largest) if largest > 1 else (1,)
        self.inputs: dict[str, NDArray[Any]] = {TILES: np.zeros((largest, TILE.height, TILE.width, 1), np.uint8)}
        self.calls: list[NDArray[np.uint8]] = []
        self.classes = classes

    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        assert 1 <= n <= self.batches[-1]
        tiles = self.inputs[TILES][:n]
        self.calls.append(tiles.copy())
        return self.answers(tiles[..., 0])

    def answers(self, tiles: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        raise NotImplementedError

    def gather(self, source: Any, rows: Sequence[int]) -> bool:
        return False

    def close(self) -> None:
        self.inputs.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def cores(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return tiles[:, TILE.halo : -TILE.halo, TILE.halo : -TILE.halo]


class Classifier(Engine):
    """Score of each class = how bright the brightest MARK-like pixel of the core is; see ``scores``."""

    def __init__(self, largest: int = 4) -> None:
        super().__init__(largest)
        self.poison: float | None = None

    def answers(self, tiles: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        scores = np.zeros((len(tiles), self.classes), np.float32)
        scores[:, 0] = np.clip((cores(tiles).max(axis=(1, 2)) - 210.0) / 40.0, 0, 1)
        if self.poison is not None:
            scores[-1, -1] = self.poison
        return {SCORES: scores}


class Segmenter(Engine):
    """Labels the pixels PITS and CRACKS of the core, nothing else."""

    def __init__(self, largest: int = 4) -> None:
        super().__init__(largest)
        self.inputs[THRESHOLDS] = np.zeros(self.classes, np.float32)
        self.poison: float | None = None
        self.label_of_cracks = 2

    def answers(self, tiles: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        core = cores(tiles)
        labels = np.zeros_like(core)
        labels[core == PITS] = 1
        labels[core == CRACKS] = self.label_of_cracks
        # Label what is no picture too: the cascade has to clear it, the network cannot know where the picture ends.
        labels[core == PAD] = 1
        health = np.ones(len(tiles), np.float32)
        if self.poison is not None:
            labels[:] = 0
            health[-1] = self.poison
        return {LABELS: labels, CONFIDENCE: np.where(core == MARK, 0, core), HEALTH: health}


class Clock:
    """Says the same time until the test moves it."""

    def __init__(self) -> None:
        self.us = 0

    def now_us(self) -> int:
        return self.us

    def utc_us(self) -> int:
        return 0
