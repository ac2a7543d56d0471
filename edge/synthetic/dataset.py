"""Write a synthetic strip as a data set: pictures, masks and one table."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError
from edge.synthetic.defects import CLASS_NAMES
from edge.synthetic.strip import GROUP_FRAMES, Strip, SyntheticFrame

FREE = "free"
"""The class of a frame without a defect (id 0)."""
COLUMNS = ("image", "class", "class_id", "group", "split", "width", "height", "defect_px")
SPLITS = ("train", "val", "train", "test", "train", "train", "train")
"""Split of group g is SPLITS[g % 7]: 71, 14 and 14 %, and all three from the fourth group on."""


def write_dataset(strip: Strip, frames: int, folder: Path) -> None:
    """
    Write frames 0..frames-1 of *strip*; the folder appears complete or not at all.

    ``images/000001.png`` (mono8) and ``masks/000001.png`` (0 = sound, k = CLASS_NAMES[k - 1]) show frame 1;
    ``labels.csv`` has a row a frame: class = the one with most pixels, or ``free``; group = frame // GROUP_FRAMES;
    split = by group, since neighbouring frames share their surface.

    Raises:
        DataError: *folder* is a file or holds something, or a picture cannot be written.
    """
    folder = folder.absolute()
    _refuse_occupied(folder)
    half_written = _sibling(folder)
    try:
        half_written.chmod(0o755)
        _write_all(strip, frames, half_written)
        half_written.replace(folder)
    finally:
        shutil.rmtree(half_written, ignore_errors=True)


def _refuse_occupied(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        raise DataError(f"{folder} exists and is not an empty folder; name another one or empty it")


def _sibling(folder: Path) -> Path:
    """Make a new, hidden folder beside *folder*: on the same file system, so that it can be renamed."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror}; name a folder that you may write") from error


def _write_all(strip: Strip, frames: int, folder: Path) -> None:
    for name in ("images", "masks"):
        (folder / name).mkdir()
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(_rows(strip, frames, folder))


def _rows(strip: Strip, frames: int, folder: Path) -> Iterator[tuple[str | int, ...]]:
    """Write the pictures and yield a row of the table for each frame."""
    for number in range(frames):
        frame, name = strip.frame(number), f"{number:06d}.png"
        _write_png(folder / "images" / name, frame.image)
        _write_png(folder / "masks" / name, frame.labels)
        class_id, group = _main_class(frame), number // GROUP_FRAMES
        class_name = CLASS_NAMES[class_id - 1] if class_id else FREE
        defect_px = int(np.count_nonzero(frame.labels))
        split = SPLITS[group % len(SPLITS)]
        yield name, class_name, class_id, group, split, strip.width, strip.height, defect_px


def _main_class(frame: SyntheticFrame) -> int:
    """The class with most pixels, 0 if there is none."""
    counts = np.bincount(frame.labels.ravel(), minlength=len(CLASS_NAMES) + 1)
    counts[0] = 0
    return int(counts.argmax())


def _write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    if not cv2.imwrite(str(path), picture):
        raise DataError(f"{path}: the picture could not be written; check the space and the rights of the folder")
