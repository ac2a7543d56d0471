"""
Training, validation and test: by group, never by picture.

Pictures of one group are near-copies (the same part photographed several times). On magnetic_tile a split by picture
turns a macro-F1 of 0.26 into 0.84: it measures recognition of the part, not of the defect.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from edge.errors import DataError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
SHARES: dict[Split, float] = {"train": 0.6, "val": 0.2, "test": 0.2}


class Grouped(Protocol):
    """What has a group and a split."""

    @property
    def group(self) -> str: ...

    @property
    def split(self) -> Split: ...


def split_by_group(groups: Sequence[str], strata: Sequence[int], seed: int) -> list[Split]:
    """
    Deal whole groups to the splits so that each class keeps about the shares of SHARES.

    Args:
        groups: of each picture.
        strata: class id of each picture; a group counts for the largest one it holds.
        seed: equal seeds give equal splits.

    Returns:
        The split of each picture. A class with fewer than three groups is missing from some split.
    """
    stratum: dict[str, int] = {}
    size: dict[str, int] = defaultdict(int)
    for group, class_id in zip(groups, strata, strict=True):
        stratum[group] = max(class_id, stratum.get(group, 0))
        size[group] += 1
    order = sorted(stratum)
    np.random.default_rng(seed).shuffle(order)
    dealt: dict[int, dict[Split, float]] = defaultdict(lambda: dict.fromkeys(SPLITS, 0.0))
    chosen: dict[str, Split] = {}
    for group in order:
        filled = dealt[stratum[group]]
        neediest = min(SPLITS, key=lambda split: filled[split] / SHARES[split])
        filled[neediest] += size[group]
        chosen[group] = neediest
    return [chosen[group] for group in groups]


def require_whole_groups(where: Path, samples: Iterable[Grouped]) -> None:
    """
    Refuse data whose group lies in more than one split.

    Raises:
        DataError: names the group and both splits.
    """
    seen: dict[str, Split] = {}
    for sample in samples:
        first = seen.setdefault(sample.group, sample.split)
        if first != sample.split:
            raise DataError(
                f"{where}: group '{sample.group}' is in split '{first}' and in '{sample.split}'; pictures of one group "
                "are near-copies, so the figures would be false: put the whole group into one split"
            )
