"""An archive judged again: which outcomes differ from those the line gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from edge.archive import frames_of_part, read_archive
from edge.errors import ArchiveError
from edge.records import Outcome, Verdict

_NAMED = 10


@dataclass(frozen=True)
class ArchivedFrames:
    """
    The pictures of an archive.

    Attributes:
        outcomes: what the line said of each, by its path below the root, as a replay names it.
        height, width: of the smallest canvas that takes all of them [px].
        faults: damaged parts, a line each; their pictures are not compared.
    """

    outcomes: Mapping[str, Outcome]
    height: int
    width: int
    faults: tuple[str, ...]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    was: Outcome
    now: Outcome


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Outcomes of single pictures, archived against replayed."""

    compared: int
    not_compared: int
    """Pictures of damaged parts."""
    changes: tuple[Change, ...]
    faults: tuple[str, ...]


def read_frames(root: Path) -> ArchivedFrames:
    """
    Read which pictures *root* holds, every one verified.

    Raises:
        ArchiveError: no archive, or there is no picture in it.
    """
    faults: list[str] = []
    outcomes: dict[str, Outcome] = {}
    sizes = []
    for part in read_archive(root, faults):
        for frame in frames_of_part(part, root):
            try:
                part.paths(frame.camera)
            except ArchiveError as error:
                faults.append(str(error))
                continue
            sizes.append((frame.height, frame.width))
            outcomes[frame.source] = frame.outcome
    if not outcomes:
        raise ArchiveError(f"{root}: no picture in this archive can be replayed; {len(faults)} parts are damaged")
    return ArchivedFrames(outcomes, max(size[0] for size in sizes), max(size[1] for size in sizes), tuple(faults))


def compare(frames: ArchivedFrames, verdicts: Sequence[Verdict]) -> Comparison:
    """
    Compare what the line said with *verdicts* of one replay.

    Raises:
        ArchiveError: a picture has no verdict.
    """
    now = {view.source: view.outcome for verdict in verdicts for view in verdict.views}
    missing = sorted(set(frames.outcomes) - set(now))
    if missing:
        raise ArchiveError(f"{missing[0]} ({len(missing)} such) was not replayed; was it removed meanwhile?")
    changes = tuple(
        Change(source=source, was=was, now=now[source]) for source, was in frames.outcomes.items() if was != now[source]
    )
    return Comparison(
        compared=len(frames.outcomes),
        not_compared=len(set(now) - set(frames.outcomes)),
        changes=changes,
        faults=frames.faults,
    )


def print_comparison(comparison: Comparison, console: Console) -> None:
    differ = len(comparison.changes)
    console.print(f"archive: {differ} of {comparison.compared} outcomes differ", highlight=False)
    kinds = Counter(f"{change.was.value} -> {change.now.value}" for change in comparison.changes)
    for kind, count in kinds.most_common():
        console.print(f"  {kind}: {count}", highlight=False)
    for change in comparison.changes[:_NAMED]:
        console.print(f"  {change.source}: {change.was.value} -> {change.now.value}", highlight=False, soft_wrap=True)
    if differ > _NAMED:
        console.print(f"  ... and {differ - _NAMED} more; --json FILE names all", highlight=False)
    if comparison.not_compared:
        console.print(f"  not compared, of damaged parts: {comparison.not_compared}", highlight=False)
    for fault in comparison.faults:
        console.print(f"  damaged: {fault}", highlight=False, markup=False, soft_wrap=True)
