"""A picture in a file: which files are pictures, what is in them, and what their names say."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inspector.camera import LARGEST_TAG
from edge.inspector.camera.whole import Wholeness, wholeness

PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}
"""Endings of names, in small letters."""

_TAG = re.compile(r"[0-9]{1,16}")


class Identity(NamedTuple):
    """Tells a file, as it was written at one time, from every other one in its folder."""

    inode: int
    changed_ns: int
    """When its content was changed; by the wall clock of whose disk it is, so only fit to be compared for equality."""
    size: int


def identity_of(path: Path) -> Identity | None:
    """Return which file lies there, None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Identity(found.st_ino, found.st_mtime_ns, found.st_size)


def is_picture(name: str) -> bool:
    """Say whether a file of that name should hold a picture. A hidden one is somebody's unfinished work."""
    return not name.startswith(".") and Path(name).suffix.lower() in PICTURES


class Content(NamedTuple):
    """What a file holds. Without a picture: it is gone, is not whole, or holds none."""

    picture: NDArray[np.uint8] | None
    doubtful: bool = False
    """Its end may not be written yet: see Wholeness."""


def content_of(path: Path) -> Content:
    """Return the picture in a file; never half of one, of which OpenCV would make the rest up."""
    try:
        data = path.read_bytes()
        found = wholeness(data)
        if found is Wholeness.CUT:
            return Content(None)
        # Decoded from bytes: imread writes its own complaint to stderr and does not say why it failed.
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        return Content(None)
    return Content(None if image is None else np.asarray(image), found is Wholeness.DOUBTFUL)


def tag_from_name(name: str, pattern: str | None) -> int | None:
    """Return the number that *pattern* finds in a file's name, None when it is no tag."""
    found = None if pattern is None else re.search(pattern, Path(name).name)
    digits = "" if found is None else found[1] or ""
    return int(digits) if _TAG.fullmatch(digits) and int(digits) <= LARGEST_TAG else None


def printable(name: str) -> str:
    """Return a file's name as text; what is not UTF-8 would fit into no message."""
    return os.fsencode(name).decode(errors="replace")
