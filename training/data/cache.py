"""
Decoded pictures: in memory up to a bound, or as files that are mapped into memory.

With a folder every picture is decoded once, ever: its pixels and labels lie there as .npy files, several processes
share them, and the system keeps in memory what is in use. A file is written beside its place and renamed, so that it is
whole or not there. Its folder is named after the data set's SHA-256: other data, other files.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from engines.contract import PixelFormat
from training.data.samples import Sample
from training.data.windows import Picture

MEMORY_GB = 4.0
BYTES_A_GB = 1_000_000_000
MOST_OPEN = 8192
"""Pictures whose files are kept open."""
READER_VERSION = 1
"""Raise it when the same files are to give other pixels or labels."""


class PictureStore:
    """
    Decodes samples, and holds what is decoded.

    Args:
        sha256: of the data set.
        pixel_format: in which pictures are decoded.
        memory_gb: bound on all that is held in memory [10**9 bytes]; of no account with a folder.
        folder: where decoded pictures lie as files; None = in memory.
    """

    def __init__(
        self, sha256: str, pixel_format: PixelFormat, *, memory_gb: float = MEMORY_GB, folder: Path | None = None
    ) -> None:
        self._pixel_format = pixel_format
        self._bound = int(memory_gb * BYTES_A_GB)
        self._held = 0
        self._folder = None if folder is None else folder / f"{sha256[:16]}-{pixel_format}-{READER_VERSION}"

    def pictures(self, samples: Sequence[Sample]) -> Sequence[Picture]:
        """
        Decode all samples that are not decoded yet.

        Returns:
            As many pictures; with a folder their arrays are read-only maps.

        Raises:
            DataError: a picture or its labels are unusable.
            ConfigurationError: they do not fit the bound, or the folder cannot be written.
        """
        if self._folder is not None:
            return _FiledPictures(self._folder, samples, self._pixel_format)
        pictures: list[Picture] = []
        for sample in samples:
            pictures.append(sample.picture(self._pixel_format))
            self._held += pictures[-1].image.nbytes + pictures[-1].labels.nbytes
            if self._held > self._bound:
                raise ConfigurationError(
                    f"--memory-gb {self._bound / BYTES_A_GB:g} is full with {len(pictures)} of {len(samples)} "
                    f"pictures, {sample.image.name} the last; give --cache FOLDER to hold them on disk, or raise it"
                )
        return pictures


class _FiledPictures(Sequence[Picture]):
    """Pictures whose arrays are files."""

    def __init__(self, folder: Path, samples: Sequence[Sample], pixel_format: PixelFormat) -> None:
        self._samples = samples
        self._pixel_format = pixel_format
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"--cache {folder}: {error.strerror}; expected a folder to write to") from error
        self._stems = [folder / hashlib.sha256(os.fsencode(s.image.resolve())).hexdigest()[:32] for s in samples]
        # A process may hold some 65,000 maps, and a picture takes two.
        self._found = lru_cache(MOST_OPEN)(self._find)
        for index in range(len(samples)):
            self._found(index)

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> list[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | list[Picture]:
        if isinstance(index, slice):
            return [self._found(at) for at in range(len(self))[index]]
        return self._found(range(len(self))[index])

    def _find(self, index: int) -> Picture:
        """Open a picture, or decode it first where its files are absent or damaged."""
        found = self._open(index)
        if found is not None:
            return found
        picture = self._samples[index].picture(self._pixel_format)
        _write(self._stems[index].with_suffix(".image.npy"), picture.image)
        _write(self._stems[index].with_suffix(".labels.npy"), picture.labels)
        # The files again, not the picture: what is decoded is not to stay in memory.
        return self._open(index) or picture

    def _open(self, index: int) -> Picture | None:
        sample, stem = self._samples[index], self._stems[index]
        image, labels = _opened(stem.with_suffix(".image.npy"), 3), _opened(stem.with_suffix(".labels.npy"), 2)
        if image is None or labels is None or image.shape[:2] != labels.shape:
            return None
        return Picture(image, labels, sample.class_ids, sample.drawn, sample.source)


def _opened(path: Path, dimensions: int) -> NDArray[np.uint8] | None:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (EOFError, OSError, ValueError):  # absent, or cut short by a machine that went down
        return None
    # np.memmap answers each cut with a memmap and keeps a record of it; a plain view of the same memory does not.
    return np.asarray(array) if array.ndim == dimensions and array.dtype == np.uint8 else None


def _write(path: Path, array: NDArray[np.uint8]) -> None:
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            part = Path(file.name)
            try:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
                file.close()
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"--cache {path.parent}: {error.strerror or error}; free space, or leave it out"
        ) from error
