"""
The Severstal layout: run-length coded labels in a csv file, in the three forms found in the wild.

    ImageId,ClassId,EncodedPixels     rows with a defect only; an image without a row is sound
    ImageId,ClassId,EncodedPixels     one row for every image and class; the last cell is empty where there is nothing
    ImageId_ClassId,EncodedPixels     the same with ``0002cc93b.jpg_1`` in one column

EncodedPixels are pairs ``start length``; pixels are counted from 1, top to bottom, then left to right.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError

Runs = dict[str, dict[int, str]]
"""Run-lengths by image name and class id; an image that is listed without a defect has an empty entry."""

SPLIT_COLUMNS = ["ImageId", "ClassId", "EncodedPixels"]
MOST_PX = 1 << 40
JOINED_COLUMNS = ["ImageId_ClassId", "EncodedPixels"]


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


def mask_from_runs(encoded: str, height: int, width: int) -> NDArray[np.bool_]:
    """
    Decode one cell.

    Args:
        encoded: pairs ``start length``, starts counted from 1, column by column.
        height, width: of the image [px].

    Returns:
        (height, width) True where the class is.

    Raises:
        DataError: an odd count, something that is no number, a length below 1, or a run that leaves the image or
            overlaps another one.
    """
    starts, lengths = _pairs(encoded)
    ends = starts + lengths
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        if start < 1 or length < 1 or start + length - 1 > height * width:
            raise DataError(
                f"run '{start} {length}' leaves the image of {height}x{width} = {height * width} px: "
                "expected start >= 1, length >= 1 and an end inside"
            )
    order = np.argsort(starts, kind="stable")
    overlap = np.flatnonzero(ends[order][:-1] > starts[order][1:])
    if overlap.size:
        first, second = order[overlap[0]], order[overlap[0] + 1]
        raise DataError(
            f"run '{starts[first]} {lengths[first]}' overlaps run '{starts[second]} {lengths[second]}' of the same cell"
        )
    edges = np.zeros(height * width + 1, np.int32)
    edges[starts - 1] += 1
    np.subtract.at(edges, ends - 1, 1)
    return np.cumsum(edges[:-1]).astype(np.bool_).reshape(height, width, order="F")


def runs_from_mask(mask: NDArray[np.bool_]) -> str:
    """
    Encode one class of one image; the opposite of mask_from_runs().

    Args:
        mask: (h, w), True where the class is.

    Returns:
        ``start length`` pairs, in order, touching runs joined; empty if the class is nowhere.
    """
    flat = np.concatenate([[False], mask.flatten(order="F"), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts, lengths = changes[::2], changes[1::2] - changes[::2]
    return " ".join(f"{start} {length}" for start, length in zip(starts, lengths, strict=True))


def labels_from_runs(runs: dict[int, str], height: int, width: int) -> NDArray[np.uint8]:
    """
    Decode all classes of one image.

    Returns:
        (height, width) labels, 0 = sound, k = class id.

    Raises:
        DataError: as mask_from_runs(), naming the class; or two classes claim one pixel.
    """
    labels = np.zeros((height, width), np.uint8)
    for class_id, encoded in sorted(runs.items()):
        try:
            mask = mask_from_runs(encoded, height, width)
        except DataError as error:
            raise DataError(f"class {class_id}: {error}") from error
        contested = labels[mask]
        if contested.any():
            raise DataError(f"class {class_id} and class {contested.max()} both claim {np.count_nonzero(contested)} px")
        labels[mask] = class_id
    return labels


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


def _pairs(encoded: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    words = encoded.split()
    wrong = [word for word in words if not (word.isascii() and word.isdecimal())]
    if wrong:
        raise DataError(f"'{wrong[0]}' in the run-lengths: expected whole numbers")
    if len(words) % 2:
        raise DataError(f"{len(words)} numbers in the run-lengths: expected pairs 'start length', an even count")
    # No image has that many pixels; a longer number would not fit int64.
    numbers = np.array([min(int(word), MOST_PX) for word in words], np.int64)
    return numbers[::2], numbers[1::2]
