"""
A station's archive as training data.

The masks of an archive are the networks' own answers, not the truth: a network that learns from them learns its own
mistakes. So a part counts once a person has looked at it and has left a ``review.json`` in its folder.

    {"by": "Ana", "labels": "found"}    the masks are right as they are: all that is marked, and nothing else, is there
    {"by": "Ana", "labels": "sound"}    there is no defect, whatever was marked
    {"by": "Ana", "labels": "drawn"}    the truth lies beside, <camera>.truth.png, value = class id, for every camera
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edge.archive import ArchivedPart, read_archive
from edge.errors import DataError
from training.data.faults import OnFault, each, refuse
from training.data.images import read_mask
from training.data.labels import MaskFile
from training.data.samples import Listing, Sample

REVIEW = "review.json"


class Review(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person says about a part."""

    by: str
    labels: Literal["found", "sound", "drawn"]


@dataclass(frozen=True)
class _Labelled:
    """One picture whose labels are known, and the classes of the networks that found them."""

    sample: Sample
    class_names: tuple[str, ...]


def list_archive(folder: Path, *, trust: bool, on_fault: OnFault = refuse) -> Listing:
    """
    List the reviewed parts of an archive; the pictures of one hour are a group.

    Args:
        folder: root of the archive.
        trust: also take parts without a review, as found, where their masks are complete.
        on_fault: takes what is wrong with the labels of a part; returns to leave it out.

    Raises:
        DataError: no part counts, a part is damaged, a review is not one, or parts have other classes than the first.
    """
    parts = each(read_archive(folder), lambda part: list(_of_part(part, trust=trust)), on_fault)
    labelled = [found for of_part in parts for found in of_part]
    if not labelled:
        raise DataError(
            f"{folder}: no part of this archive counts: none has a {REVIEW}; see docs/data.md, or --trust-archive"
        )
    class_names = labelled[0].class_names
    for found in labelled:
        if found.class_names != class_names:
            raise DataError(
                f"{found.sample.image.parent}: classes {', '.join(found.class_names)}, earlier parts have "
                f"{', '.join(class_names)}: found by another bundle; take parts of one into a folder of their own"
            )
    samples = tuple(found.sample for found in labelled)
    return Listing(folder, class_names, samples, has_splits=False, sources=(), shows_all=False)


def _of_part(part: ArchivedPart, *, trust: bool) -> Iterator[_Labelled]:
    review = _review(part)
    if review is None and not trust:
        return
    for camera in part.cameras:
        image, mask = part.paths(camera)
        incomplete = not _complete(part, camera)
        if review is None and (mask is None or incomplete):
            continue
        if review is not None and review.labels == "found" and (mask is None or incomplete):
            raise DataError(f"{part.folder}: the mask of '{camera}' is incomplete, so that it cannot be right; draw it")
        if review is not None and review.labels == "drawn":
            mask = part.folder / f"{camera}.truth.png"
        if review is not None and review.labels == "sound":
            mask = None
        yield _labelled(part, image, mask)


def _labelled(part: ArchivedPart, image: Path, mask: Path | None) -> _Labelled:
    class_names = part.record.class_names
    if not class_names:
        raise DataError(f"{part.folder}: nothing was inspected, so that its classes are not known; remove its {REVIEW}")
    values = [] if mask is None else np.flatnonzero(np.bincount(read_mask(mask).ravel())).tolist()
    class_ids = tuple(value for value in values if value)
    if max(class_ids, default=0) > len(class_names):
        raise DataError(f"{mask}: value {max(class_ids)}, expected class ids 0 to {len(class_names)}")
    group = "/".join(part.folder.parts[-3:-1])
    labels = MaskFile(mask, class_ids, len(class_names))
    return _Labelled(
        Sample(image, labels, group, "train", class_ids, name=f"{part.folder.name}/{image.name}"), class_names
    )


def _complete(part: ArchivedPart, camera: str) -> bool:
    """Every suspicious tile was segmented: what is not marked was looked at."""
    return any(view.camera == camera and view.mask is not None and view.mask.complete for view in part.verdict.views)


def _review(part: ArchivedPart) -> Review | None:
    path = part.folder / REVIEW
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Review)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f'{path}: {error}; expected {{"by": "...", "labels": "found", "sound" or "drawn"}}') from error
