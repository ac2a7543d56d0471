"""
Labelled images on disk, in two layouts, as one list of samples.

    folder   images/  masks/  labels.csv (image,class,class_id,group[,split])         see folder_samples()
    severstal   train_images/  train.csv (ImageId,ClassId,EncodedPixels)              see severstal_samples()

A sample knows where its picture and labels are; nothing is decoded until it is asked for. Splits go by group.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError
from engines.contract import PixelFormat
from training.data.images import read_image as read_image
from training.data.labels import LabelSource, MaskFile, RunLengths
from training.data.severstal import read_runs
from training.data.splits import SPLITS, Split, require_whole_groups, split_by_group
from training.data.windows import Picture

MAX_CLASSES = 254
"""Labels are uint8, and 255 marks what lies outside the picture."""
REQUIRED_COLUMNS = ("image", "class", "class_id", "group")


@dataclass(frozen=True)
class Sample:
    """
    One labelled picture; *source* is its file name, as a replayed frame names it on the wire.

    Attributes:
        class_ids: the defects that it is known to show, ascending, () = sound; known without decoding anything.
        drawn: the labels say where the defects are; else only *class_ids* is known of a defective picture.
    """

    image: Path
    labels: LabelSource
    group: str
    split: Split
    class_ids: tuple[int, ...]
    drawn: bool = True

    @property
    def source(self) -> str:
        return self.image.name

    def read(self, pixel_format: PixelFormat) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """
        Decode picture and labels.

        Returns:
            (h, w, C) pixels as captured, and (h, w) labels; OUTSIDE all over where the picture is not drawn.

        Raises:
            DataError: the picture or its labels cannot be read, or do not fit each other.
        """
        image = read_image(self.image, pixel_format)
        labels = self.labels.read(image.shape[0], image.shape[1])
        return image.reshape(*image.shape[:2], -1), labels

    def picture(self, pixel_format: PixelFormat) -> Picture:
        """Decode picture and labels, as read() does."""
        return Picture(*self.read(pixel_format), self.class_ids, self.drawn, self.source)


@dataclass(frozen=True)
class Dataset:
    """
    All samples of a folder.

    Attributes:
        class_names: name of class k at index k - 1.
        sha256: over the names and bytes of all pictures and label files.
    """

    name: str
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    sha256: str

    def split(self, name: Split) -> tuple[Sample, ...]:
        """
        Return the samples of one split.

        Raises:
            DataError: there is none.
        """
        chosen = tuple(sample for sample in self.samples if sample.split == name)
        if not chosen:
            raise DataError(f"{self.name}: split '{name}' is empty; the csv's column split needs images for it")
        return chosen


def read_dataset(folder: Path, seed: int = 7, labels_file: str | None = None) -> Dataset:
    """
    Read the list of labelled pictures in *folder*, in either layout.

    Args:
        folder: holds labels.csv (folder layout) or train.csv (Severstal layout).
        seed: of the split that is made when the data bring none.
        labels_file: another name of the csv file; its columns tell the layout.

    Raises:
        DataError: no such folder or csv file, missing columns or pictures, an unknown class, or a group in two splits.
    """
    path = _labels_path(folder, labels_file)
    rows = _read_csv(path)
    if "image" in rows[0]:
        class_names, samples = folder_samples(folder, path, rows, seed)
    else:
        class_names, samples = severstal_samples(folder, path, seed)
    if len(class_names) > MAX_CLASSES:
        raise DataError(f"{path}: {len(class_names)} classes, expected at most {MAX_CLASSES}")
    require_whole_groups(path, samples)
    return Dataset(folder.resolve().name, class_names, samples, _digest(path, samples))


def folder_samples(
    folder: Path, path: Path, rows: list[dict[str, str]], seed: int
) -> tuple[tuple[str, ...], tuple[Sample, ...]]:
    """
    Read ``images/ masks/ labels.csv``: class_id 0 is sound, further ids count from 1 without a gap.

    A mask has its picture's stem and ends in .png; a sound picture needs none. A mask that holds class ids may show
    several classes, whatever the row says. Columns beyond image, class, class_id, group and split are ignored.
    """
    class_names = _class_names(path, rows)
    samples = []
    for line, row in enumerate(rows, start=2):
        image = folder / "images" / row["image"]
        if not image.is_file():
            raise DataError(f"{path}:{line}: image {image} does not exist")
        class_id = int(row["class_id"])
        mask = folder / "masks" / f"{image.stem}.png"
        if class_id and not mask.is_file():
            raise DataError(f"{path}:{line}: {image.name} is '{row['class']}', but {mask} does not exist")
        labels = MaskFile(mask if mask.is_file() else None, class_id, len(class_names))
        split = _split(row.get("split", ""), path, line)
        samples.append(Sample(image, labels, row["group"], split, (class_id,) if class_id else ()))
    strata = [int(row["class_id"]) for row in rows]
    return class_names, _with_splits(path, samples, strata, [row.get("split", "") for row in rows], seed)


def severstal_samples(folder: Path, path: Path, seed: int) -> tuple[tuple[str, ...], tuple[Sample, ...]]:
    """
    Read ``train_images/`` and a csv file of run-lengths; pictures without a row are sound.

    The layout names neither classes nor groups nor splits: classes are called class1, class2, ...; every picture is a
    group of its own, and a seeded split is made. Where pictures show the same place twice, use the folder layout.
    """
    runs = read_runs(path)
    images = {image.name: image for image in sorted((folder / "train_images").glob("*")) if image.is_file()}
    missing = sorted(set(runs) - set(images))
    if missing:
        raise DataError(f"{path}: names {missing[0]} ({len(missing)} such), which is not in {folder / 'train_images'}")
    samples = [
        Sample(
            image, RunLengths(f"{path}: {name}", runs.get(name, {})), name, "train", tuple(sorted(runs.get(name, {})))
        )
        for name, image in images.items()
    ]
    class_count = max((class_id for of_image in runs.values() for class_id in of_image), default=0)
    if class_count == 0:
        raise DataError(f"{path}: no row has run-lengths; at least one defect is needed")
    strata = [min(runs.get(name, {}), default=0) for name in images]
    names = tuple(f"class{class_id}" for class_id in range(1, class_count + 1))
    return names, _with_splits(path, samples, strata, [""] * len(samples), seed)


def _labels_path(folder: Path, labels_file: str | None) -> Path:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with labels.csv or train.csv")
    for name in [labels_file] if labels_file else ["labels.csv", "train.csv"]:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{folder}: has no {labels_file or 'labels.csv (and no train.csv)'}; see docs/training.md")


def _read_csv(path: Path) -> list[dict[str, str]]:
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


def _class_names(path: Path, rows: list[dict[str, str]]) -> tuple[str, ...]:
    names: dict[int, str] = {}
    for line, row in enumerate(rows, start=2):
        if not row["class_id"].isdecimal():
            raise DataError(f"{path}:{line}: class_id '{row['class_id']}': expected 0 (sound), 1, 2, ...")
        class_id = int(row["class_id"])
        if names.setdefault(class_id, row["class"]) != row["class"]:
            raise DataError(f"{path}:{line}: class_id {class_id} is '{row['class']}' here, '{names[class_id]}' above")
    defects = sorted(set(names) - {0})
    if not defects:
        raise DataError(f"{path}: every row has class_id 0; at least one defect class is needed")
    if defects != list(range(1, len(defects) + 1)):
        raise DataError(f"{path}: class ids {defects}: expected 1 to {len(defects)} without a gap")
    return tuple(names[class_id] for class_id in defects)


def _split(text: str, path: Path, line: int) -> Split:
    for split in SPLITS:
        if text in (split, ""):
            return split
    raise DataError(f"{path}:{line}: split '{text}': expected {', '.join(SPLITS)}")


def _with_splits(
    path: Path, samples: list[Sample], strata: list[int], given: list[str], seed: int
) -> tuple[Sample, ...]:
    """Keep the splits that the data bring; make one by groups if they bring none."""
    if all(given):
        return tuple(samples)
    if any(given):
        raise DataError(f"{path}:{given.index('') + 2}: split is empty, other rows have one; fill all or none")
    splits = split_by_group([sample.group for sample in samples], strata, seed)
    return tuple(replace(sample, split=split) for sample, split in zip(samples, splits, strict=True))


def _digest(path: Path, samples: Iterable[Sample]) -> str:
    digest = hashlib.sha256(path.read_bytes())
    for sample in samples:
        files = [sample.image]
        if isinstance(sample.labels, MaskFile) and sample.labels.path is not None:
            files.append(sample.labels.path)
        for file in files:
            digest.update(f"\n{file.name}\n".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
