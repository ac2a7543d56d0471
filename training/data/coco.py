"""
The COCO layout: one json file of images, categories and annotations, as labelling tools export it.

Categories become classes 1..K in the order of their ids; one without an annotation is left out: some tools add a root.
An image without an annotation is sound. ``iscrowd`` says nothing here: a mask is a mask, as polygons or run-lengths. An
image entry may carry ``group`` and ``split``; or a groups.csv beside the file does (image,group[,split]).
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from edge.errors import DataError
from training.data.faults import OnFault, each, refuse
from training.data.images import picture_files
from training.data.labels import LabelSource, Undrawn
from training.data.regions import Polygons, Region, Regions
from training.data.samples import Listing, Sample
from training.data.splits import require_all_or_none, split_from_text

NAME = "annotations.json"
GROUPS = "groups.csv"

Id = int | float | str


class _Image(msgspec.Struct, frozen=True):
    id: Id
    file_name: str
    height: float | None = None
    width: float | None = None
    group: Id | None = None
    split: str | None = None


class _Rle(msgspec.Struct, frozen=True):
    size: tuple[int, int]
    counts: tuple[int, ...] | str


class _Annotation(msgspec.Struct, frozen=True):
    image_id: Id
    category_id: Id
    id: Id | None = None
    segmentation: Polygons | _Rle | None = None


class _Category(msgspec.Struct, frozen=True):
    id: Id
    name: str


class _File(msgspec.Struct, frozen=True):
    images: tuple[_Image, ...]
    annotations: tuple[_Annotation, ...]
    categories: tuple[_Category, ...]


def coco_files(folder: Path) -> list[Path]:
    """Return annotations.json, or else every json file in *folder* and in its folder annotations/."""
    if (folder / NAME).is_file():
        return [folder / NAME]
    return sorted(folder.glob("*.json")) + sorted((folder / "annotations").glob("*.json"))


def list_coco(folder: Path, path: Path, *, class_only: bool, on_fault: OnFault = refuse) -> Listing:
    """
    List the pictures that *path* names.

    Args:
        folder: holds images/, or the pictures themselves.
        path: the json file.
        class_only: of a picture with a box that has no mask, take the class; else it is refused.
        on_fault: takes what is wrong with an image or its annotations; returns to leave it out.

    Raises:
        DataError: the file is not of this layout, or an annotation names an unknown image or category; and by
            *on_fault* an annotation has no mask, or an image is not there.
    """
    file = _decoded(path)
    images = _by_id(path, "image", file.images)
    classes = _classes(path, file)
    annotations = _by_image(path, file.annotations, images, classes)
    stated = _stated(path, file.images)
    leaving = 0

    def sample(key: int | str) -> Sample:
        nonlocal leaving
        image = images[key]
        where = f"{path}: {image.file_name}"
        size = None if image.height is None or image.width is None else (int(image.height), int(image.width))
        regions, undrawn = _regions(path, image, annotations[key], classes, class_only=class_only)
        leaving += sum(region.leaves(*size) for region in regions) if size else 0
        class_ids = tuple(sorted({classes[_key(a.category_id)] for a in annotations[key]}))
        labels: LabelSource = Undrawn() if undrawn else Regions(where, size, regions)
        group, split = stated[image.file_name]
        file_at, found = _file_of(folder, path, image), split_from_text(where, split or "train")
        return Sample(file_at, labels, group, found, class_ids, not undrawn, image.file_name)

    samples = list(each(images, sample, on_fault))
    _require_different(path, samples)
    names = {class_id: category.name for category in file.categories if (class_id := classes.get(_key(category.id)))}
    groups = path.parent / GROUPS
    return Listing(
        path,
        tuple(names[class_id] for class_id in sorted(names)),
        tuple(samples),
        has_splits=bool(next(iter(stated.values()))[1]),
        sources=(path, groups) if groups.is_file() else (path,),
        notes=tuple(_notes(folder, path, file, classes, samples, leaving)),
    )


def _decoded(path: Path) -> _File:
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}; expected a COCO file: images, annotations, categories") from error
    if not file.annotations:
        raise DataError(f"{path}: holds no annotation; at least one defect is needed")
    return file


def _key(value: Id) -> int | str:
    """Return an id as one type: some tools write 3, others 3.0 or "3"."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) else str(value)


def _by_id(path: Path, what: str, images: Iterable[_Image]) -> dict[int | str, _Image]:
    by_id: dict[int | str, _Image] = {}
    for image in images:
        if by_id.setdefault(_key(image.id), image) is not image:
            raise DataError(f"{path}: {what} id {image.id} twice: {by_id[_key(image.id)].file_name}, {image.file_name}")
    return by_id


def _classes(path: Path, file: _File) -> dict[int | str, int]:
    """Return the class id of each category that is used."""
    used = {_key(annotation.category_id) for annotation in file.annotations}
    known = [_key(category.id) for category in file.categories]
    for key in known:
        if known.count(key) > 1:
            raise DataError(f"{path}: category id {key} twice; give each category its own")
    unknown = sorted(used - set(known), key=str)
    if unknown:
        raise DataError(f"{path}: an annotation is of category {unknown[0]}, which the file does not list")
    in_order = sorted(used, key=lambda key: (isinstance(key, str), key))
    return {key: class_id for class_id, key in enumerate(in_order, start=1)}


def _by_image(
    path: Path,
    annotations: Iterable[_Annotation],
    images: dict[int | str, _Image],
    classes: dict[int | str, int],
) -> dict[int | str, list[_Annotation]]:
    by_image: dict[int | str, list[_Annotation]] = defaultdict(list)
    for annotation in annotations:
        if _key(annotation.image_id) not in images:
            raise DataError(
                f"{path}: annotation {annotation.id} is of image {annotation.image_id}, which the file does not list"
            )
        by_image[_key(annotation.image_id)].append(annotation)
    return by_image


def _regions(
    path: Path, image: _Image, annotations: Sequence[_Annotation], classes: dict[int | str, int], *, class_only: bool
) -> tuple[tuple[Region, ...], bool]:
    """Return the regions of one image, or none and True where a mask is missing and its class is enough."""
    regions = []
    for annotation in annotations:
        where = f"{path}: annotation {annotation.id} of {image.file_name}"
        shape = annotation.segmentation
        if isinstance(shape, _Rle):
            regions.append(Region(where, classes[_key(annotation.category_id)], runs=shape.counts, size=shape.size))
        elif shape:
            _require_polygons(where, shape)
            regions.append(Region(where, classes[_key(annotation.category_id)], polygons=shape))
        elif not class_only:
            raise DataError(
                f"{where}: no segmentation; a box is no mask: draw an outline, or take only the class of such pictures "
                "with --class-only"
            )
        else:
            return (), True
    return tuple(regions), False


def _require_polygons(where: str, polygons: Polygons) -> None:
    for polygon in polygons:
        # Four numbers would be taken for a box.
        if len(polygon) < 6 or len(polygon) % 2:
            raise DataError(f"{where}: a polygon of {len(polygon)} numbers, expected x, y of 3 points or more")


def _file_of(folder: Path, path: Path, image: _Image) -> Path:
    """Find an image: tools name it with folders of theirs in front, or with another system's separators."""
    name = PurePosixPath(image.file_name.replace("\\", "/"))
    for candidate in (name, PurePosixPath(name.name)):
        for root in (folder / "images", folder, path.parent):
            if (root / candidate).is_file():
                return root / candidate
    raise DataError(f"{path}: image {image.file_name} is neither in {folder / 'images'} nor in {folder}")


def _require_different(path: Path, samples: Iterable[Sample]) -> None:
    seen: set[Path] = set()
    for sample in samples:
        if sample.image in seen:
            raise DataError(f"{path}: two images are the file {sample.image}; expected an entry for each file")
        seen.add(sample.image)


def _stated(path: Path, images: Sequence[_Image]) -> dict[str, tuple[str, str]]:
    """Return group and split of each image by file name: from groups.csv, the entries, or each a group of its own."""
    table = path.parent / GROUPS
    if table.is_file():
        stated = _groups(table, images)
    else:
        table = path
        stated = {
            image.file_name: ("" if image.group is None else str(image.group), image.split or "") for image in images
        }
    for index, what in enumerate(("group", "split")):
        require_all_or_none(table, what, [(name, pair[index]) for name, pair in stated.items()])
    return {name: (group or name, split) for name, (group, split) in stated.items()}


def _groups(table: Path, images: Sequence[_Image]) -> dict[str, tuple[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read: {error}") from error
    if not rows or not {"image", "group"} <= set(rows[0]):
        raise DataError(f"{table}: expected rows with the columns image,group and, if you like, split")
    by_image = {row["image"]: ((row["group"] or "").strip(), (row.get("split") or "").strip()) for row in rows}
    missing = [image.file_name for image in images if image.file_name not in by_image]
    if missing:
        raise DataError(f"{table}: no row for {missing[0]} ({len(missing)} such); name each as the json file does")
    return {image.file_name: by_image[image.file_name] for image in images}


def _notes(
    folder: Path,
    path: Path,
    file: _File,
    classes: dict[int | str, int],
    samples: Sequence[Sample],
    leaving: int,
) -> Iterable[str]:
    unused = [category.name for category in file.categories if _key(category.id) not in classes]
    if unused:
        yield f"{path}: categories without an annotation are left out: {', '.join(unused)}"
    sound = sum(not sample.class_ids for sample in samples)
    if sound:
        yield f"{path}: {sound} of {len(samples)} pictures have no annotation and count as sound"
    if leaving:
        yield f"{path}: {leaving} annotations reach beyond their picture; they are cut at its edge"
    if all(image.group is None for image in file.images) and not (path.parent / GROUPS).is_file():
        yield f"{path}: no groups; each picture is its own, which is wrong if one part was photographed more than once"
    images = folder / "images"
    strangers = [found for found in picture_files(images) if found not in {sample.image for sample in samples}]
    if strangers:
        yield f"{images}: {len(strangers)} pictures that the file does not name are left out, {strangers[0].name} first"
