"""
How the archive lies on disk, version 1; docs/archive.md tells it to people.

    ROOT/archive.json                    {"version":1}; locked while a station writes here
    ROOT/2026-11-22/14/                  the hour of the verdict, UTC
        0000000017-0123456789ab-reject/  one part: its number seq, its epoch, why it was kept
            record.json                  ArchiveRecord: the verdict, and every file with its hash
            cam1.frame.png               the picture as it was inspected, lossless
            cam1.mask.png                the labels the networks gave, value = class id
    ROOT/.unfinished/                    what is being written or removed; nobody reads here
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from edge.errors import ArchiveError
from edge.records import Message, Verdict

VERSION: Literal[1] = 1
MARK = "archive.json"
RECORD = "record.json"
UNFINISHED = ".unfinished"

KeepReason: TypeAlias = Literal["reject", "unknown", "near_miss", "sample"]

KEEP_REASONS: dict[KeepReason, str] = {
    "sample": "a random share of the PASS parts",
    "near_miss": "a PASS part that was nearly none",
    "unknown": "its outcome is UNKNOWN",
    "reject": "its outcome is REJECT",
}
"""In the order in which parts go when there are too many: samples first, rejects last."""

# All that decoding raises: bytes that are no UTF-8 and brackets nested too deep come as errors of their own.
NOT_READ = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_HOUR = re.compile(r"[01]\d|2[0-3]")
_PART = re.compile(rf"\d{{10,16}}-[0-9a-f]{{12}}-({'|'.join(KEEP_REASONS)})")


class StoredFile(Message, frozen=True):
    name: str
    bytes: int
    sha256: str


class StoredView(Message, frozen=True):
    """The files of one camera."""

    camera: str
    height: int
    width: int
    image: StoredFile
    mask: StoredFile | None
    """None when the picture has no labels: it was not inspected, or not in time."""


class ArchiveRecord(Message, frozen=True):
    """What record.json holds."""

    version: Literal[1]
    reason: KeepReason
    pixels: bool
    """False: there was no picture left to keep, since the inspector had ended or none was taken."""
    class_names: tuple[str, ...]
    """Label k is class_names[k - 1]; empty when nothing was inspected."""
    views: tuple[StoredView, ...]
    verdict_sha256: str
    verdict: msgspec.Raw
    """The verdict as it was published."""


class Mark(Message, frozen=True):
    """What archive.json holds."""

    version: int


_verdict_decoder = msgspec.json.Decoder(Verdict)
_mark_decoder = msgspec.json.Decoder(Mark)


def verdict_from_record(record: bytes | msgspec.Raw) -> Verdict:
    """
    Decode a verdict's JSON.

    Raises:
        ArchiveError: it is no verdict of this version.
    """
    try:
        return _verdict_decoder.decode(record)
    except NOT_READ as error:
        raise ArchiveError(
            f"archived verdict is not of version 1: {error}; read it with a newer edge-inspect"
        ) from error


def is_archive(folder: Path) -> bool:
    return (folder / MARK).is_file()


def require_mark(where: Path, mark: bytes) -> None:
    """
    Refuse an archive that this version cannot read.

    Raises:
        ArchiveError: *mark*, the content of archive.json, is damaged or of another version.
    """
    try:
        version = _mark_decoder.decode(mark).version
    except NOT_READ as error:
        raise ArchiveError(f'{where / MARK}: {error}; expected {{"version":{VERSION}}}; use another folder') from error
    if version != VERSION:
        raise ArchiveError(
            f"{where / MARK}: version {version}, expected {VERSION}; use another folder, or the edge-inspect it is of"
        )


def part_folder(verdict: Verdict, reason: KeepReason) -> str:
    """Return where a part lies below the root."""
    moment = datetime.fromtimestamp(verdict.utc_us // 1_000_000, timezone.utc)
    return f"{moment:%Y-%m-%d/%H}/{verdict.seq:010d}-{verdict.epoch:012x}-{reason}"


def hour_us_of(folder: Path) -> int:
    """Return when the hour of a part's folder began [us since 1970]."""
    hour, day = folder.parent.name, folder.parent.parent.name
    return 1_000_000 * int(datetime.fromisoformat(f"{day}T{hour}:00:00+00:00").timestamp())


def reason_of(folder: Path) -> KeepReason | None:
    """Return why the part in *folder* was kept, None when the name is not a part's."""
    named = _PART.fullmatch(folder.name)
    return next((reason for reason in KEEP_REASONS if named is not None and reason == named[1]), None)


def hours(root: Path) -> list[Path]:
    """Return the folders of hours, oldest first; whatever else lies in the root is not the archive's."""
    days = sorted(day for day in root.iterdir() if _DAY.fullmatch(day.name) and day.is_dir())
    return [hour for day in days for hour in sorted(day.iterdir()) if _HOUR.fullmatch(hour.name) and hour.is_dir()]


def image_name(camera: str) -> str:
    return f"{camera}.frame.png"


def mask_name(camera: str) -> str:
    return f"{camera}.mask.png"
