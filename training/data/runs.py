"""
Run-length coded labels: pairs ``start length``; pixels are counted from 1, top to bottom, then left to right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError

MOST_PX = 1 << 40


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
