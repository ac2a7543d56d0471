"""Writes parts so that after a kill there is a whole one or none: built aside, then renamed. One writer a root."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from edge.archive.layout import (
    MARK,
    RECORD,
    UNFINISHED,
    VERSION,
    ArchiveRecord,
    KeepReason,
    Mark,
    StoredFile,
    StoredView,
    hour_us_of,
    hours,
    image_name,
    mask_name,
    part_folder,
    reason_of,
    require_mark,
    verdict_from_record,
)
from edge.archive.retention import StockedPart
from edge.errors import ArchiveError
from edge.records import Verdict
from edge.wire import Encoding, labels_from_payload, sha256

# The fastest that compresses at all: level 9 takes 20 times as long for a tenth fewer bytes.
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
# What a file takes of the disk is whole blocks, and a folder takes one.
_BLOCK = 4096
_LOCK_PAUSE_S = 0.02


@dataclass(frozen=True)
class KeptView:
    """
    What one camera contributes.

    Attributes:
        image: (h, w), (h, w, 1) or (h, w, 3) bgr, uint8: a copy that nobody else writes to.
        encoding, payload: the labels of h x w px as edge.wire encodes them; payload None = there are none.
    """

    camera: str
    image: NDArray[np.uint8]
    encoding: Encoding = "runs"
    payload: bytes | None = None


@dataclass(frozen=True)
class KeptPart:
    """
    A part to be kept.

    Attributes:
        verdict: its JSON, as published.
        views: none when there is no picture any more.
    """

    reason: KeepReason
    verdict: bytes
    views: tuple[KeptView, ...] = ()

    @property
    def held_bytes(self) -> int:
        """What it holds of the memory."""
        return len(self.verdict) + sum(view.image.nbytes + len(view.payload or b"") for view in self.views)


class ArchiveWriter:
    """
    The one writer of an archive; the root is made if it is not there.

    Args:
        wait_s: how long another writer may take to end.

    Raises:
        ArchiveError: the root is of another version, or another process writes there.
        OSError: the disk refuses.
    """

    def __init__(self, root: Path, *, wait_s: float = 0.0) -> None:
        self._root = root
        self._unfinished = root / UNFINISHED
        root.mkdir(parents=True, exist_ok=True)
        self._mark = os.open(root / MARK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with ExitStack() as unless_open:
            unless_open.callback(os.close, self._mark)
            self._lock(time.monotonic() + wait_s)
            self._begin()
            unless_open.pop_all()

    def _lock(self, until_s: float) -> None:
        while True:
            try:
                # Freed by the kernel however this process ends.
                return fcntl.flock(self._mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= until_s:
                    raise ArchiveError(
                        f"{self._root}: another process writes this archive; give each station its own"
                    ) from error
            time.sleep(_LOCK_PAUSE_S)

    def _begin(self) -> None:
        content = os.read(self._mark, _BLOCK)
        if content:
            require_mark(self._root, content)
        else:
            os.write(self._mark, msgspec.json.encode(Mark(version=VERSION)))
        if self._unfinished.exists():
            shutil.rmtree(self._unfinished)

    @property
    def in_place(self) -> bool:
        """The root is still the folder that was opened; False when it was removed, or its disk unmounted."""
        try:
            return os.path.samestat((self._root / MARK).stat(), os.fstat(self._mark))
        except OSError:
            return False

    def stocked(self) -> Iterator[StockedPart]:
        """Walk over all parts, oldest first."""
        for hour in hours(self._root):
            for folder in sorted(hour.iterdir()):
                if (reason := reason_of(folder)) is not None:
                    sizes = [file.stat().st_size for file in os.scandir(folder)]
                    yield StockedPart(folder, reason, hour_us_of(folder), _on_disk(sizes))

    def write(self, part: KeptPart) -> StockedPart:
        """
        Write one part; it appears whole or not at all.

        Raises:
            ArchiveError: it is there already, or its verdict, a picture or a mask cannot be stored.
            OSError: the disk refuses.
        """
        verdict = verdict_from_record(part.verdict)
        folder = self._root / part_folder(verdict, part.reason)
        if folder.exists():
            raise ArchiveError(f"{folder}: is there already; a part is written once")
        new = self._unfinished / folder.name
        new.mkdir(parents=True)
        try:
            sizes = _write_files(new, part, verdict)
            folder.parent.mkdir(parents=True, exist_ok=True)
            new.rename(folder)
        finally:
            # Nothing is there any more when all went well.
            shutil.rmtree(new, ignore_errors=True)
        return StockedPart(folder, part.reason, hour_us_of(folder), _on_disk(sizes))

    def remove(self, part: StockedPart) -> None:
        """
        Remove a part; it vanishes whole. One that is gone already is fine.

        Raises:
            OSError: the disk refuses.
        """
        if not part.folder.exists():
            return
        self._unfinished.mkdir(exist_ok=True)
        old = self._unfinished / part.folder.name
        part.folder.rename(old)
        shutil.rmtree(old)
        for folder in (part.folder.parent, part.folder.parent.parent):
            if not any(folder.iterdir()):
                folder.rmdir()

    def close(self) -> None:
        os.close(self._mark)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _write_files(folder: Path, part: KeptPart, verdict: Verdict) -> list[int]:
    """Write the views, then the record that names them; return the files' sizes."""
    views = tuple(_write_view(folder, view) for view in part.views)
    record = ArchiveRecord(
        version=VERSION,
        reason=part.reason,
        pixels=bool(views),
        # Scores stand in the order of the classes.
        class_names=next((tuple(view.scores) for view in verdict.views if view.scores), ()),
        views=views,
        verdict_sha256=sha256(part.verdict),
        verdict=msgspec.Raw(part.verdict),
    )
    data = msgspec.json.encode(record)
    (folder / RECORD).write_bytes(data)
    return [len(data), *(file.bytes for view in views for file in (view.image, view.mask) if file is not None)]


def _write_view(folder: Path, view: KeptView) -> StoredView:
    height, width = view.image.shape[:2]
    mask = None
    if view.payload is not None:
        labels = labels_from_payload(view.encoding, view.payload, height, width)
        mask = _write_png(folder / mask_name(view.camera), labels)
    image = _write_png(folder / image_name(view.camera), view.image)
    return StoredView(camera=view.camera, height=height, width=width, image=image, mask=mask)


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> StoredFile:
    try:
        _, png = cv2.imencode(".png", pixels, _PNG)
    except cv2.error as error:
        raise ArchiveError(
            f"{path}: {pixels.shape} {pixels.dtype} is no picture; expected uint8, 1 or 3 channels"
        ) from error
    data = png.tobytes()
    path.write_bytes(data)
    return StoredFile(name=path.name, bytes=len(data), sha256=sha256(data))


def _on_disk(sizes: list[int]) -> int:
    return _BLOCK + sum(-(-size // _BLOCK) * _BLOCK for size in sizes)
