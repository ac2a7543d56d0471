"""The folder layout: rows of several classes, rows with a class only, and rows that contradict each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import DataError
from tests.support.labelled import Row, read_rows, write_folder, write_rows
from training.data.datasets import Sample, read_dataset
from training.data.windows import OUTSIDE

Spoil = Callable[[list[Row], Path], None]


def changed(folder: Path, spoil: Spoil) -> Path:
    """Write the small set and change its rows (two of free, bright, dark in each of train, val, test)."""
    write_folder(folder)
    rows = read_rows(folder)
    spoil(rows, folder)
    columns = {column: "" for row in rows for column in row}
    write_rows(folder, [{**columns, **row} for row in rows])
    return folder


def named(folder: Path, name: str, **flags: bool) -> Sample:
    return next(sample for sample in read_dataset(folder, **flags).samples if sample.source == name)


def test_masks_of_class_ids_come_back_as_they_went_in(tmp_path: Path) -> None:
    """What was painted into each mask is read from it, pixel for pixel."""
    folder = write_folder(tmp_path / "d", binary=False)
    for sample in read_dataset(folder).samples:
        painted = cv2.imread(str(folder / "masks" / f"{sample.image.stem}.png"), cv2.IMREAD_UNCHANGED)
        assert (sample.read("mono8")[1] == painted).all()
        assert sample.class_ids == tuple(np.unique(painted)[1:].tolist())


def test_a_picture_of_two_classes_has_two_rows(tmp_path: Path) -> None:
    """Its mask shows both, and it is one sample."""
    both = np.zeros((90, 130), np.uint8)
    both[:9, :9], both[20:29, :9] = 1, 2

    def spoil(rows: list[Row], folder: Path) -> None:
        rows.append({**rows[2], "class": "dark", "class_id": "2"})
        cv2.imwrite(str(folder / "masks" / rows[2]["image"]), both)

    folder = changed(tmp_path / "d", spoil)
    sample = named(folder, "bright_train_0.png")
    assert (len(read_dataset(folder).samples), sample.class_ids) == (18, (1, 2))
    assert (sample.read("mono8")[1] == both).all()


def undrawn(rows: list[Row], folder: Path) -> None:
    """Take a mask away and say so in the row; say it of a sound picture, too."""
    (folder / "masks" / "bright_train_0.png").unlink()
    (folder / "masks" / "free_train_0.png").unlink()
    rows[2]["mask"] = rows[0]["mask"] = "none"


def test_a_row_may_say_that_there_is_no_mask(tmp_path: Path) -> None:
    """Of the defective picture nothing is drawn; the sound one is sound all over, which is as good as a mask."""
    folder = changed(tmp_path / "d", undrawn)
    sample, sound = named(folder, "bright_train_0.png"), named(folder, "free_train_0.png")
    assert (sample.drawn, sample.class_ids, sound.drawn, sound.class_ids) == (False, (1,), True, ())
    assert (sample.read("mono8")[1] == OUTSIDE).all()
    assert not sound.read("mono8")[1].any()
    (note,) = read_dataset(folder).notes
    assert note == "1 of 18 pictures carry a class and no mask: they teach the classifier, no segmenter"


def test_a_forgotten_mask_is_an_error_unless_asked_for(tmp_path: Path) -> None:
    """Without a word in the row a missing mask is refused; --class-only lets it pass."""
    folder = write_folder(tmp_path / "d")
    (folder / "masks" / "dark_val_1.png").unlink()
    with pytest.raises(DataError, match=r"'dark', but .*dark_val_1\.png does not exist; .*or give --class-only"):
        read_dataset(folder)
    assert not named(folder, "dark_val_1.png", class_only=True).drawn
    assert named(folder, "dark_val_0.png", class_only=True).drawn


def test_pictures_that_no_row_names_are_told(tmp_path: Path) -> None:
    """They are left out, and the first of them is named."""
    folder = write_folder(tmp_path / "d")
    for name in ("new_b.png", "new_a.png"):
        (folder / "images" / name).write_bytes((folder / "images" / "free_val_0.png").read_bytes())
    (note,) = read_dataset(folder).notes
    assert note.endswith("2 pictures that no row names are left out, new_a.png first")


def test_pictures_may_lie_in_folders(tmp_path: Path) -> None:
    """An image cam1/x.png has its mask in masks/cam1/x.png."""

    def spoil(rows: list[Row], folder: Path) -> None:
        for kind in ("images", "masks"):
            (folder / kind / "cam1").mkdir()
            (folder / kind / rows[2]["image"]).rename(folder / kind / "cam1" / "x.png")
        rows[2]["image"] = "cam1/x.png"

    assert (named(changed(tmp_path / "d", spoil), "x.png").read("mono8")[1] == 1).any()


def without_groups(rows: list[Row], _: Path) -> None:
    for row in rows:
        row["group"] = ""


def test_pictures_without_a_group_are_not_one(tmp_path: Path) -> None:
    """Where no row has a group each picture is its own, and a note warns of it."""
    dataset = read_dataset(changed(tmp_path / "d", without_groups))
    assert {sample.group for sample in dataset.samples} == {sample.name for sample in dataset.samples}
    (note,) = dataset.notes
    assert "no groups; each picture is its own" in note


def add(index: int, **cells: str) -> Spoil:
    """Return what appends a copy of a row with other cells."""
    return lambda rows, _: rows.append({**rows[index], **cells})


def everywhere(column: str, old: str, new: str) -> Spoil:
    """Return what renames a cell in every row."""

    def spoil(rows: list[Row], _: Path) -> None:
        for row in rows:
            row[column] = new if row[column] == old else row[column]

    return spoil


def only_in_val(rows: list[Row], _: Path) -> None:
    for row in rows:
        if row["class"] == "dark" and row["split"] == "train":
            row.update({"class": "bright", "class_id": "1"})


def mask_of_another_class(rows: list[Row], folder: Path) -> None:
    cv2.imwrite(str(folder / "masks" / "bright_train_0.png"), np.full((90, 130), 2, np.uint8))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (add(2), r"labels\.csv:20: bright_train_0\.png has class_id 1 twice"),
        (add(2, class_id="0", **{"class": "free"}), "bright_train_0.png is sound in one row and defective in another"),
        (
            add(2, class_id="2", group="x", **{"class": "dark"}),
            r"labels\.csv:20: group of .* is another than in line 4",
        ),
        (add(2, class_id="2", split="val", **{"class": "dark"}), r"labels\.csv:20: split of .* is another"),
        (add(2, class_id="2", **{"class": "dark"}), "255 may be any of the classes 1, 2"),
        (
            lambda rows, _: rows[2].update(group=""),
            r"labels\.csv:4: group is empty, other rows have one; fill all or none",
        ),
        (lambda rows, _: rows[2].update(mask="none"), r"labels\.csv:4: mask 'none', but .* exists"),
        (lambda rows, _: rows[2].update(mask="m.png"), r"mask 'm\.png': expected none, or nothing"),
        (mask_of_another_class, r"shows class ids 2, labels\.csv says 1"),
        (everywhere("class", "dark", "sehr dunkel"), "class 'sehr dunkel': expected .* call it 'sehr_dunkel'"),
        (everywhere("class", "dark", "bright"), "2 classes are called 'bright'"),
        (only_in_val, "class 'dark' is in split 'val' and not in 'train', so that it cannot be learned"),
    ],
)
def test_rows_that_cannot_be_right_are_named(tmp_path: Path, spoil: Spoil, said: str) -> None:
    """Each contradiction ends in one line that says where it is."""
    folder = changed(tmp_path / "d", spoil)
    with pytest.raises(DataError, match=said):  # noqa: PT012  # reading and decoding are two steps; either may refuse
        for sample in read_dataset(folder).samples:
            sample.read("mono8")


def test_a_set_that_is_only_judged_needs_no_train_split(tmp_path: Path) -> None:
    """Where there is no train split no class is asked for in it."""
    folder = write_folder(tmp_path / "d")
    write_rows(folder, [row for row in read_rows(folder) if row["split"] == "test"])
    dataset = read_dataset(folder)
    assert len(dataset.split("test")) == 6
    with pytest.raises(DataError, match="split 'train' is empty"):
        dataset.split("train")
