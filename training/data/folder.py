"""
The folder layout: ``images/  masks/  labels.csv``.

labels.csv has the columns image,class,class_id,group and, if the data bring their own, split and mask. class_id 0 is
sound, further ids count from 1 without a gap. Where no row has a group each picture is its own. A picture that shows
several defects has a row for each. A mask has its picture's stem and ends in .png; a sound picture needs none. ``none``
in the column mask says that a defective picture has a class only.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge.errors import DataError
from training.data.faults import OnFault, each, refuse
from training.data.images import picture_files
from training.data.labels import MaskFile, Undrawn
from training.data.samples import Listing, Sample
from training.data.splits import require_all_or_none, split_from_text
from training.data.windows import OUTSIDE

LABELS = ("labels.csv", "train.csv")
"""Names of the csv file, the first that is there counts."""
REQUIRED_COLUMNS = ("image", "class", "class_id", "group")
NO_MASK = "none"

Row = dict[str, str]
_Numbered = tuple[int, Row]
"""A row and its line."""


@dataclass(frozen=True)
class _Entry:
    """All rows of one picture; *line* is the first one's."""

    line: int
    rows: tuple[Row, ...]

    @property
    def image(self) -> str:
        return self.rows[0]["image"]

    @property
    def class_ids(self) -> tuple[int, ...]:
        return tuple(sorted(int(row["class_id"]) for row in self.rows if int(row["class_id"])))

    def cell(self, column: str) -> str:
        return self.rows[0].get(column, "")


def read_rows(path: Path) -> list[Row]:
    """
    Read a csv file with a header, cells stripped.

    Raises:
        DataError: the file cannot be read, holds no row, or has a column image and lacks another one of this layout.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not rows:
        raise DataError(f"{path}: holds no row")
    missing = [column for column in REQUIRED_COLUMNS if column not in rows[0]]
    if "image" in rows[0] and missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; expected image,class,class_id,group and split")
    return rows


def list_folder(
    folder: Path, path: Path, rows: Sequence[Row], *, class_only: bool, on_fault: OnFault = refuse
) -> Listing:
    """
    List the pictures of this layout.

    Args:
        folder: holds images/ and masks/.
        path: the csv file.
        rows: of it, from read_rows().
        class_only: a defective picture may lack its mask; else only a row that says so may.
        on_fault: takes what is wrong with a row or a picture; returns to leave it out.

    Raises:
        DataError: no row shows a defect; and by *on_fault* an image or mask that is not there, rows that contradict
            each other, or unusable classes or splits.
    """
    numbered = list(each(enumerate(rows, start=2), partial(_with_class_id, path), on_fault))
    class_names = _class_names(path, numbered, on_fault)
    entries = list(each(_by_image(numbered), partial(_entry, path), on_fault))
    given = {column: [(entry.line, entry.cell(column)) for entry in entries] for column in ("group", "split")}
    list(each(given, lambda column: require_all_or_none(path, column, given[column]), on_fault))
    make = partial(_sample, folder, path, class_count=len(class_names), class_only=class_only)
    samples = tuple(each(entries, make, on_fault))
    has_splits = bool(entries) and all(split for _, split in given["split"])
    notes = [*_left_out(folder / "images", samples)]
    if entries and not any(group for _, group in given["group"]):
        notes.append(
            f"{path}: no groups; each picture is its own, which is wrong if one part was photographed more than once"
        )
    return Listing(path, class_names, samples, has_splits, (path,), tuple(notes))


def _with_class_id(path: Path, numbered: _Numbered) -> _Numbered:
    line, row = numbered
    if not row["class_id"].isdecimal():
        raise DataError(f"{path}:{line}: class_id '{row['class_id']}': expected 0 (sound), 1, 2, ...")
    return numbered


def _class_names(path: Path, rows: Iterable[_Numbered], on_fault: OnFault) -> tuple[str, ...]:
    names: dict[int, str] = {}
    for line, row in rows:
        class_id = int(row["class_id"])
        if names.setdefault(class_id, row["class"]) != row["class"]:
            other = f"{path}:{line}: class_id {class_id} is '{row['class']}' here, '{names[class_id]}' above"
            on_fault(DataError(f"{other}; give each class one name"))
    defects = sorted(set(names) - {0})
    if not defects:
        raise DataError(f"{path}: every row has class_id 0; at least one defect class is needed")
    if defects != list(range(1, len(defects) + 1)):
        on_fault(DataError(f"{path}: class ids {defects}: expected 1 to {len(defects)} without a gap"))
    return tuple(names.get(class_id, f"class{class_id}") for class_id in range(1, min(defects[-1], OUTSIDE) + 1))


def _by_image(rows: Iterable[_Numbered]) -> Iterable[list[_Numbered]]:
    by_image: dict[str, list[_Numbered]] = defaultdict(list)
    for line, row in rows:
        by_image[row["image"]].append((line, row))
    return by_image.values()


def _entry(path: Path, numbered: list[_Numbered]) -> _Entry:
    """Join the rows of a picture."""
    first, image = numbered[0][0], numbered[0][1]["image"]
    seen: set[str] = set()
    for line, row in numbered:
        for column in ("group", "split", "mask"):
            if row.get(column, "") != numbered[0][1].get(column, ""):
                raise DataError(f"{path}:{line}: {column} of {image} is another than in line {first}")
        if row["class_id"] in seen:
            raise DataError(f"{path}:{line}: {image} has class_id {row['class_id']} twice; remove one of the rows")
        seen.add(row["class_id"])
    if len(seen) > 1 and "0" in seen:
        raise DataError(f"{path}:{first}: {image} is sound in one row and defective in another")
    return _Entry(first, tuple(row for _, row in numbered))


def _sample(folder: Path, path: Path, entry: _Entry, *, class_count: int, class_only: bool) -> Sample:
    where = f"{path}:{entry.line}"
    image = folder / "images" / entry.image
    if not image.is_file():
        raise DataError(f"{where}: image {image} does not exist")
    mask = (folder / "masks" / entry.image).with_suffix(".png")
    undrawn = _says_undrawn(where, entry, mask) or (class_only and not mask.is_file())
    if entry.class_ids and not mask.is_file() and not undrawn:
        raise DataError(
            f"{where}: {image.name} is '{entry.cell('class')}', but {mask} does not exist; if it has only a class, "
            f"write {NO_MASK} into a column mask, or give --class-only for all such rows"
        )
    drawn = not (undrawn and entry.class_ids)
    labels = MaskFile(mask if mask.is_file() else None, entry.class_ids, class_count) if drawn else Undrawn()
    split = split_from_text(where, entry.cell("split") or "train")
    return Sample(image, labels, entry.cell("group") or entry.image, split, entry.class_ids, drawn, entry.image)


def _says_undrawn(where: str, entry: _Entry, mask: Path) -> bool:
    said = entry.cell("mask")
    if said not in ("", NO_MASK):
        raise DataError(f"{where}: mask '{said}': expected {NO_MASK}, or nothing; a mask is called {mask.name}")
    if said and mask.is_file():
        raise DataError(f"{where}: mask '{said}', but {mask} exists; remove one of the two")
    return bool(said)


def _left_out(images: Path, samples: Iterable[Sample]) -> Iterable[str]:
    listed = {sample.image for sample in samples}
    strangers = [path for path in picture_files(images) if path not in listed]
    if strangers:
        yield f"{images}: {len(strangers)} pictures that no row names are left out, {strangers[0].name} first"
