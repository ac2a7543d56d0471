"""
The Severstal layout: run-length coded labels in a csv file, in the three forms found in the wild.

    ImageId,ClassId,EncodedPixels     rows with a defect only; an image without a row is sound
    ImageId,ClassId,EncodedPixels     one row for every image and class; the last cell is empty where there is nothing
    ImageId_ClassId,EncodedPixels     the same with ``0002cc93b.jpg_1`` in one column

EncodedPixels are run-lengths, see training.data.runs. The layout names neither classes nor groups nor splits: classes
are called class1, class2, ...; every picture is a group of its own. Where pictures show the same place twice, use the
folder layout.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError
from training.data.faults import OnFault, refuse
from training.data.runs import labels_from_runs
from training.data.samples import Listing, Sample

Runs = dict[str, dict[int, str]]
"""Run-lengths by image name and class id; an image that is listed without a defect has an empty entry."""

SPLIT_COLUMNS = ["ImageId", "ClassId", "EncodedPixels"]
JOINED_COLUMNS = ["ImageId_ClassId", "EncodedPixels"]


@dataclass(frozen=True)
class RunLengths:
    """Labels in a csv file of this layout: run-lengths by class id, empty for a sound picture."""

    where: str
    runs: dict[int, str]

    def read(self, height: int, width: int) -> NDArray[np.uint8]:
        try:
            return labels_from_runs(self.runs, height, width)
        except DataError as error:
            raise DataError(f"{self.where}: {error}") from error


def list_severstal(folder: Path, path: Path, *, on_fault: OnFault = refuse) -> Listing:
    """
    List the pictures of ``train_images/``; those without a row are sound.

    Raises:
        DataError: the csv file is unusable, names a picture that is not there, or shows no defect.
    """
    runs = read_runs(path)
    images = {image.name: image for image in sorted((folder / "train_images").glob("*")) if image.is_file()}
    missing = sorted(set(runs) - set(images))
    if missing:
        named = f"{path}: names {missing[0]} ({len(missing)} such)"
        on_fault(DataError(f"{named}, which is not in {folder / 'train_images'}"))
    samples = []
    for name, image in images.items():
        of_image = runs.get(name, {})
        labels = RunLengths(f"{path}: {name}", of_image)
        samples.append(Sample(image, labels, name, "train", tuple(sorted(of_image)), name=name))
    class_count = max((class_id for of_image in runs.values() for class_id in of_image), default=0)
    if class_count == 0:
        raise DataError(f"{path}: no row has run-lengths; at least one defect is needed")
    names = tuple(f"class{class_id}" for class_id in range(1, class_count + 1))
    return Listing(path, names, tuple(samples), has_splits=False, sources=(path,))


def read_runs(path: Path) -> Runs:
    """
    Read a csv file in any of the three forms.

    Args:
        path: the csv file.

    Returns:
        The run-lengths by image and class id; equal for the three forms, but for images without a defect, which the
        first form does not list.

    Raises:
        DataError: the file cannot be read, has other columns, a class id that is no positive number, or names an image
            and class twice; says the line.
    """
    runs: Runs = {}
    for line, (image, class_id, encoded) in enumerate(_rows(path), start=2):
        if not class_id.isdecimal() or int(class_id) < 1:
            raise DataError(f"{path}:{line}: class id '{class_id}' of {image}: expected 1, 2, 3, ...")
        of_image = runs.setdefault(image, {})
        if not encoded:
            continue
        if int(class_id) in of_image:
            raise DataError(f"{path}:{line}: {image} has class {class_id} twice; join the two rows")
        of_image[int(class_id)] = encoded
    return runs


def _rows(path: Path) -> list[tuple[str, str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    header = rows[0] if rows else []
    if header == SPLIT_COLUMNS:
        split = [_cells(path, line, row, 3) for line, row in enumerate(rows[1:], start=2)]
        return [(image, class_id, encoded) for image, class_id, encoded in split]
    if header == JOINED_COLUMNS:
        joined = [_cells(path, line, row, 2) for line, row in enumerate(rows[1:], start=2)]
        return [(*_name_and_class(path, cells[0]), cells[1]) for cells in joined]
    raise DataError(
        f"{path}: columns {','.join(header)}: expected {','.join(SPLIT_COLUMNS)} or {','.join(JOINED_COLUMNS)}"
    )


def _cells(path: Path, line: int, row: list[str], count: int) -> tuple[str, ...]:
    if len(row) != count:
        raise DataError(f"{path}:{line}: {len(row)} cells, expected {count}")
    return tuple(cell.strip() for cell in row)


def _name_and_class(path: Path, joined: str) -> tuple[str, str]:
    image, separator, class_id = joined.rpartition("_")
    if not separator:
        raise DataError(f"{path}: '{joined}' is not <image>_<class id>")
    return image, class_id
