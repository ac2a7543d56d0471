"""Splits and folds by group."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import DataError
from training.data.splits import folds_by_group, split_by_group, strata_of_groups

GROUPS = [f"g{index // 4}" for index in range(200)]
STRATA = [index // 4 % 5 for index in range(200)]
PICTURES = st.lists(st.tuples(st.sampled_from([f"g{i}" for i in range(12)]), st.integers(0, 4)), min_size=1)


def test_no_group_is_divided_and_shares_hold_within_each_class() -> None:
    """Fifty groups of four pictures in five classes: 6, 2 and 2 groups of every class."""
    splits = split_by_group(GROUPS, STRATA, seed=1)
    assert len({(group, split) for group, split in zip(GROUPS, splits, strict=True)}) == 50
    counts = Counter(zip(STRATA, splits, strict=True))
    for stratum in range(5):
        assert [counts[stratum, name] for name in ("train", "val", "test")] == [24, 8, 8]


def test_the_seed_alone_decides() -> None:
    """The same seed deals the same way, another seed another way."""
    for deal in (split_by_group, lambda *args: folds_by_group(args[0], args[1], 5, args[2])):
        assert deal(GROUPS, STRATA, 1) == deal(GROUPS, STRATA, 1)
        assert deal(GROUPS, STRATA, 1) != deal(GROUPS, STRATA, 2)


@given(PICTURES, st.integers(0, 99))
def test_a_split_never_divides_a_group_and_train_comes_first(pictures: list[tuple[str, int]], seed: int) -> None:
    """Whatever the groups: each is whole, and each stratum has a group in train."""
    groups, strata = [group for group, _ in pictures], [class_id for _, class_id in pictures]
    splits = split_by_group(groups, strata, seed)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))
    stratum = strata_of_groups(groups, strata)
    in_train = {stratum[group] for group, split in zip(groups, splits, strict=True) if split == "train"}
    assert in_train == set(stratum.values())


@settings(max_examples=200)
@given(PICTURES, st.integers(2, 6), st.integers(0, 99))
def test_folds_never_divide_a_group_and_spread_every_class(pictures: list[tuple[str, int]], k: int, seed: int) -> None:
    """Whatever the groups: each is whole, and no two folds differ by more than one in the groups of a stratum."""
    groups, strata = [group for group, _ in pictures], [class_id for _, class_id in pictures]
    stratum = strata_of_groups(groups, strata)
    if k > len(stratum):
        with pytest.raises(DataError, match=f"{k} folds of {len(stratum)} groups"):
            folds_by_group(groups, strata, k, seed)
        return
    folds = folds_by_group(groups, strata, k, seed)
    assert len(set(zip(groups, folds, strict=True))) == len(stratum)
    held: dict[int, Counter[int]] = defaultdict(Counter)
    for group, fold in set(zip(groups, folds, strict=True)):
        held[stratum[group]][fold] += 1
    for counts in held.values():
        spread = [counts[fold] for fold in range(k)]
        assert max(spread) - min(spread) <= 1


def test_no_fold_is_empty_and_folds_are_of_one_size() -> None:
    """Ten classes of one group each make five folds of two groups, not one fold of ten."""
    groups = [f"g{i}" for i in range(10)]
    assert sorted(Counter(folds_by_group(groups, list(range(10)), 5, 3)).values()) == [2] * 5


def test_a_group_counts_for_the_rarest_defect_it_holds() -> None:
    """Where one group shows a common and a rare defect, the rare one decides where it goes."""
    groups = ["a", "a", "b", "c", "d", "d"]
    assert strata_of_groups(groups, [1, 2, 1, 0, 0, 1]) == {"a": 2, "b": 1, "c": 0, "d": 1}
