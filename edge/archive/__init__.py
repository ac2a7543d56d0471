"""What is kept of a part: how it lies on disk, written whole or not at all, read back with its hashes verified."""

from __future__ import annotations

from edge.archive.choice import Gates, reason_to_keep
from edge.archive.frames import ArchivedFrame, frames_of_part, read_frames
from edge.archive.layout import KEEP_REASONS, ArchiveRecord, KeepReason, is_archive, verdict_from_record
from edge.archive.reader import ArchivedPart, read_archive, read_part
from edge.archive.retention import Stock, StockedPart
from edge.archive.writer import ArchiveWriter, KeptPart, KeptView

__all__ = [
    "KEEP_REASONS",
    "ArchiveRecord",
    "ArchiveWriter",
    "ArchivedFrame",
    "ArchivedPart",
    "Gates",
    "KeepReason",
    "KeptPart",
    "KeptView",
    "Stock",
    "StockedPart",
    "frames_of_part",
    "is_archive",
    "read_archive",
    "read_frames",
    "read_part",
    "reason_to_keep",
    "verdict_from_record",
]
