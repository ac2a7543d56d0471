"""Reference frames: which pictures go into a bundle, and what PyTorch says about them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from edge.errors import DataError
from edge.tiles import Canvas, Grid, paste_cores
from engines.contract import PLANES_FROM, PixelFormat
from engines.graphs import ClassifierGraph, SegmenterGraph
from training.data.datasets import is_dataset, read_dataset
from training.data.images import read_image

TILES_AT_ONCE = 8
LABELS_READ = 256
"""Of a large data set, so many evenly spaced samples are asked whether they show a defect."""
CANDIDATES_PER_FRAME = 4
"""Pictures looked at for each one taken; each costs one pass of the classifier."""
PLANE_STEPS = 2048
"""Probabilities are stored in these steps: exact in float16, and far smaller when compressed."""


@dataclass(frozen=True)
class Picture:
    """A picture that may become a reference frame; *defective* is None where nobody says."""

    path: Path
    defective: bool | None


class Oracle:
    """
    PyTorch's answers over whole frames, tile by tile as on the line.

    Args:
        classifier, segmenter: in eval mode, as they are exported.
        gates: (K,) default gates.
    """

    def __init__(
        self, classifier: ClassifierGraph, segmenter: SegmenterGraph, pad_value: int, gates: Sequence[float]
    ) -> None:
        self._classifier = classifier.eval()
        self._segmenter = segmenter.eval()
        self._pad_value = pad_value
        self._gates = np.array(gates, np.float32)

    def scores(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(h, w, C) -> (T, K) scores of all T tiles of the picture's grid."""
        with torch.inference_mode():
            parts = [self._classifier(tiles).numpy() for _, tiles in self._tiles(image)]
        scores: NDArray[np.float32] = np.concatenate(parts)
        return scores

    def planes(self, image: NDArray[np.uint8]) -> NDArray[np.float16]:
        """(h, w, C) -> (K, h, w) probability of each class in steps of 1 / PLANE_STEPS, 0 below PLANES_FROM."""
        height, width = image.shape[:2]
        planes = np.zeros((len(self._gates), height, width), np.float32)
        with torch.inference_mode():
            for indices, tiles in self._tiles(image):
                cores = self._segmenter.probabilities(self._segmenter.logits(tiles)).numpy()  # (n, K, ch, cw)
                for k, plane in enumerate(planes):
                    paste_cores(self._grid(image), indices, cores[:, k], (height, width), plane)
        planes[planes < PLANES_FROM] = 0.0
        return (np.round(planes * PLANE_STEPS) / PLANE_STEPS).astype(np.float16)

    def distance_to_gate(self, scores: NDArray[np.float32]) -> float:
        """Return how near the picture's tiles come to a gate: the smaller, the more a deviation could flip."""
        return float(np.abs(scores - self._gates).min())

    def suspects(self, scores: NDArray[np.float32]) -> bool:
        """Tell whether any tile is over a gate."""
        return bool((scores > self._gates).any())

    def _tiles(self, image: NDArray[np.uint8]) -> list[tuple[list[int], torch.Tensor]]:
        """Return runs of at most TILES_AT_ONCE tiles, with their indices."""
        grid, tile = self._grid(image), self._segmenter.tile
        canvas = Canvas(grid, image.shape[2], self._pad_value)
        canvas.write(image)
        cut = np.empty((grid.count, tile.height, tile.width, image.shape[2]), np.uint8)
        indices = list(range(grid.count))
        canvas.cut(indices, cut)
        starts = range(0, grid.count, TILES_AT_ONCE)
        return [(indices[i : i + TILES_AT_ONCE], torch.from_numpy(cut[i : i + TILES_AT_ONCE])) for i in starts]

    def _grid(self, image: NDArray[np.uint8]) -> Grid:
        return Grid(image.shape[0], image.shape[1], self._segmenter.tile)


def pictures_in(folder: Path, pixel_format: PixelFormat) -> list[Picture]:
    """
    List the pictures of *folder*: the val and test splits of a data set, or plain picture files.

    Raises:
        DataError: no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DataError(f"--reference = {folder}: no such folder; expected a data set or a folder of pictures")
    if is_dataset(folder):
        samples = [sample for sample in read_dataset(folder, class_only=True).samples if sample.split != "train"]
        found = [
            Picture(s.image, bool(s.read(pixel_format)[1].any()))
            for s in samples[:: -(-len(samples) // LABELS_READ) or 1]
        ]
    else:
        files = sorted(path for path in folder.iterdir() if path.is_file() and cv2.haveImageReader(str(path)))
        found = [Picture(path, None) for path in files]
    if not found:
        raise DataError(f"--reference = {folder}: no picture in it; expected a val or test split, or picture files")
    return found


def chosen(oracle: Oracle, pictures: list[Picture], count: int, pixel_format: PixelFormat) -> list[Picture]:
    """
    Choose *count* pictures: half with defects where there are so many; of each half, half near a gate and half clear.

    Args:
        oracle: judges which tiles come near a gate, and which pictures are defective where nobody says.
        pictures: candidates; of many, evenly spaced ones are looked at.
        count: number of frames wanted; fewer come back when there are fewer pictures.
        pixel_format: in which they are read.
    """
    distance: dict[bool, list[tuple[float, int, Picture]]] = {True: [], False: []}
    for order, picture in enumerate(_spread(pictures, count * CANDIDATES_PER_FRAME)):
        scores = oracle.scores(read_planar(picture.path, pixel_format))
        defective = oracle.suspects(scores) if picture.defective is None else picture.defective
        distance[defective].append((oracle.distance_to_gate(scores), order, picture))
    with_defects = min(len(distance[True]), max(count - len(distance[False]), (count + 1) // 2))
    taken = _near_and_clear(distance[True], with_defects) + _near_and_clear(distance[False], count - with_defects)
    return [picture for _, _, picture in sorted(taken, key=lambda entry: entry[1])]


def read_planar(path: Path, pixel_format: PixelFormat) -> NDArray[np.uint8]:
    """Return the picture as (h, w, C), whatever its format."""
    image = read_image(path, pixel_format)
    return image.reshape(*image.shape[:2], -1)


def npz_from_answers(scores: NDArray[np.float32], planes: NDArray[np.float16]) -> bytes:
    """Return the answers as engines.contract.ReferenceFrame describes them."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, scores=scores, planes=planes)
    return buffer.getvalue()


def png_from_image(image: NDArray[np.uint8]) -> bytes:
    """(h, w, C) -> the bytes of a PNG file."""
    done, encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not done:
        raise DataError(f"a picture of {image.shape} cannot be encoded as PNG")
    return encoded.tobytes()


def _near_and_clear(entries: list[tuple[float, int, Picture]], count: int) -> list[tuple[float, int, Picture]]:
    """Take the nearest to a gate, where a deviation could flip it, and the farthest, where nothing may."""
    entries = sorted(entries)
    count = min(count, len(entries))
    clear = count // 2
    return entries[: count - clear] + entries[len(entries) - clear :]


def _spread(pictures: list[Picture], most: int) -> list[Picture]:
    """Return at most *most* evenly spaced pictures, defective and sound ones taken apart."""
    groups = [[p for p in pictures if p.defective is state] for state in (True, False, None)]
    share = max(1, most // sum(1 for group in groups if group))
    return [p for group in groups for p in (group if len(group) <= share else group[:: -(-len(group) // share)])]
