"""
COCO's json file as it is: images, categories, annotations, and which belongs to which.

One tool writes a file for each split, beside its pictures: train/, valid/ and test/. They are read as one file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.errors import DataError
from training.data.regions import Polygons

NAME = "annotations.json"
SPLIT_FOLDERS = {"train": "train", "valid": "val", "val": "val", "test": "test"}

Id = int | float | str
Key = int | str
"""An id as one type: some tools write 3, others 3.0 or "3"."""


class Image(msgspec.Struct, frozen=True):
    id: Id
    file_name: str
    height: float | None = None
    width: float | None = None
    group: Id | None = None
    split: str | None = None


class Rle(msgspec.Struct, frozen=True):
    size: tuple[int, int]
    counts: tuple[int, ...] | str


class Annotation(msgspec.Struct, frozen=True):
    image_id: Id
    category_id: Id
    id: Id | None = None
    segmentation: Polygons | Rle | None = None


class Category(msgspec.Struct, frozen=True):
    id: Id
    name: str


class _File(msgspec.Struct, frozen=True):
    images: tuple[Image, ...]
    annotations: tuple[Annotation, ...]
    categories: tuple[Category, ...]


@dataclass(frozen=True)
class Content:
    """
    What one file says, or the files of all splits together.

    Attributes:
        where: the file, or the folder of several.
        sources: the files.
        images: by id.
        annotations: of each image that has any, by the image's id.
        classes: class id of each category that is used: 1..K in the order of the categories' ids.
        names: of the classes.
        unused: names of the other categories.
    """

    where: Path
    sources: tuple[Path, ...]
    images: dict[Key, Image]
    annotations: dict[Key, list[Annotation]]
    classes: dict[Key, int]
    names: tuple[str, ...]
    unused: tuple[str, ...]


def key(value: Id) -> Key:
    """Return an id as one type."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) else str(value)


def coco_files(folder: Path) -> list[Path]:
    """
    Return annotations.json, or else every json file in *folder* and in its folder annotations/.
    """
    if (folder / NAME).is_file():
        return [folder / NAME]
    return sorted(folder.glob("*.json")) + sorted((folder / "annotations").glob("*.json"))


def split_files(folder: Path) -> list[Path]:
    """Return the json file of each split's folder, if each of them that is there has one."""
    found = [sorted((folder / name).glob("*.json")) for name in SPLIT_FOLDERS if (folder / name).is_dir()]
    return [of_split[0] for of_split in found] if all(len(of_split) == 1 for of_split in found) else []


def read_content(where: Path, sources: tuple[Path, ...]) -> Content:
    """
    Read one file, or one of each split.

    Raises:
        DataError: a file is not of this layout, holds an id twice, or names an image or category that it does not list.
    """
    files = [_decoded(path) for path in sources]
    file = files[0] if where in sources else _joined(where, sources, files)
    if not file.annotations:
        raise DataError(f"{where}: holds no annotation; at least one defect is needed")
    classes = _classes(where, file)
    names = {classes[key(c.id)]: c.name for c in file.categories if key(c.id) in classes}
    unused = tuple(c.name for c in file.categories if key(c.id) not in classes)
    images = _by_id(where, file.images)
    in_order = tuple(names[class_id] for class_id in sorted(names))
    return Content(where, sources, images, _by_image(where, file.annotations, images), classes, in_order, unused)


def _decoded(path: Path) -> _File:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}; expected a COCO file: images, annotations, categories") from error


def _joined(where: Path, sources: tuple[Path, ...], files: list[_File]) -> _File:
    """Join the files of the splits; each counts its images from its own beginning."""
    images: list[Image] = []
    annotations: list[Annotation] = []
    for path, file in zip(sources, files, strict=True):
        if file.categories != files[0].categories:
            raise DataError(f"{path}: other categories than {sources[0]}; export all splits of one version together")
        name = path.parent.name
        for image in file.images:
            changed = {"id": f"{name}/{key(image.id)}", "file_name": f"{name}/{image.file_name}"}
            images.append(msgspec.structs.replace(image, **changed, split=SPLIT_FOLDERS[name]))
        annotations += [msgspec.structs.replace(a, image_id=f"{name}/{key(a.image_id)}") for a in file.annotations]
    return _File(tuple(images), tuple(annotations), files[0].categories)


def _by_id(where: Path, images: Iterable[Image]) -> dict[Key, Image]:
    by_id: dict[Key, Image] = {}
    for image in images:
        first = by_id.setdefault(key(image.id), image)
        if first is not image:
            raise DataError(f"{where}: image id {image.id} twice: {first.file_name}, {image.file_name}")
    return by_id


def _classes(where: Path, file: _File) -> dict[Key, int]:
    used = {key(annotation.category_id) for annotation in file.annotations}
    known: set[Key] = set()
    for category in file.categories:
        if key(category.id) in known:
            raise DataError(f"{where}: category id {category.id} twice; give each category its own")
        known.add(key(category.id))
    unknown = sorted(used - known, key=str)
    if unknown:
        raise DataError(f"{where}: an annotation is of category {unknown[0]}, which the file does not list")
    in_order = sorted(used, key=lambda of: (isinstance(of, str), of))
    return {of: class_id for class_id, of in enumerate(in_order, start=1)}


def _by_image(where: Path, annotations: Iterable[Annotation], images: dict[Key, Image]) -> dict[Key, list[Annotation]]:
    by_image: dict[Key, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        if key(annotation.image_id) not in images:
            raise DataError(
                f"{where}: annotation {annotation.id} is of image {annotation.image_id}, which the file does not list"
            )
        by_image[key(annotation.image_id)].append(annotation)
    return by_image
