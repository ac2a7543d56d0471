"""Both layouts on disk, and everything that may be wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import DataError
from tests.support.labelled import read_rows, square_picture, write_folder, write_rows
from tests.support.shared_data import shared_data
from training.data.datasets import Sample, read_dataset
from training.data.images import read_image

Spoil = Callable[[Path], None]


def first(folder: Path, class_name: str) -> Sample:
    """Return the first training picture of a class."""
    return next(s for s in read_dataset(folder).samples if s.source.startswith(f"{class_name}_train"))


@pytest.mark.parametrize("binary", [True, False])
def test_a_folder_is_read_with_both_kinds_of_mask(tmp_path: Path, binary: bool) -> None:
    """A mask of 0 and 255 takes its class from the csv, a mask of class ids brings its own."""
    dataset = read_dataset(write_folder(tmp_path / "d", binary=binary))
    assert dataset.class_names == ("bright", "dark")
    assert len(dataset.split("train")) == 6
    image, labels = first(tmp_path / "d", "dark").read("mono8")
    assert image.shape == (90, 130, 1)
    assert np.unique(labels).tolist() == [0, 2]


def test_a_sound_picture_needs_no_mask(tmp_path: Path) -> None:
    """Without a mask file a picture of class 0 is sound all over."""
    folder = write_folder(tmp_path / "d")
    (folder / "masks" / "free_train_0.png").unlink()
    assert not first(folder, "free").read("mono8")[1].any()


def test_the_digest_follows_every_byte(tmp_path: Path) -> None:
    """Another pixel in one mask is another data set."""
    folder = write_folder(tmp_path / "d")
    before = read_dataset(folder).sha256
    mask = read_image(folder / "masks" / "dark_train_0.png", "mono8")
    mask[0, 0] = 255
    cv2.imwrite(str(folder / "masks" / "dark_train_0.png"), mask)
    assert read_dataset(folder).sha256 != before


def change(column: str, value: str, line: int = 2) -> Spoil:
    """Return what writes *value* into one cell of labels.csv."""

    def spoil(folder: Path) -> None:
        rows = read_rows(folder)
        rows[line][column] = value
        write_rows(folder, rows)

    return spoil


def drop_column(column: str) -> Spoil:
    """Return what removes one column of labels.csv."""
    return lambda folder: write_rows(folder, [{k: v for k, v in r.items() if k != column} for r in read_rows(folder)])


def drop_split(name: str) -> Spoil:
    """Return what removes the rows of one split."""
    return lambda folder: write_rows(folder, [r for r in read_rows(folder) if r["split"] != name])


def only_free(folder: Path) -> None:
    write_rows(folder, [r for r in read_rows(folder) if r["class_id"] == "0"])


def truncate(folder: Path) -> None:
    (folder / "images" / "bright_train_0.png").write_bytes(b"\x89PNG")


def empty(folder: Path) -> None:
    (folder / "images" / "bright_train_0.png").write_bytes(b"")


def remove(name: str) -> Spoil:
    """Return what deletes a file."""
    return lambda folder: (folder / name).unlink()


def header_only(folder: Path) -> None:
    (folder / "labels.csv").write_text("image,class,class_id,group\n")


def repaint(value: int, height: int = 90, channels: int = 1) -> Spoil:
    """Return what replaces the mask of a bright picture by one with a corner of *value*."""

    def spoil(folder: Path) -> None:
        mask = np.zeros((height, 130, channels), np.uint8)
        mask[:9, :9] = value
        cv2.imwrite(str(folder / "masks" / "bright_train_0.png"), mask)

    return spoil


def mixed(folder: Path) -> None:
    mask = np.zeros((90, 130), np.uint8)
    mask[0, :2] = 255, 1
    cv2.imwrite(str(folder / "masks" / "bright_train_0.png"), mask)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change("image", "gone.png"), r"labels.csv:4: image .*gone.png does not exist"),
        (change("class_id", "-1"), "labels.csv:4: class_id '-1'"),
        (change("class", "other"), "class_id 1 is 'bright' here, 'other' above"),
        (change("class_id", "7"), "labels.csv: class ids"),
        (change("split", "tset"), "labels.csv:4: split 'tset'"),
        (change("split", ""), "labels.csv:4: split is empty"),
        (change("split", "test"), "group 'bright0' is in split 'test' and in 'train'"),
        (drop_column("group"), "no column group"),
        (drop_split("val"), "split 'val' is empty"),
        (only_free, "every row has class_id 0"),
        (header_only, "holds no row"),
        (remove("masks/bright_train_0.png"), "bright_train_0.png does not exist"),
        (remove("labels.csv"), "has no labels.csv"),
        (truncate, "bright_train_0.png: not a picture that can be decoded"),
        (empty, r"bright_train_0.png: not a picture that can be decoded \(0 bytes\)"),
        (repaint(255, height=80), "is 80x130 px, its image 90x130"),
        (repaint(77), "value 77: expected 0 and 255, or class ids 0 to 2"),
        (repaint(0), "marks 0 px, labels.csv says class_id 1"),
        (repaint(255, channels=3), "3 channels"),
        (mixed, "value 1 beside 255"),
    ],
)
def test_unusable_data_are_named(tmp_path: Path, spoil: Spoil, said: str) -> None:
    """Each fault of a folder ends in one line that names the file and the value."""
    folder = write_folder(tmp_path / "d")
    spoil(folder)
    with pytest.raises(DataError, match=said):  # noqa: PT012  # reading and decoding are two steps; either may refuse
        dataset = read_dataset(folder)
        for sample in (*dataset.split("train"), *dataset.split("val")):
            sample.read("mono8")


def test_a_defect_on_a_picture_called_sound_is_refused(tmp_path: Path) -> None:
    """The csv's class_id 0 and a mask with pixels contradict each other."""
    folder = write_folder(tmp_path / "d", binary=False)
    cv2.imwrite(str(folder / "masks" / "free_train_0.png"), square_picture(1, 3)[1])
    with pytest.raises(DataError, match=r"marks 400 px, labels\.csv says class_id 0"):
        first(folder, "free").read("mono8")


def test_no_folder_is_named(tmp_path: Path) -> None:
    """A path that is no folder says so."""
    with pytest.raises(DataError, match="no such folder"):
        read_dataset(tmp_path / "absent")


def test_splits_are_made_by_group_when_none_are_given(tmp_path: Path) -> None:
    """Without the column each group lands whole in one split, and all three splits are filled."""
    dataset = read_dataset(write_folder(tmp_path / "d", split=False))
    for name in ("train", "val", "test"):
        assert dataset.split(name)
    by_group = {sample.group: sample.split for sample in dataset.samples}
    assert all(by_group[sample.group] == sample.split for sample in dataset.samples)


def severstal_folder(folder: Path, rows: str) -> Path:
    """Write train_images/ with a.png ... d.png of 90 x 130 px and train.csv."""
    (folder / "train_images").mkdir(parents=True)
    for seed, name in enumerate("abcd"):
        cv2.imwrite(str(folder / "train_images" / f"{name}.png"), square_picture(0, seed)[0])
    (folder / "train.csv").write_text(f"ImageId,ClassId,EncodedPixels\n{rows}")
    return folder


def test_severstal_pictures_without_a_row_are_sound(tmp_path: Path) -> None:
    """All pictures of the folder are samples; those without a row have no defect."""
    dataset = read_dataset(severstal_folder(tmp_path / "s", "a.png,2,1 90\nc.png,1,1 9\n"))
    assert dataset.class_names == ("class1", "class2")
    labels = {sample.source: sample.read("mono8")[1] for sample in dataset.samples}
    assert sorted(labels) == ["a.png", "b.png", "c.png", "d.png"]
    assert (labels["a.png"][:, 0] == 2).all()
    assert not labels["b.png"].any()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a.png,1,11700 2\n", "train.csv: a.png: class 1: run '11700 2' leaves the image of 90x130"),
        ("e.png,1,1 2\n", "names e.png"),
        ("a.png,1,\n", "no row has run-lengths"),
    ],
)
def test_unusable_severstal_data_are_named(tmp_path: Path, rows: str, said: str) -> None:
    """A run outside the image, an unknown image and a csv without defects are refused."""
    folder = severstal_folder(tmp_path / "s", rows)
    with pytest.raises(DataError, match=said):  # noqa: PT012  # see above
        for sample in read_dataset(folder).samples:
            sample.read("mono8")


@pytest.mark.shared_data
def test_magnetic_tile_keeps_its_own_split() -> None:
    """The real set has five classes and 456, 168 and 161 pictures; every mask fits its picture."""
    dataset = read_dataset(shared_data("magnetic_tile"))
    assert dataset.class_names == ("blowhole", "break", "crack", "fray", "uneven")
    assert [len(dataset.split(name)) for name in ("train", "val", "test")] == [456, 168, 161]
    assert sum(sample.read("mono8")[1].any() for sample in dataset.samples) == 388


@pytest.mark.shared_data
def test_the_severstal_sample_is_read() -> None:
    """The real sample gives twelve pictures of 256 x 1600, seven with a defect."""
    samples = read_dataset(shared_data("severstal_sample")).samples
    read = [sample.read("mono8") for sample in samples]
    assert {image.shape for image, _ in read} == {(256, 1600, 1)}
    assert sum(bool(labels.any()) for _, labels in read) == 7
