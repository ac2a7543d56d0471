"""Up to where the files of a folder were answered: a note in the folder itself, which outlives the process."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

_TEXT = re.compile(rb"(\d{20}) (\d{20})\n")

Point = tuple[int, int]
"""When a file was last changed, renamed included, and its inode: the order in which files came."""


def point_of(path: Path) -> Point | None:
    """Return where a file stands, None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ctime_ns, found.st_ino


class Mark:
    """
    A hidden file. Its times are those of the files beside it: of the drive's clock, whoever's that is.

    Args:
        pattern: names of the camera's pictures; another camera may have others of the same folder.
    """

    def __init__(self, folder: Path, pattern: str) -> None:
        self._path = folder / f".edge-inspect-{zlib.crc32(pattern.encode()):08x}"
        self._writes = False
        self._point: Point = (0, 0)
        self._newest: Point = (0, 0)

    def read(self) -> Point | None:
        """Return the last one that was answered, None when nothing says so."""
        try:
            found = _TEXT.fullmatch(self._path.read_bytes())
        except OSError:
            return None
        return None if found is None else (int(found[1]), int(found[2]))

    def open(self, point: Point) -> bool:
        """Begin to mark there; return False where nothing can be written."""
        self._writes, self._point, self._newest = True, (-1, 0), point
        self.move(point)
        return self._writes

    def move(self, point: Point | None, waits: Point | None = None) -> None:
        """
        Note that this one was answered; what cannot be written ends it.

        Args:
            waits: where the oldest one stands that was not answered yet. What was answered and came after it counts
                when that one was: to answer one twice is better than never.
        """
        if not self._writes or point is None:
            return
        self._newest = max(self._newest, point)
        point = self._newest if waits is None or self._newest[0] <= waits[0] else (waits[0], 0)
        if point <= self._point:
            return
        self._point = point
        try:
            # Closed each time: an open file would hold a drive that somebody wants to unmount.
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError:
            self._writes = False
            return
        try:
            os.pwrite(file, b"%020d %020d\n" % point, 0)
        except OSError:
            self._writes = False
        finally:
            os.close(file)

    def close(self) -> None:
        self._writes = False
