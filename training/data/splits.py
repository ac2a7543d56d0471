"""
Training, validation and test, and folds: by group, never by picture.

Pictures of one group are near-copies (the same part photographed several times). On magnetic_tile a split by picture
turns a macro-F1 of 0.26 into 0.84: it measures recognition of the part, not of the defect.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from edge.errors import DataError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
SHARES: dict[Split, float] = {"train": 0.6, "val": 0.2, "test": 0.2}


class Grouped(Protocol):
    """What has a group, a split and classes."""

    @property
    def group(self) -> str: ...

    @property
    def split(self) -> Split: ...

    @property
    def class_ids(self) -> tuple[int, ...]: ...


def split_by_group(groups: Sequence[str], strata: Sequence[int], seed: int) -> list[Split]:
    """
    Deal whole groups to the splits so that each class keeps about the shares of SHARES.

    Args:
        groups: of each picture.
        strata: class id of each picture; a group counts for the rarest defect it holds.
        seed: equal seeds give equal splits.

    Returns:
        The split of each picture. A class with fewer than three groups is missing from some split.
    """
    stratum = strata_of_groups(groups, strata)
    size = Counter(groups)
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


def folds_by_group(groups: Sequence[str], strata: Sequence[int], k: int, seed: int) -> list[int]:
    """
    Deal whole groups to *k* folds so that each class's groups are spread as evenly as can be.

    Args:
        groups: of each picture.
        strata: class id of each picture; a group counts for the rarest defect it holds.
        k: number of folds.
        seed: equal seeds give equal folds.

    Returns:
        The fold of each picture, 0..k-1. Any two folds differ by at most one in the number of groups of each stratum;
        where there is a choice, the fold with fewer pictures gets the larger group.

    Raises:
        DataError: fewer than two folds, or more than there are groups.
    """
    stratum = strata_of_groups(groups, strata)
    if not 2 <= k <= len(stratum):
        raise DataError(f"{k} folds of {len(stratum)} groups: expected 2 to {len(stratum)} folds, a group in each")
    size = Counter(groups)
    order = sorted(stratum)
    np.random.default_rng(seed).shuffle(order)
    filled = [0] * k
    chosen: dict[str, int] = {}
    for members in _by_stratum(order, stratum):
        for start in range(0, len(members), k):
            round_of_k = sorted(members[start : start + k], key=lambda group: -size[group])
            for group, fold in zip(round_of_k, sorted(range(k), key=lambda fold: filled[fold]), strict=False):
                chosen[group] = fold
                filled[fold] += size[group]
    return [chosen[group] for group in groups]


def strata_of_groups(groups: Sequence[str], strata: Sequence[int]) -> dict[str, int]:
    """Return the class that each group counts for: of its defects the one that the fewest groups hold; 0 if none."""
    held: dict[str, set[int]] = defaultdict(set)
    for group, class_id in zip(groups, strata, strict=True):
        held[group].add(class_id)
    common = Counter(class_id for class_ids in held.values() for class_id in class_ids)
    return {
        group: min(class_ids - {0}, key=lambda class_id: (common[class_id], class_id), default=0)
        for group, class_ids in held.items()
    }


def split_from_text(where: str, text: str) -> Split:
    """
    Return the split of that name.

    Raises:
        DataError: there is none; *where* says where it was read.
    """
    for split in SPLITS:
        if text == split:
            return split
    raise DataError(f"{where}: split '{text}': expected {', '.join(SPLITS)}")


def require_all_or_none(path: Path, what: str, given: Sequence[tuple[int | str, str]]) -> None:
    """
    Refuse data where some entries say a thing and others do not.

    Args:
        path: the file.
        what: a group or a split.
        given: line (or name) and text of each entry.
    """
    absent = [place for place, text in given if not text]
    if absent and len(absent) < len(given):
        raise DataError(f"{path}:{absent[0]}: {what} is empty, other rows have one; fill all or none")


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


def require_known_classes(where: Path, samples: Sequence[Grouped], class_names: Sequence[str]) -> None:
    """
    Refuse data with a class in val or test that train does not show; data without a train split are only judged.

    Raises:
        DataError: names the class and the split.
    """
    taught = {class_id for sample in samples if sample.split == "train" for class_id in sample.class_ids}
    if not any(sample.split == "train" for sample in samples):
        return
    for sample in samples:
        for class_id in sample.class_ids:
            if class_id not in taught:
                raise DataError(
                    f"{where}: class '{class_names[class_id - 1]}' is in split '{sample.split}' and not in 'train', so "
                    "that it cannot be learned: move a group of it to train, or bring pictures of another part"
                )


def _by_stratum(order: Sequence[str], stratum: dict[str, int]) -> list[list[str]]:
    """Return the groups of each stratum in the order they are given, the stratum with the fewest groups first."""
    members: dict[int, list[str]] = defaultdict(list)
    for group in order:
        members[stratum[group]].append(group)
    return sorted(members.values(), key=len)
