"""The pictures of an archive one by one, in order of time: what is replayed, and compared with what the line said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.archive.reader import ArchivedPart, read_archive
from edge.records import Outcome


@dataclass(frozen=True)
class ArchivedFrame:
    """
    What one camera saw of one part.

    Attributes:
        folder: of its part, for read_part().
        source: the picture's path below the root: the part's hour, position and why it was kept, then the camera.
        outcome: what the line said of this view.
        tag: of its part.
        height, width: of the picture [px].
    """

    folder: Path
    source: str
    camera: str
    outcome: Outcome
    tag: int | None
    height: int
    width: int


def read_frames(root: Path, faults: list[str]) -> Iterator[ArchivedFrame]:
    """
    Yield every picture, in order of time; records and sizes are verified, pixels are when they are read.

    Args:
        faults: damaged parts are named here, a line each.

    Raises:
        ArchiveError: no archive, or one of another version.
    """
    for part in read_archive(root, faults):
        yield from frames_of_part(part, root)


def frames_of_part(part: ArchivedPart, root: Path) -> Iterator[ArchivedFrame]:
    """Yield the pictures of one part of the archive *root*; none, when none was kept."""
    said = {view.camera: view.outcome for view in part.verdict.views}
    folder = part.folder.relative_to(root).as_posix()
    for view in part.record.views:
        yield ArchivedFrame(
            part.folder,
            f"{folder}/{view.image.name}",
            view.camera,
            said.get(view.camera, part.verdict.outcome),
            part.verdict.tag,
            view.height,
            view.width,
        )
