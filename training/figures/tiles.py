"""How the gate sorts tiles: which go on to the segmenter."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from training.data.windows import ABSENT, PRESENT
from training.figures.intervals import Estimate, mean


class TileFigures(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the gates sort the tiles of pictures whose defects are drawn; *images* counts tiles.

    Shares of tiles, with a bootstrap over groups: a part has many tiles, and a rate by group would count it as found
    with the first of them.
    """

    recall: dict[str, Estimate]
    """By class: tiles holding the class whose score for it reaches its gate."""
    any_recall: Estimate
    """Tiles holding any class that go on to the segmenter, whichever class opened the gate."""
    false_share: Estimate
    """Tiles without any defect that go on."""


def tile_figures(
    class_names: Sequence[str],
    targets: NDArray[np.float32],
    scores: NDArray[np.float32],
    gates: NDArray[np.float32],
    groups: Sequence[str],
    confidence: float,
) -> TileFigures:
    """
    Judge the gates.

    Args:
        class_names: K names.
        targets: (T, K) PRESENT, ABSENT or UNDECIDED, which counts for nothing.
        scores: (T, K) probabilities.
        gates: (K,); a tile goes on if any of its scores reaches its class's gate.
        groups: of each tile's picture.
        confidence: of every interval.
    """
    reached: NDArray[np.bool_] = np.asarray(scores >= gates)
    present: NDArray[np.bool_] = np.asarray(targets == PRESENT)
    absent: NDArray[np.bool_] = np.asarray(targets == ABSENT)

    def share(flags: NDArray[np.bool_], among: NDArray[np.bool_]) -> Estimate:
        at = np.flatnonzero(among).tolist()
        return mean(flags[at].tolist(), [groups[index] for index in at], confidence)

    opened = np.asarray(reached.any(axis=1))
    return TileFigures(
        recall={name: share(reached[:, k], present[:, k]) for k, name in enumerate(class_names)},
        any_recall=share(opened, np.asarray(present.any(axis=1))),
        false_share=share(opened, np.asarray(absent.all(axis=1))),
    )
