"""
The COCO layout: one json file of images, categories and annotations, as labelling tools export it.

Categories become classes 1..K in the order of their ids; one without an annotation is left out: some tools add a root.
An image without an annotation is sound. ``iscrowd`` says nothing here: a mask is a mask, as polygons or run-lengths. An
image entry may carry ``group`` and ``split``; or a groups.csv beside the file does (image,group[,split]).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from edge.errors import DataError
from training.data.cocofile import Annotation, Content, Image, Key, Rle, key, read_content
from training.data.faults import OnFault, each, refuse
from training.data.images import picture_files
from training.data.labels import LabelSource, Undrawn
from training.data.regions import Polygons, Region, Regions
from training.data.samples import Listing, Sample
from training.data.splits import require_all_or_none, split_from_text

GROUPS = "groups.csv"


def list_coco(folder: Path, sources: Sequence[Path], *, class_only: bool, on_fault: OnFault = refuse) -> Listing:
    """
    List the pictures that json files name.

    Args:
        folder: holds images/, or the pictures themselves.
        sources: the json file, or one for each split.
        class_only: of a picture with a box that has no mask, take the class; else it is refused.
        on_fault: takes what is wrong with an image or its annotations; returns to leave it out.

    Raises:
        DataError: a file is not of this layout, or an annotation names an unknown image or category; and by *on_fault*
            an annotation has no mask, or an image is not there.
    """
    where = sources[0] if len(sources) == 1 else folder
    content = read_content(where, tuple(sources))
    table = where.parent / GROUPS if where in sources else folder / GROUPS
    stated = _stated(content, table)

    def sample(of: Key) -> Sample:
        image, annotations = content.images[of], content.annotations.get(of, [])
        regions, undrawn = _regions(content, image, annotations, class_only=class_only)
        labels: LabelSource = Undrawn() if undrawn else Regions(f"{where}: {image.file_name}", _size(image), regions)
        class_ids = tuple(sorted({content.classes[key(a.category_id)] for a in annotations}))
        group, split = stated[image.file_name]
        found = split_from_text(f"{where}: {image.file_name}", split or "train")
        return Sample(_file_of(folder, where, image), labels, group, found, class_ids, not undrawn, image.file_name)

    samples = tuple(each(content.images, sample, on_fault))
    _require_different(where, samples)
    return Listing(
        where,
        content.names,
        samples,
        has_splits=bool(next(iter(stated.values()))[1]),
        sources=(*sources, table) if table.is_file() else tuple(sources),
        notes=tuple(_notes(folder, content, samples, grouped=_grouped(content, table))),
    )


def _size(image: Image) -> tuple[int, int] | None:
    return None if image.height is None or image.width is None else (int(image.height), int(image.width))


def _regions(
    content: Content, image: Image, annotations: Sequence[Annotation], *, class_only: bool
) -> tuple[tuple[Region, ...], bool]:
    """Return the regions of one image, or none and True where a mask is missing and its class is enough."""
    regions = []
    for annotation in annotations:
        where = f"{content.where}: annotation {annotation.id} of {image.file_name}"
        class_id, shape = content.classes[key(annotation.category_id)], annotation.segmentation
        if isinstance(shape, Rle):
            regions.append(Region(where, class_id, runs=shape.counts, size=shape.size))
        elif shape:
            _require_polygons(where, shape)
            regions.append(Region(where, class_id, polygons=shape))
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


def _file_of(folder: Path, where: Path, image: Image) -> Path:
    """Find an image: tools name it with folders of theirs in front, or with another system's separators."""
    name = PurePosixPath(image.file_name.replace("\\", "/"))
    for candidate in (name, PurePosixPath(name.name)):
        for root in (folder / "images", folder, where.parent):
            if (root / candidate).is_file():
                return root / candidate
    raise DataError(f"{where}: image {image.file_name} is neither in {folder / 'images'} nor in {folder}")


def _require_different(where: Path, samples: Iterable[Sample]) -> None:
    seen: set[Path] = set()
    for sample in samples:
        if sample.image in seen:
            raise DataError(f"{where}: two images are the file {sample.image}; expected an entry for each file")
        seen.add(sample.image)


def _grouped(content: Content, table: Path) -> bool:
    return table.is_file() or any(image.group is not None for image in content.images.values())


def _stated(content: Content, table: Path) -> dict[str, tuple[str, str]]:
    """Return group and split of each image by file name: from groups.csv, the entries, or each a group of its own."""
    images = list(content.images.values())
    if table.is_file():
        stated = _groups(table, images)
    else:
        table = content.where
        stated = {
            image.file_name: ("" if image.group is None else str(image.group), image.split or "") for image in images
        }
    for index, what in enumerate(("group", "split")):
        require_all_or_none(table, what, [(name, pair[index]) for name, pair in stated.items()])
    return {name: (group or name, split) for name, (group, split) in stated.items()}


def _groups(table: Path, images: Sequence[Image]) -> dict[str, tuple[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read: {error}") from error
    if not rows or not {"image", "group"} <= set(rows[0]):
        raise DataError(f"{table}: expected rows with the columns image,group and, if you like, split")
    by_image: dict[str, tuple[str, str]] = {}
    for line, row in enumerate(rows, start=2):
        stated = (row["group"] or "").strip(), (row.get("split") or "").strip()
        if by_image.setdefault(row["image"], stated) != stated:
            raise DataError(f"{table}:{line}: {row['image']} stands above with another group or split; keep one row")
    missing = [image.file_name for image in images if image.file_name not in by_image]
    if missing:
        raise DataError(f"{table}: no row for {missing[0]} ({len(missing)} such); name each as the json file does")
    return {image.file_name: by_image[image.file_name] for image in images}


def _notes(folder: Path, content: Content, samples: Sequence[Sample], *, grouped: bool) -> Iterable[str]:
    where = content.where
    if content.unused:
        yield f"{where}: categories without an annotation are left out: {', '.join(content.unused)}"
    sound = sum(not sample.class_ids for sample in samples)
    if sound:
        yield f"{where}: {sound} of {len(samples)} pictures have no annotation and count as sound"
    leaving = sum(sample.labels.leaving() for sample in samples if isinstance(sample.labels, Regions))
    if leaving:
        yield f"{where}: {leaving} annotations reach beyond their picture; they are cut at its edge"
    if not grouped:
        yield f"{where}: no groups; each picture is its own, which is wrong if one part was photographed more than once"
    named = {sample.image for sample in samples}
    strangers = [found for found in picture_files(folder / "images") if found not in named]
    if strangers:
        yield (
            f"{folder / 'images'}: {len(strangers)} pictures that the file does not name are left out, "
            f"{strangers[0].name} first"
        )
