"""Reads parts back. What is damaged is named, never left out in silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.archive.layout import (
    MARK,
    NOT_READ,
    RECORD,
    ArchiveRecord,
    StoredFile,
    StoredView,
    hours,
    part_folder,
    reason_of,
    require_mark,
    verdict_from_record,
)
from edge.errors import ArchiveError
from edge.records import Verdict
from edge.wire import sha256

_record_decoder = msgspec.json.Decoder(ArchiveRecord)


@dataclass(frozen=True)
class ArchivedPart:
    """One part of an archive; its record is verified, its pixels are when they are asked for."""

    folder: Path
    record: ArchiveRecord
    verdict: Verdict

    @property
    def cameras(self) -> tuple[str, ...]:
        """Those with a picture."""
        return tuple(view.camera for view in self.record.views)

    def image(self, camera: str) -> NDArray[np.uint8]:
        """
        Return the picture of *camera* as it was inspected: (h, w) or (h, w, 3) bgr.

        Raises:
            ArchiveError: there is none, or its bytes are not those that were written.
        """
        view = self.view(camera)
        return self._pixels(view, view.image)

    def labels(self, camera: str) -> NDArray[np.uint8] | None:
        """
        Return (h, w) what the networks answered, 0 = sound, k = record.class_names[k - 1]; None without an answer.

        Raises:
            ArchiveError: there is no picture of this camera, or the bytes are not those that were written.
        """
        view = self.view(camera)
        return None if view.mask is None else self._pixels(view, view.mask)

    def paths(self, camera: str) -> tuple[Path, Path | None]:
        """
        Return the files of picture and labels, their bytes verified.

        Raises:
            ArchiveError: as image() and labels().
        """
        view = self.view(camera)
        for file in (view.image, view.mask):
            if file is not None:
                self._verified(file)
        return self.folder / view.image.name, None if view.mask is None else self.folder / view.mask.name

    def view(self, camera: str) -> StoredView:
        """
        Return which files *camera* has.

        Raises:
            ArchiveError: it has none.
        """
        found = next((view for view in self.record.views if view.camera == camera), None)
        if found is None:
            raise ArchiveError(
                f"{self.folder}: no picture of camera '{camera}'; it has {', '.join(self.cameras) or 'none'}"
            )
        return found

    def _pixels(self, view: StoredView, file: StoredFile) -> NDArray[np.uint8]:
        image = cv2.imdecode(np.frombuffer(self._verified(file), np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None or image.shape[:2] != (view.height, view.width) or image.dtype != np.uint8:
            raise ArchiveError(
                f"{self.folder / file.name}: no picture of {view.height}x{view.width} px, 8 bit, as the record says"
            )
        return np.asarray(image, np.uint8)

    def _verified(self, file: StoredFile) -> bytes:
        data = _read(self.folder / file.name)
        if sha256(data) != file.sha256:
            raise ArchiveError(
                f"{self.folder / file.name}: SHA-256 is not the record's {file.sha256[:12]}...; do not use it"
            )
        return data


def read_archive(root: Path, faults: list[str] | None = None) -> Iterator[ArchivedPart]:
    """
    Yield all parts in order of time.

    Args:
        root: holds archive.json. A station may be writing to it meanwhile.
        faults: damaged parts are named here, a line each, and the rest is read; None = the first one is an error.

    Raises:
        ArchiveError: no archive, one of another version, or a damaged part (see *faults*).
    """
    require_mark(root, _read(root / MARK))
    for hour in hours(root):
        yield from sorted(_parts_of(hour, faults), key=lambda part: (part.verdict.utc_us, part.verdict.seq))


def _parts_of(hour: Path, faults: list[str] | None) -> Iterator[ArchivedPart]:
    for folder in hour.iterdir() if hour.exists() else ():
        try:
            yield read_part(folder)
        except ArchiveError as error:
            # Too old by now: removed between the listing and the reading.
            if not folder.exists():
                continue
            if faults is None:
                raise
            faults.append(str(error))


def read_part(folder: Path) -> ArchivedPart:
    """
    Return the part in one folder of an archive; its record and the files' sizes are verified.

    Raises:
        ArchiveError: it is damaged, or no part's.
    """
    reason = reason_of(folder)
    if reason is None:
        raise ArchiveError(f"{folder}: is no part of an archive; expected SEQ-EPOCH-REASON; move it elsewhere")
    path = folder / RECORD
    try:
        record = _record_decoder.decode(_read(path))
    except NOT_READ as error:
        raise ArchiveError(f"{path}: not a record of version 1: {error}; remove the part") from error
    if sha256(bytes(record.verdict)) != record.verdict_sha256:
        raise ArchiveError(f"{path}: the verdict is not the one that was written; remove the part")
    verdict = verdict_from_record(record.verdict)
    if not folder.as_posix().endswith(part_folder(verdict, record.reason)):
        raise ArchiveError(f"{folder}: holds part {part_folder(verdict, record.reason)}; move it back")
    for view in record.views:
        for file in (view.image, view.mask):
            if file is not None:
                _require_size(folder / file.name, file.bytes)
    return ArchivedPart(folder, record, verdict)


def _require_size(path: Path, expected: int) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ArchiveError(f"{path}: {error.strerror}; the record names it; remove the part") from error
    if size != expected:
        raise ArchiveError(f"{path}: {size} bytes, the record says {expected}; it is damaged, remove the part")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArchiveError(
            f"{path}: cannot be read: {error.strerror}; expected an archive, see docs/archive.md"
        ) from error
