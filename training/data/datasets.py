"""
Labelled pictures on disk, in four layouts, as one list of samples.

    archive     archive.json, days, hours, parts                                       training.data.archive
    folder      images/  masks/  labels.csv (image,class,class_id,group[,split])       training.data.folder
    severstal   train_images/  train.csv (ImageId,ClassId,EncodedPixels)               training.data.severstal
    coco        images/  annotations.json, or a json file in each of train/ valid/ test/  training.data.coco

A sample knows where its picture and labels are; nothing is decoded until it is asked for. Splits go by group.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import msgspec

from edge.archive import is_archive
from edge.errors import DataError
from engines.contract import Name
from training.data.archive import list_archive
from training.data.coco import list_coco
from training.data.cocofile import coco_files, split_files
from training.data.faults import OnFault, refuse
from training.data.folder import LABELS, list_folder, read_rows
from training.data.labels import MaskFile
from training.data.samples import Dataset as Dataset
from training.data.samples import Listing
from training.data.samples import Sample as Sample
from training.data.severstal import list_severstal
from training.data.splits import require_known_classes, require_whole_groups, split_by_group

MAX_CLASSES = 254
"""Labels are uint8, and 255 marks what lies outside the picture."""
LAYOUTS = "labels.csv, train.csv, annotations.json, or a station's archive"


def read_dataset(
    folder: Path,
    seed: int = 7,
    labels_file: str | None = None,
    *,
    class_only: bool = False,
    trust_archive: bool = False,
) -> Dataset:
    """
    Read the list of labelled pictures in *folder*, in whichever layout it is.

    Args:
        folder: the data.
        seed: of the split that is made when the data bring none.
        labels_file: another name of the csv or json file; its content tells the layout.
        class_only: let a defective picture have a class and no mask.
        trust_archive: of an archive, take also the parts that nobody has reviewed.

    Raises:
        DataError: no such folder or label file, missing columns or pictures, an unusable class, a group in two splits,
            or a class that only val or test show.
    """
    listing = list_dataset(folder, labels_file, class_only=class_only, trust_archive=trust_archive)
    require_names(listing)
    _require_shown(listing)
    samples = with_splits(listing, seed)
    require_whole_groups(listing.where, samples)
    require_known_classes(listing.where, samples, listing.class_names)
    undrawn = sum(not sample.drawn for sample in samples)
    told = f"{undrawn} of {len(samples)} pictures carry a class and no mask: they teach the classifier, no segmenter"
    notes = (*listing.notes, told) if undrawn else listing.notes
    return Dataset(folder.resolve().name, listing.class_names, samples, _digest(listing), notes)


def is_dataset(folder: Path) -> bool:
    """Tell whether read_dataset() would find a layout in *folder*."""
    return (
        is_archive(folder)
        or any((folder / name).is_file() for name in LABELS)
        or len(coco_files(folder) or split_files(folder)[:1]) == 1
    )


def list_dataset(
    folder: Path,
    labels_file: str | None = None,
    *,
    class_only: bool = False,
    trust_archive: bool = False,
    on_fault: OnFault = refuse,
) -> Listing:
    """
    List the pictures in *folder* as its reader finds them; what read_dataset() requires of the whole is not asked yet.

    Args:
        folder, labels_file, class_only, trust_archive: as of read_dataset().
        on_fault: takes what is wrong with one of the pictures; returns to leave it out.

    Raises:
        DataError: there is nothing that could be listed.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with {LAYOUTS}")
    if labels_file is None and is_archive(folder):
        return list_archive(folder, trust=trust_archive, on_fault=on_fault)
    paths = _labels_paths(folder, labels_file)
    path = paths[0]
    if path.suffix == ".json":
        return list_coco(folder, paths, class_only=class_only, on_fault=on_fault)
    rows = read_rows(path)
    if "image" in rows[0]:
        return list_folder(folder, path, rows, class_only=class_only, on_fault=on_fault)
    return list_severstal(folder, path, on_fault=on_fault)


def _labels_paths(folder: Path, labels_file: str | None) -> list[Path]:
    for name in [labels_file] if labels_file else LABELS:
        if (folder / name).is_file():
            return [folder / name]
    found = coco_files(folder) if labels_file is None else []
    if len(found) > 1:
        raise DataError(f"{folder}: {len(found)} json files, {found[0].name} first; name one with --labels-file")
    found = found or (split_files(folder) if labels_file is None else [])
    if not found:
        raise DataError(f"{folder}: has no {labels_file or LAYOUTS}; see docs/data.md")
    return found


def require_names(listing: Listing) -> None:
    """
    Refuse classes that no bundle could carry.

    Raises:
        DataError: too many, or a name that is used twice or is none; says how to call it.
    """
    where, names = listing.where, listing.class_names
    if len(names) > MAX_CLASSES:
        raise DataError(f"{where}: {len(names)} classes, expected at most {MAX_CLASSES}")
    for name, count in Counter(names).items():
        if count > 1:
            raise DataError(f"{where}: {count} classes are called '{name}'; give each class one id and one name")
        try:
            msgspec.convert(name, Name)
        except msgspec.ValidationError as error:
            plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
            fitting = re.sub(r"[^A-Za-z0-9_.-]+", "_", plain).strip("_.-")[:64] or "defect"
            raise DataError(
                f"{where}: class '{name}': expected 1 to 64 letters without accents, digits and _ . -, a letter or "
                f"digit first; call it '{fitting}' in the labelling tool or in this file"
            ) from error


def _require_shown(listing: Listing) -> None:
    where, names = listing.where, listing.class_names
    shown = {class_id for sample in listing.samples for class_id in sample.class_ids}
    for class_id, name in enumerate(names, start=1):
        if listing.shows_all and class_id not in shown:
            raise DataError(f"{where}: class {class_id}, '{name}', has no picture; number the others without a gap")


def with_splits(listing: Listing, seed: int) -> tuple[Sample, ...]:
    """
    Return the samples, dealt by whole groups where the data bring no split of their own.

    A picture of several classes counts for the rarest, which is hardest to place.
    """
    if listing.has_splits:
        return listing.samples
    counts = Counter(class_id for sample in listing.samples for class_id in sample.class_ids)
    strata = [min(sample.class_ids, key=lambda k: (counts[k], k), default=0) for sample in listing.samples]
    splits = split_by_group([sample.group for sample in listing.samples], strata, seed)
    return tuple(replace(sample, split=split) for sample, split in zip(listing.samples, splits, strict=True))


def _digest(listing: Listing) -> str:
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in listing.sources))
    files = list(_files(listing.samples))
    with ThreadPoolExecutor() as pool:
        for file, of_file in zip(files, pool.map(_sha256, files), strict=True):
            digest.update(f"\n{file.name}\n".encode())
            digest.update(of_file)
    return digest.hexdigest()


def _files(samples: Iterable[Sample]) -> Iterable[Path]:
    for sample in samples:
        yield sample.image
        if isinstance(sample.labels, MaskFile) and sample.labels.path is not None:
            yield sample.labels.path


def _sha256(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()
