"""
Pictures to quantise with, and others to measure the guard band on: of a folder, a data set or the station's archive.

The two parts never share a picture: a scale that was fitted to a picture flatters the band there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.archive import ArchivedPart, is_archive, read_archive
from edge.errors import DataError
from edge.inspector.answers import canvas_of
from edge.records import Outcome
from engines.contract import CHANNELS, Manifest, PixelFormat

LEAST_PICTURES = 24
"""A third of them calibrates; fewer than sixteen others prove nothing about a band."""
MOST_PICTURES = 480
"""Of more, evenly spaced ones are taken."""
MOST_TILES = 128

_READ_FLAG: dict[PixelFormat, int] = {"mono8": cv2.IMREAD_GRAYSCALE, "bgr8": cv2.IMREAD_COLOR}
_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

Size = tuple[int, int]


@dataclass(frozen=True)
class Picture:
    """A picture that is decoded when it is needed: all of them together are large."""

    name: str
    read: Callable[[], NDArray[np.uint8]]
    """Return (h, w, C) uint8."""


@dataclass(frozen=True)
class CalibrationSet:
    """
    Attributes:
        calibration: whose ranges become the scales.
        guard: on which the guard band is measured.
    """

    calibration: tuple[Picture, ...]
    guard: tuple[Picture, ...]

    def tiles(self, manifest: Manifest, most: int = MOST_TILES) -> NDArray[np.uint8]:
        """Return (N, h, w, C), N <= *most*: tiles of the calibrating pictures, as many of each, by the one grid."""
        tile, share = manifest.tile, max(1, most // len(self.calibration))
        cut: list[NDArray[np.uint8]] = []
        for picture in self.calibration[:: -(-len(self.calibration) // most)]:
            canvas = canvas_of(manifest, picture.read())
            # Beginning with another tile in each picture, or the left of the line would be all that is seen.
            indices = [(len(cut) + i) % canvas.grid.count for i in range(min(share, canvas.grid.count))]
            rows = np.empty((len(indices), tile.height, tile.width, manifest.channels), np.uint8)
            canvas.cut(indices, rows)
            cut.append(rows)
        return np.concatenate(cut)

    def guard_frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the pictures of the guard part, (h, w, C) each."""
        return (picture.read() for picture in self.guard)


def read_calibration_set(folder: Path, manifest: Manifest, sizes: Collection[Size]) -> CalibrationSet:
    """
    Find the pictures of *folder* and part them; equal folders are parted alike, whatever the files are called.

    Args:
        folder: pictures, a data set (its ``images`` folder), or a station's archive.
        manifest: of the bundle: format and tiles.
        sizes: (height, width) that a picture may have [px]: those of the station's cameras, or of the bundle's
            reference frames.

    Raises:
        DataError: no such folder, a picture that cannot be read or is of another size or format, or too few pictures;
            says how many, and what was expected.
        ArchiveError: the archive is of another version.
    """
    pictures = _spread(list(_pictures_of(folder, manifest)))
    _refuse_few(folder, len(pictures))
    digests: dict[str, Picture] = {}
    wrong: list[str] = []
    for picture in pictures:
        image = picture.read()
        if image.shape[:2] not in sizes or image.shape[2] != manifest.channels:
            wrong.append(f"{picture.name} {_text(image.shape[:2])}x{image.shape[2]}")
        digests.setdefault(hashlib.sha256(image.tobytes()).hexdigest(), picture)
    if wrong:
        raise DataError(
            f"{folder}: {len(wrong)} of {len(pictures)} pictures are of another size or format, the first {wrong[0]}: "
            f"expected {' or '.join(map(_text, sorted(sizes)))} px (height x width), {manifest.format}; "
            "take pictures of the line's own cameras, none is resampled"
        )
    _refuse_few(folder, len(digests))
    ordered = [digests[digest] for digest in sorted(digests)]
    third = len(ordered) // 3
    return CalibrationSet(tuple(ordered[:third]), tuple(ordered[third:]))


def _refuse_few(folder: Path, found: int) -> None:
    if found < LEAST_PICTURES:
        raise DataError(
            f"{folder}: {found} different pictures, expected {LEAST_PICTURES} or more: a third of them calibrates, the "
            "others measure the guard band; add pictures as the line takes them, sound and defective"
        )


def _pictures_of(folder: Path, manifest: Manifest) -> Iterable[Picture]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected pictures, a data set or a station's archive")
    if is_archive(folder):
        return _archived(folder)
    images = folder / "images"
    return _files(images if images.is_dir() else folder, manifest.format)


def _files(folder: Path, pixel_format: PixelFormat) -> Iterator[Picture]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in _SUFFIXES and path.is_file():
            yield Picture(path.name, partial(_picture_file, path, pixel_format))


def _picture_file(path: Path, pixel_format: PixelFormat) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), _READ_FLAG[pixel_format] | cv2.IMREAD_ANYDEPTH)
    if image is None or image.dtype != np.uint8:
        raise DataError(f"{path}: no picture of 8 bits that can be decoded; replace or remove it")
    return np.asarray(image.reshape(*image.shape[:2], CHANNELS[pixel_format]), np.uint8)


def _archived(root: Path) -> Iterator[Picture]:
    """Yield the pictures of parts that were judged; a damaged part is passed over, as everywhere."""
    for part in read_archive(root, faults=[]):
        if part.verdict.outcome is Outcome.UNKNOWN:
            continue
        for camera in part.cameras:
            yield Picture(f"{part.folder.name}/{camera}", partial(_archived_picture, part, camera))


def _archived_picture(part: ArchivedPart, camera: str) -> NDArray[np.uint8]:
    image = part.image(camera)
    return image.reshape(*image.shape[:2], -1)


def _spread(pictures: Sequence[Picture]) -> Sequence[Picture]:
    return pictures[:: -(-len(pictures) // MOST_PICTURES) or 1]


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
