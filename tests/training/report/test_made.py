"""What a report says of the data and of its own making."""

from __future__ import annotations

import pytest

from tests.support.bundles import write_squares
from training.data.datasets import Dataset, read_dataset
from training.data.findings import Check, NearPair, Problem
from training.report.made import MOST_PROBLEMS, NOT_CHECKED, data_section, data_warnings, made_section


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return read_dataset(write_squares(tmp_path_factory.mktemp("data") / "squares", {"train": 3, "val": 3, "test": 6}))


def check_of(images: int, *problems: Problem, near: tuple[NearPair, ...] = ()) -> Check:
    return Check(
        dataset="squares",
        format="mono8",
        images=images,
        unreadable=0,
        has_splits=True,
        sizes={},
        height=None,
        width=None,
        empty_masks=0,
        classes=(),
        problems=problems,
        near=near,
        alike=0,
        proposal=(),
    )


def test_pictures_and_groups_are_counted_by_split(dataset: Dataset) -> None:
    """A row a class, pictures and independent groups of each split."""
    table = data_section(dataset, None).tables[0]
    assert table.rows[1] == ("bright", "1 (1)", "1 (1)", "2 (2)")


def test_what_was_not_checked_is_said(dataset: Dataset) -> None:
    """Without a check the page says so; one of other data is told as such."""
    assert NOT_CHECKED in data_section(dataset, None).notes
    assert any("It is of other data" in note for note in data_section(dataset, check_of(7)).notes)
    assert not any("It is of other data" in note for note in data_section(dataset, check_of(12)).notes)


def test_leaks_are_a_warning_and_stand_first(dataset: Dataset) -> None:
    """Of many findings those that make figures false come first, and the rest is counted."""
    pair = NearPair(("a", "b"), ("1", "2"), ("train", "test"), "same", 1.0)
    notes = [Problem("note", False, f"note {number}") for number in range(MOST_PROBLEMS + 4)]
    found = check_of(12, *notes, Problem("leak", True, "a is b"), near=(pair,))
    said = data_section(dataset, found).notes
    assert "1 pairs look nearly the same, 1 of these in two groups, 1 in two splits" in said[0]
    assert said[1] == "WRONG: a is b"
    assert said[-1] == "... and 5 more in check.json."
    assert data_warnings(dataset, found, dataset.sha256) == [
        "The data check found 1 faults that make figures false: see The data, below."
    ]


def test_the_command_stands_alone() -> None:
    """It can be copied; everything else is a table."""
    section = made_section({"command": "edge-train both my-part", "seed": "7"}, {"tile": "256"})
    assert section.listing == "edge-train both my-part"
    assert section.tables[0].rows == (("seed", "7"), ("tile", "256"))


def test_other_data_than_the_networks_are_told(dataset: Dataset) -> None:
    """The warning names both digests, so that one can look which data those were."""
    (said,) = data_warnings(dataset, None, "f" * 64)
    assert dataset.sha256[:12] in said
    assert "f" * 12 in said
