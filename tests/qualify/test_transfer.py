"""The transfer section, without a training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.qualify import transfer
from tests.support.labelled import read_rows, write_folder, write_rows
from training.data.datasets import Dataset, read_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Return each picture as a group of its own: eight sound and sixteen defective ones in each split."""
    folder = write_folder(tmp_path / "data", each=8)
    write_rows(folder, [{**row, "group": row["image"]} for row in read_rows(folder)])
    return transfer.binary(read_dataset(folder))


@pytest.mark.parametrize(("share", "groups"), [(0.01, 2), (0.25, 6), (0.5, 12), (1.0, 24)])
def test_a_share_is_of_all_labels_that_are_used(dataset: Dataset, share: float, groups: int) -> None:
    """Val, which chooses the epoch, is thinned as train is, down to a group of each kind; test stays whole."""
    thin = transfer.thinned(dataset, share, seed=1)
    for split in ("train", "val"):
        left = thin.split(split)
        assert len({sample.group for sample in left}) == groups
        assert {sample.class_ids for sample in left} == {(), (1,)}
    assert thin.split("test") == dataset.split("test")
