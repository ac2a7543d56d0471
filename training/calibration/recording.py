"""What the networks say of each picture, recorded once: then trying another gate costs no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.errors import InferenceFailed
from engines.contract import PLANES_FROM
from training.data.samples import Sample
from training.figures.engine import TrainedNetworks, tiles_of
from training.figures.report import class_of


@dataclass(frozen=True)
class Recording:
    """
    All answers of both networks about one picture.

    Attributes:
        class_id: the truth: 0 = sound.
        size: (height, width) [px].
        scores: (T, K) float32 of all T tiles of the picture's grid.
        cores: by tile, (K, core_height, core_width) float16 probabilities; tiles below PLANES_FROM are left out.
    """

    source: str
    group: str
    class_id: int
    size: tuple[int, int]
    scores: NDArray[np.float32]
    cores: dict[int, NDArray[np.float16]]


def record(samples: Sequence[Sample], networks: TrainedNetworks) -> Iterator[Recording]:
    """
    Run both networks over every tile of every picture.

    Raises:
        DataError: a picture is unusable.
        InferenceFailed: an answer is not finite.
    """
    for sample in samples:
        picture = sample.picture(networks.spec.format)
        scores: list[NDArray[np.float32]] = []
        cores: dict[int, NDArray[np.float16]] = {}
        for indices, tiles in tiles_of(picture.image, networks.spec):
            scores.append(networks.scores(tiles))
            planes, health = networks.planes(tiles)
            if not (np.isfinite(scores[-1]).all() and np.isfinite(health).all()):
                raise InferenceFailed(f"{sample.image}: a network's answer is not finite; this training broke")
            # No threshold is set below PLANES_FROM, and most tiles never reach it: memory follows the defects.
            cores |= {
                index: plane.astype(np.float16)
                for index, plane in zip(indices, planes, strict=True)
                if plane.max() >= PLANES_FROM
            }
        size = (picture.image.shape[0], picture.image.shape[1])
        yield Recording(sample.source, sample.group, class_of(picture), size, np.concatenate(scores), cores)
