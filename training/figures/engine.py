"""
PyTorch's answers through the line's own cascade: gates, followed defects, masks and rules as on the line.

``inspect`` is what the station does with a part, with the networks as trained in the place of the compiled ones and
without a deadline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge.errors import BundleError, ConfigurationError
from edge.inspector.cascade import Cascade, Overload
from edge.records import Outcome
from edge.rules import NO_FINDINGS, Findings, Recipe
from edge.tiles import Canvas, Grid, labels_from_planes
from engines.contract import CHANNELS, CONFIDENCE, HEALTH, LABELS, SCORES, THRESHOLDS, TILES, TileShape
from training.networks.checkpoint import CheckpointSpec, Kind, load

TILES_PER_CALL = 8
MAX_TILES = 16
"""As ``edge-engine export --max-tiles`` has it, if nobody says otherwise."""
NO_DEADLINE_US = 1 << 62
_SHARED = ("format", "tile", "pad_value", "class_names")


@dataclass(frozen=True)
class Answer:
    """
    What the line says of one picture.

    Attributes:
        outcome: UNKNOWN where a defect runs into more tiles than a part may have.
        scores: (T, K) float32, probability of each class in each tile of the picture's grid.
        labels: (h, w) uint8, 0 where no tile went on to the segmenter.
        segmented: number of tiles that went on.
    """

    outcome: Outcome
    findings: Findings
    scores: NDArray[np.float32]
    labels: NDArray[np.uint8]
    segmented: int


class TrainedNetworks:
    """
    Both networks as trained, and what they agree on.

    Attributes:
        classifier_spec, segmenter_spec: what the checkpoints say of themselves.
        max_tiles: as in the manifest; into more tiles under the gate no defect is followed.
    """

    def __init__(self, classifier: Path, segmenter: Path, max_tiles: int = MAX_TILES) -> None:
        """
        Load two checkpoints.

        Raises:
            BundleError: one is unusable, of the wrong kind, or they do not fit each other.
        """
        self.classifier_spec, self._classifier = _load(classifier, "classifier")
        self.segmenter_spec, self._segmenter = _load(segmenter, "segmenter")
        self.max_tiles = max_tiles
        for key in _SHARED:
            ours, theirs = getattr(self.classifier_spec, key), getattr(self.segmenter_spec, key)
            if ours != theirs:
                raise BundleError(f"{classifier} has {key} {ours}, {segmenter} has {theirs}; train one of them again")

    @property
    def spec(self) -> CheckpointSpec:
        """Where format, tile, pad value and classes stand; the same in both."""
        return self.segmenter_spec

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.spec.class_names

    def scores(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what scores_of() does, of the classifier."""
        return scores_of(self._classifier, tiles)

    def planes(self, tiles: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what planes_of() does, of the segmenter."""
        return planes_of(self._segmenter, tiles, self.spec.tile)


@torch.inference_mode()
def scores_of(classifier: nn.Module, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, h, w, C) -> (n, K) probability of each class in each tile."""
    scores: NDArray[np.float32] = classifier(_pixels(tiles)).sigmoid().numpy()
    return scores


@torch.inference_mode()
def planes_of(
    segmenter: nn.Module, tiles: NDArray[np.uint8], tile: TileShape
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, h, w, C) -> (n, K, ch, cw) probability of each class in the cores, and (n,) health."""
    logits = segmenter(_pixels(tiles))  # (n, K + 1, h, w)
    cores = logits[:, :, tile.halo : tile.halo + tile.core_height, tile.halo : tile.halo + tile.core_width]
    return cores.softmax(dim=1)[:, 1:].numpy(), logits.sum(dim=(1, 2, 3)).numpy()


class TorchEngine:
    """What the cascade needs of an engine, with input buffers for TILES_PER_CALL tiles; no time is kept."""

    def __init__(self, networks: TrainedNetworks) -> None:
        tile, channels = networks.spec.tile, CHANNELS[networks.spec.format]
        self.networks = networks
        self.inputs: Mapping[str, NDArray[Any]] = {
            TILES: np.empty((TILES_PER_CALL, tile.height, tile.width, channels), np.uint8),
            THRESHOLDS: np.empty(len(networks.class_names), np.float32),
        }

    def rows_in(self, left_us: int, n: int) -> int:
        return min(n, TILES_PER_CALL)

    def p99_us(self, n: int) -> int:
        return 0

    def gather(self, source: Any, rows: Sequence[int]) -> bool:
        return False


class ClassifierEngine(TorchEngine):
    """
    The classifier.

    Attributes:
        said: the scores of every call, in order; whoever wants those of one picture empties it before.
    """

    def __init__(self, networks: TrainedNetworks) -> None:
        super().__init__(networks)
        self.said: list[NDArray[np.float32]] = []

    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        self.said.append(self.networks.scores(self.inputs[TILES][:n]))
        return {SCORES: self.said[-1]}


class SegmenterEngine(TorchEngine):
    """The segmenter, and the label rule that export puts into its graph."""

    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        planes, health = self.networks.planes(self.inputs[TILES][:n])
        return answers_from_planes(planes, self.inputs[THRESHOLDS]) | {HEALTH: health}


def answers_from_planes(
    planes: NDArray[np.floating[Any]], thresholds: NDArray[np.float32]
) -> dict[str, NDArray[np.uint8]]:
    """(n, K, ch, cw) probabilities and (K,) thresholds -> labels and confidence, both (n, ch, cw)."""
    return {
        LABELS: np.stack([labels_from_planes(of_tile, thresholds) for of_tile in planes]),
        CONFIDENCE: np.rint(255.0 * planes.max(axis=1).astype(np.float32)).astype(np.uint8),
    }


class TorchLine:
    """The cascade over pictures of any size, one after the other."""

    def __init__(self, networks: TrainedNetworks) -> None:
        self.networks = networks
        self._classifier = ClassifierEngine(networks)
        self._segmenter = SegmenterEngine(networks)

    def inspect(self, image: NDArray[np.uint8], recipe: Recipe) -> Answer:
        """
        Inspect one picture.

        Args:
            image: (h, w, C) as captured, 0..255.
            recipe: gates, thresholds and rules.

        Raises:
            InferenceFailed: scores or logits are not finite.
        """
        canvas = canvas_of(image, self.networks.spec)
        cascade = Cascade(self._classifier, self._segmenter, self.networks, canvas.grid)
        self._classifier.said.clear()
        try:
            found = cascade.inspect(canvas, recipe, NO_DEADLINE_US)
        except Overload:
            empty = np.zeros(canvas.region, np.uint8)
            return Answer(Outcome.UNKNOWN, NO_FINDINGS, np.concatenate(self._classifier.said), empty, 0)
        scores = np.concatenate(self._classifier.said)
        return Answer(found.outcome, found.findings, scores, found.labels, found.segmented)


def canvas_of(image: NDArray[np.uint8], spec: CheckpointSpec) -> Canvas:
    """Lay a picture (h, w, C) on a canvas of its own size."""
    height, width, channels = image.shape
    canvas = Canvas(Grid(height, width, spec.tile), channels, spec.pad_value)
    canvas.write(image)
    return canvas


def tiles_of(image: NDArray[np.uint8], spec: CheckpointSpec) -> list[tuple[list[int], NDArray[np.uint8]]]:
    """Return all tiles of a picture's grid in runs of at most TILES_PER_CALL: indices and (n, h, w, C) pixels."""
    canvas = canvas_of(image, spec)
    runs = []
    for start in range(0, canvas.grid.count, TILES_PER_CALL):
        indices = list(range(start, min(start + TILES_PER_CALL, canvas.grid.count)))
        pixels = np.empty((len(indices), spec.tile.height, spec.tile.width, image.shape[2]), np.uint8)
        canvas.cut(indices, pixels)
        runs.append((indices, pixels))
    return runs


def checkpoints_of(run: Path | None, classifier: Path | None, segmenter: Path | None) -> tuple[Path, Path]:
    """
    Return the files of classifier and segmenter, those of the folder *run* where no other is named.

    Raises:
        ConfigurationError: one of them is named nowhere.
    """
    if run is not None:
        classifier = classifier or run / "classifier.safetensors"
        segmenter = segmenter or run / "segmenter.safetensors"
    if classifier is None or segmenter is None:
        raise ConfigurationError("which networks? expected --run FOLDER, or --classifier FILE and --segmenter FILE")
    return classifier, segmenter


def _load(path: Path, kind: Kind) -> tuple[CheckpointSpec, nn.Module]:
    spec, module = load(path)
    if spec.kind != kind:
        raise BundleError(f"{path}: holds a {spec.kind}, expected a {kind}")
    return spec, module


def _pixels(tiles: NDArray[np.uint8]) -> torch.Tensor:
    """(n, h, w, C) uint8 -> (n, C, h, w) float32 in 0..255."""
    return torch.from_numpy(tiles).permute(0, 3, 1, 2).float()
