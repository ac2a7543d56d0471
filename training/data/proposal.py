"""Write a proposed split where the layout keeps its splits; nothing is ever overwritten."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.errors import ConfigurationError, DataError
from training.data.coco import GROUPS
from training.data.findings import Assignment
from training.data.folder import REQUIRED_COLUMNS, Row, read_rows


def require_free(path: Path) -> None:
    """
    Refuse a path that exists, before anything else is done.

    Raises:
        ConfigurationError: it exists.
    """
    if path.exists():
        raise ConfigurationError(f"--write-split {path}: exists, and nothing is overwritten; name another file")


def write_split(path: Path, label_file: Path, assignments: Mapping[str, Assignment]) -> None:
    """
    Write the label file again with the proposed groups and splits, or, of a COCO file, the groups.csv beside it.

    Args:
        path: file to write; must not exist.
        label_file: labels.csv, or a COCO file.
        assignments: by the image's name as the label file has it.

    Raises:
        ConfigurationError: the path exists or cannot be written, or the layout has no place for a split.
        DataError: an image of the label file has no assignment, since it cannot be read.
    """
    if label_file.suffix == ".json":
        rows = [_assigned({"image": name}, each) for name, each in assignments.items()]
        _write(path, rows)
        return
    rows = read_rows(label_file) if label_file.suffix == ".csv" else []
    if not rows or any(column not in rows[0] for column in REQUIRED_COLUMNS):
        raise ConfigurationError(
            f"--write-split {path}: {label_file} has no place for a split; only labels.csv of the folder layout and "
            f"{GROUPS} of COCO have: see docs/data.md"
        )
    lost = [row["image"] for row in rows if row["image"] not in assignments]
    if lost:
        raise DataError(
            f"{label_file}: {len(lost)} rows name images that cannot be used, {lost[0]} first, so that no split can "
            "hold them; mend or remove them, then propose again"
        )
    _write(path, [_assigned(row, assignments[row["image"]]) for row in rows])


def _assigned(row: Row, assignment: Assignment) -> Row:
    return {**row, "group": assignment.group, "split": assignment.split}


def _write(path: Path, rows: Sequence[Row]) -> None:
    try:
        with path.open("x", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise ConfigurationError(f"--write-split {path}: cannot be written: {error.strerror}") from error
