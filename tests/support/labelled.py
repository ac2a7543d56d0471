"""Small labelled folders, drawn on the spot: bright squares (class 1) and dark squares (class 2) on grey noise."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

CLASS_NAMES = ("free", "bright", "dark")
LEVELS = (110, 230, 15)
COLUMNS = ("image", "class", "class_id", "group", "split")

Row = dict[str, str]


def square_picture(class_id: int, seed: int, height: int = 90, width: int = 130) -> tuple[NDArray[np.uint8], ...]:
    """Return (image, labels), both (height, width) uint8, with one square of 20 px for a class id above 0."""
    rng = np.random.default_rng(seed)
    image = rng.normal(LEVELS[0], 6.0, (height, width))
    labels = np.zeros((height, width), np.uint8)
    if class_id:
        top, left = int(rng.integers(height - 20)), int(rng.integers(width - 20))
        image[top : top + 20, left : left + 20] += LEVELS[class_id] - LEVELS[0]
        labels[top : top + 20, left : left + 20] = class_id
    return image.clip(0, 255).astype(np.uint8), labels


def write_folder(folder: Path, *, binary: bool = True, split: bool = True, each: int = 2) -> Path:
    """
    Write images/ masks/ labels.csv: for each of train, val, test and of three classes *each* pictures of one group.

    Args:
        folder: made here.
        binary: masks hold 0 and 255, not class ids.
        split: the csv file has that column.
        each: pictures a class and split.
    """
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows: list[Row] = []
    for number, name in enumerate(("train", "val", "test")):
        for class_id, class_name in enumerate(CLASS_NAMES):
            for index in range(each):
                stem = f"{class_name}_{name}_{index}"
                image, labels = square_picture(class_id, seed=100 * number + 10 * class_id + index)
                cv2.imwrite(str(folder / "images" / f"{stem}.png"), image)
                cv2.imwrite(
                    str(folder / "masks" / f"{stem}.png"), 255 * (labels > 0).astype(np.uint8) if binary else labels
                )
                group = f"{class_name}{number}"
                rows.append(dict(zip(COLUMNS, (f"{stem}.png", class_name, str(class_id), group, name), strict=True)))
    write_rows(folder, [{k: v for k, v in row.items() if split or k != "split"} for row in rows])
    return folder


def read_rows(folder: Path) -> list[Row]:
    """Return the rows of labels.csv."""
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(folder: Path, rows: list[Row]) -> None:
    """Replace labels.csv."""
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
