"""Parts are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.archive import ArchiveWriter, KeptPart, KeptView, read_archive
from edge.errors import ArchiveError, WireError
from tests.support.archived import HOUR_US, NOON_US, kept_part, kept_view


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_a_part_lies_where_the_layout_says(tmp_path: Path) -> None:
    """Hour of the verdict in UTC, position, reason; the record, a frame and a mask; nothing else."""
    with ArchiveWriter(tmp_path / "a" / "b") as writer:
        writer.write(kept_part(17, epoch=0x123456789ABC))
    part = "2026-11-22/12/0000000017-123456789abc-reject"
    assert files(tmp_path / "a" / "b") == [
        f"{part}/cam1.frame.png",
        f"{part}/cam1.mask.png",
        f"{part}/record.json",
        "archive.json",
    ]
    assert (tmp_path / "a" / "b" / "archive.json").read_bytes() == b'{"version":1}'


def test_the_size_is_that_of_the_walk(tmp_path: Path) -> None:
    """What a writer booked while it wrote is what the next one finds on disk."""
    with ArchiveWriter(tmp_path) as writer:
        written = [writer.write(kept_part(n, utc_us=NOON_US + n * HOUR_US)) for n in range(1, 15)]
    with ArchiveWriter(tmp_path) as writer:
        assert list(writer.stocked()) == written


def test_a_removed_part_leaves_nothing(tmp_path: Path) -> None:
    """Part, empty hour and empty day vanish; a part that somebody else has removed is no error."""
    with ArchiveWriter(tmp_path) as writer:
        part = writer.write(kept_part(1))
        writer.remove(part)
        writer.remove(part)
        assert not list(tmp_path.glob("2*"))
        writer.write(kept_part(2))


def test_a_part_is_written_once(tmp_path: Path) -> None:
    """The same position again is refused and changes nothing."""
    with ArchiveWriter(tmp_path) as writer:
        writer.write(kept_part(1))
        before = files(tmp_path)
        with pytest.raises(ArchiveError, match="is there already"):
            writer.write(kept_part(1))
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("spoilt", "error"),
    [
        (KeptPart("reject", b'{"schema":"status"}'), ArchiveError),
        (KeptPart("reject", b"\xff\xff"), ArchiveError),
        (
            KeptPart("reject", kept_part(1).verdict, (KeptView("cam1", np.zeros((4, 4, 2), np.uint8)),)),
            ArchiveError,
        ),
        (
            KeptPart("reject", kept_part(1).verdict, (KeptView("cam1", kept_view(1).image, "runs", b"abcd"),)),
            WireError,
        ),
    ],
)
def test_what_cannot_be_stored_leaves_nothing(tmp_path: Path, spoilt: KeptPart, error: type[Exception]) -> None:
    """No verdict, no picture, a mask of another size: an error, and not a trace of the part."""
    with ArchiveWriter(tmp_path) as writer, pytest.raises(error):
        writer.write(spoilt)
    assert files(tmp_path) == ["archive.json"]


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    """Two stations in one folder would remove each other's unfinished parts."""
    with ArchiveWriter(tmp_path), pytest.raises(ArchiveError, match="another process"):
        ArchiveWriter(tmp_path)
    ArchiveWriter(tmp_path).close()


@pytest.mark.parametrize(("mark", "said"), [(b'{"version":2}', "version 2, expected 1"), (b"{", "expected")])
def test_an_archive_of_another_version_is_refused(tmp_path: Path, mark: bytes, said: str) -> None:
    """A newer archive is neither written nor read, and keeps its bytes."""
    (tmp_path / "archive.json").write_bytes(mark)
    with pytest.raises(ArchiveError, match=said):
        ArchiveWriter(tmp_path)
    with pytest.raises(ArchiveError, match=said):
        next(read_archive(tmp_path))
    assert (tmp_path / "archive.json").read_bytes() == mark


def test_a_removed_root_is_noticed(tmp_path: Path) -> None:
    """A disk that was unmounted, or emptied, is no longer the archive that was opened."""
    with ArchiveWriter(tmp_path / "a") as writer:
        assert writer.in_place
        shutil.rmtree(tmp_path / "a")
        assert not writer.in_place
        with ArchiveWriter(tmp_path / "a") as other:
            assert other.in_place
            assert not writer.in_place


WRITE_FOR_EVER = """
import itertools, pathlib, sys
from edge.archive import ArchiveWriter
from tests.support.archived import kept_part
with ArchiveWriter(pathlib.Path(sys.argv[1])) as writer:
    for seq in itertools.count(int(sys.argv[2])):
        part = writer.write(kept_part(seq))
        if seq % 3 == 0:
            writer.remove(part)
        print(seq, flush=True)
"""


def test_after_a_kill_every_part_is_whole(tmp_path: Path) -> None:
    """Killed while it writes and removes as fast as it can, several times: whole parts, no loss, nothing half done."""
    root, seq, kept = tmp_path / "a", 1, set[int]()
    for kill in range(6):
        command = [sys.executable, "-c", WRITE_FOR_EVER, str(root), str(seq)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            said = [int(child.stdout.readline()) for _ in range(5 + 7 * kill)]
            os.kill(child.pid, signal.SIGKILL)
            said += [int(line) for line in child.stdout]
        kept |= {number for number in said if number % 3}
        found = {part.verdict.seq for part in read_archive(root) if part.image("cam1").any()}
        # The last part may be there though its number was not said any more.
        assert kept <= found <= kept | {said[-1] + 1}
        kept, seq = found, said[-1] + 2
    with ArchiveWriter(root):
        assert not (root / ".unfinished").exists()
    assert all(len(list(part.folder.iterdir())) == 3 for part in read_archive(root))


WRITE_LIMITED = """
import pathlib, resource, sys
from edge.archive import ArchiveWriter
from tests.support.archived import kept_part
with ArchiveWriter(pathlib.Path(sys.argv[1])) as writer:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    try:
        writer.write(kept_part(1))
    except OSError as error:
        print(error.errno)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    writer.write(kept_part(2))
"""


def test_a_file_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    """The system stops the picture half-way: an error, not a trace; the next part is written."""
    command = [sys.executable, "-c", WRITE_LIMITED, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert int(said) > 0
    assert [part.verdict.seq for part in read_archive(tmp_path)] == [2]
    assert not list((tmp_path / ".unfinished").iterdir())
