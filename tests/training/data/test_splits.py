"""Splits by group."""

from __future__ import annotations

from collections import Counter

from training.data.splits import split_by_group

GROUPS = [f"g{index // 4}" for index in range(200)]
STRATA = [index // 4 % 5 for index in range(200)]


def test_no_group_is_divided_and_shares_hold_within_each_class() -> None:
    """Fifty groups of four pictures in five classes: 6, 2 and 2 groups of every class."""
    splits = split_by_group(GROUPS, STRATA, seed=1)
    assert len({(group, split) for group, split in zip(GROUPS, splits, strict=True)}) == 50
    counts = Counter(zip(STRATA, splits, strict=True))
    for stratum in range(5):
        assert [counts[stratum, name] for name in ("train", "val", "test")] == [24, 8, 8]


def test_the_seed_alone_decides() -> None:
    """The same seed deals the same way, another seed another way."""
    assert split_by_group(GROUPS, STRATA, 1) == split_by_group(GROUPS, STRATA, 1)
    assert split_by_group(GROUPS, STRATA, 1) != split_by_group(GROUPS, STRATA, 2)
