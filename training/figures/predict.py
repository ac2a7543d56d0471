"""Both networks over whole pictures, in PyTorch: the cascade as trained, before export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge.errors import BundleError
from edge.tiles import Canvas, Grid, labels_from_planes, paste_cores
from training.networks.checkpoint import CheckpointSpec, load

TILES_PER_CALL = 8
_SHARED = ("format", "tile", "pad_value", "class_names")


@dataclass(frozen=True)
class Answer:
    """
    What the cascade says about one picture.

    Attributes:
        scores: (T, K) float32, probability of each class in each tile of the picture's grid.
        labels: (h, w) uint8, 0 where no tile went on to the segmenter.
        segmented: number of tiles that went on.
    """

    scores: NDArray[np.float32]
    labels: NDArray[np.uint8]
    segmented: int


class Cascade:
    """
    Classifier, gate, segmenter, labels.

    Unlike the line it does not go on from a tile over the gate to its neighbours when a defect touches the border.
    """

    def __init__(self, classifier: Path, segmenter: Path) -> None:
        """
        Load two checkpoints.

        Raises:
            BundleError: one is unusable, of the wrong kind, or they do not fit each other.
        """
        self.spec, self._classifier = _load(classifier, "classifier")
        other, self._segmenter = _load(segmenter, "segmenter")
        for key in _SHARED:
            ours, theirs = getattr(self.spec, key), getattr(other, key)
            if ours != theirs:
                raise BundleError(f"{classifier} has {key} {ours}, {segmenter} has {theirs}; train one of them again")

    @torch.inference_mode()
    def answer(self, image: NDArray[np.uint8], gate: float, threshold: float) -> Answer:
        """
        Inspect one picture.

        Args:
            image: (h, w, C) as captured, 0..255.
            gate: tiles with a score at or above it are segmented.
            threshold: of every class, as in edge.tiles.labels_from_planes().
        """
        height, width, channels = image.shape
        grid = Grid(height, width, self.spec.tile)
        canvas = Canvas(grid, channels, self.spec.pad_value)
        canvas.write(image)
        tiles = np.empty((grid.count, self.spec.tile.height, self.spec.tile.width, channels), np.uint8)
        canvas.cut(list(range(grid.count)), tiles)
        scores = _in_parts(self._classifier, tiles).sigmoid().numpy()
        chosen = np.flatnonzero((scores >= gate).any(axis=1)).tolist()
        labels = np.zeros((height, width), np.uint8)
        if chosen:
            cores = self._cores(tiles[chosen], threshold)
            paste_cores(grid, chosen, cores, (height, width), labels)
        return Answer(scores, labels, len(chosen))

    def _cores(self, tiles: NDArray[np.uint8], threshold: float) -> NDArray[np.uint8]:
        """Return the (n, core_height, core_width) labels of some tiles."""
        tile = self.spec.tile
        planes = _in_parts(self._segmenter, tiles).softmax(dim=1).numpy()[:, 1:]  # (n, K, h, w)
        inner = planes[:, :, tile.halo : tile.halo + tile.core_height, tile.halo : tile.halo + tile.core_width]
        thresholds = np.full(inner.shape[1], threshold)
        return np.stack([labels_from_planes(of_tile, thresholds) for of_tile in inner])


def _load(path: Path, kind: str) -> tuple[CheckpointSpec, nn.Module]:
    spec, module = load(path)
    if spec.kind != kind:
        raise BundleError(f"{path}: holds a {spec.kind}, expected a {kind}")
    return spec, module


def _in_parts(network: nn.Module, tiles: NDArray[np.uint8]) -> torch.Tensor:
    """Run a network over (n, h, w, C) uint8 tiles, a few at a time."""
    parts = np.split(tiles, range(TILES_PER_CALL, len(tiles), TILES_PER_CALL))
    return torch.cat([network(torch.from_numpy(part).permute(0, 3, 1, 2).float()) for part in parts])
