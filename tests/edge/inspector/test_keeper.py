"""The disk's side of the archive: what the disk does costs parts, and nothing else; parts arrive as they were sent."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.archive import ArchiveWriter, KeptPart, KeptView, read_archive
from edge.inspector.keeper import Keeper, receive_part, send_part
from edge.settings import ArchiveSettings
from tests.support.archived import HOUR_US, NOON_US, kept_part


class HandClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.us = NOON_US

    def now_us(self) -> int:
        return self.us

    def utc_us(self) -> int:
        return self.us


def keeper(root: Path, clock: HandClock | None = None, **changes: Any) -> Keeper:
    return Keeper(ArchiveSettings(path=root, **changes), "line1", clock or HandClock())


def seqs(root: Path) -> list[int]:
    return [part.verdict.seq for part in read_archive(root)]


def test_a_failing_disk_drops_parts_and_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file lies where the folder should be: dropped, counted, one line a minute; gone, the next part is kept."""
    root, clock = tmp_path / "archive", HandClock()
    root.write_text("in the way")
    failing = keeper(root, clock)
    with caplog.at_level(logging.WARNING):
        for number in range(10):
            assert not failing.keep(kept_part(number))
    assert (failing.dropped, len(caplog.records)) == (10, 1)
    assert str(root) in caplog.text
    clock.us += 60_000_000
    failing.tend()
    assert len(caplog.records) == 2
    root.unlink()
    assert failing.keep(kept_part(10))
    assert (failing.dropped, seqs(root)) == (10, [10])


def test_a_part_that_cannot_be_stored_is_counted(tmp_path: Path) -> None:
    """A record that is no verdict is dropped; the next part is kept."""
    odd = keeper(tmp_path)
    assert [odd.keep(part) for part in (KeptPart("reject", b"{}"), kept_part(2))] == [False, True]
    assert (odd.dropped, seqs(tmp_path)) == (1, [2])


def test_an_exchanged_root_is_opened_anew(tmp_path: Path) -> None:
    """The folder was moved away: the next part begins a new archive at its place."""
    root = tmp_path / "archive"
    moved = keeper(root)
    assert moved.keep(kept_part(1))
    root.rename(tmp_path / "old")
    assert moved.keep(kept_part(2))
    assert (seqs(tmp_path / "old"), seqs(root)) == ([1], [2])


def test_too_much_goes_in_small_bites(tmp_path: Path) -> None:
    """Of 100 parts of 16 KiB, 1 MB may stay: samples go, a few with each step, rejects and the rest remain."""
    rejects, samples = range(60), range(60, 100)
    with ArchiveWriter(tmp_path) as writer:
        for number in rejects:
            writer.write(kept_part(number))
        sizes = [writer.write(kept_part(number, "sample")).bytes for number in samples]
    bounded = keeper(tmp_path, keep_mb=1)
    bounded.tend()
    assert len(seqs(tmp_path)) == 96
    for _ in range(20):
        bounded.tend()
    assert sizes[0] == 16_384
    assert seqs(tmp_path) == [*rejects, samples[-1]]


def test_the_old_go(tmp_path: Path) -> None:
    """A day and an hour later, a part that may stay for a day is gone."""
    clock = HandClock()
    dated = keeper(tmp_path, clock, keep_days=1)
    assert dated.keep(kept_part(1))
    assert seqs(tmp_path) == [1]
    clock.us += 25 * HOUR_US + 1
    dated.tend()
    assert seqs(tmp_path) == []


def test_leftovers_go_at_the_start(tmp_path: Path) -> None:
    """What a kill left half written is removed before the first part comes."""
    ArchiveWriter(tmp_path).close()
    (tmp_path / ".unfinished" / "half").mkdir(parents=True)
    keeper(tmp_path).tend()
    assert not (tmp_path / ".unfinished").exists()


OFFER_FOR_EVER = """
import itertools, pathlib, sys
from edge.inspector.archiver import Archiver
from edge.settings import ArchiveSettings
from tests.support.archived import kept_part
archiver = Archiver(ArchiveSettings(path=pathlib.Path(sys.argv[1])), {}, "line1")
archiver.start()
for seq in itertools.count(1):
    archiver.offer(kept_part(seq))
    if archiver.kept:
        print(seq, flush=True)
"""


def test_it_ends_with_the_inspector(tmp_path: Path) -> None:
    """The inspector is killed: its keeper ends by itself and gives the archive back, every part whole."""
    with subprocess.Popen([sys.executable, "-c", OFFER_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE) as inspector:
        assert inspector.stdout is not None
        assert inspector.stdout.readline()
        inspector.kill()
    ArchiveWriter(tmp_path, wait_s=60).close()
    parts = list(read_archive(tmp_path))
    assert parts
    assert all(part.image("cam1").any() for part in parts)


def test_a_part_arrives_as_it_was_sent() -> None:
    """Two parts through one pipe, grey and colour, with and without labels; then the end, also in the middle of one."""
    colours = KeptView("cam2", np.random.default_rng(1).integers(0, 255, (5, 6, 3), np.uint8))
    parts = (KeptPart("sample", b"{}", (*kept_part(1).views, colours)), KeptPart("unknown", b"{}"))
    pipe = io.BytesIO()
    for part in parts:
        send_part(pipe, part)
    pipe.seek(0)
    for part in parts:
        arrived = receive_part(pipe)
        assert arrived is not None
        assert (arrived.reason, arrived.verdict) == (part.reason, part.verdict)
        for view, sent in zip(arrived.views, part.views, strict=True):
            assert (view.camera, view.encoding, view.payload) == (sent.camera, sent.encoding, sent.payload)
            assert np.array_equal(view.image, sent.image)
    assert receive_part(pipe) is None
    assert receive_part(io.BytesIO(pipe.getvalue()[:200])) is None
