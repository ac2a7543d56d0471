from __future__ import annotations

import csv
from pathlib import Path

import pytest

from edge.errors import ConfigurationError, DataError
from tests.support.surfaces import plain_rows, write_folder
from training.data.findings import Assignment
from training.data.proposal import require_free, write_split


def assignments(count: int) -> dict[str, Assignment]:
    return {f"p{k:02}.png": Assignment(f"p{k:02}.png", "joined", "val") for k in range(count)}


def test_the_label_file_is_copied_with_group_and_split(tmp_path: Path) -> None:
    """Every row and every further column stays; group and split are the proposed ones."""
    write_folder(tmp_path / "set", plain_rows(3))
    before = (tmp_path / "set" / "labels.csv").read_bytes()
    write_split(tmp_path / "new.csv", tmp_path / "set" / "labels.csv", assignments(3))
    rows = list(csv.DictReader((tmp_path / "new.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["image"], row["group"], row["split"], row["shift"]) for row in rows] == [
        (f"p{k:02}.png", "joined", "val", "night") for k in range(3)
    ]
    assert [row["class"] for row in rows] == ["sound", "scratch", "dent"]
    assert (tmp_path / "set" / "labels.csv").read_bytes() == before


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A path that exists is refused before and when the file is written."""
    write_folder(tmp_path / "set", plain_rows(3))
    (tmp_path / "old.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="nothing is overwritten"):
        require_free(tmp_path / "old.csv")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_split(tmp_path / "old.csv", tmp_path / "set" / "labels.csv", assignments(3))
    assert (tmp_path / "old.csv").read_text(encoding="utf-8") == "mine"


def test_an_image_without_a_place_is_refused(tmp_path: Path) -> None:
    """A row whose image cannot be used would be in no split; it is named, and nothing is written."""
    write_folder(tmp_path / "set", plain_rows(3))
    with pytest.raises(DataError, match=r"1 rows name images that cannot be used, p02\.png first"):
        write_split(tmp_path / "new.csv", tmp_path / "set" / "labels.csv", assignments(2))
    assert not (tmp_path / "new.csv").exists()


def test_a_coco_file_gets_its_groups_beside(tmp_path: Path) -> None:
    """Of a json file the table of groups and splits is written."""
    write_split(tmp_path / "groups.csv", tmp_path / "annotations.json", assignments(2))
    assert (tmp_path / "groups.csv").read_text(encoding="utf-8").splitlines() == [
        "image,group,split",
        "p00.png,joined,val",
        "p01.png,joined,val",
    ]


def test_a_layout_without_splits_is_refused(tmp_path: Path) -> None:
    """Severstal's csv has no column for a split; the message says which layouts have."""
    (tmp_path / "train.csv").write_text("ImageId,ClassId,EncodedPixels\na.jpg,1,1 2\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="has no place for a split"):
        write_split(tmp_path / "new.csv", tmp_path / "train.csv", assignments(1))
