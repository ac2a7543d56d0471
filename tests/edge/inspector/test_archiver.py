"""The archive's thread: never in the way, never raises, keeps what it can."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from edge.archive import ArchiveWriter, KeptPart, read_archive
from edge.errors import ConfigurationError
from edge.inspector.archiver import MOST_PARTS, Archiver, gates_from_recipes
from edge.recipe import RecipeFile, Recipes
from edge.records import Outcome
from edge.rules import ClassLimits, Recipe
from edge.settings import ArchiveSettings
from tests.support.archived import GATES, HOUR_US, NOON_US, kept_part, verdict, view


class HandClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.us = NOON_US

    def now_us(self) -> int:
        return self.us

    def utc_us(self) -> int:
        return self.us


def archiver(root: Path, clock: HandClock | None = None, **changes: Any) -> Archiver:
    """Return an archiver that is not started: step() does its work here."""
    return Archiver(ArchiveSettings(path=root, **changes), GATES, "line1", clock or HandClock())


def limits(name: str, gate: float) -> ClassLimits:
    return ClassLimits(name=name, gate=gate, threshold=0.5, min_area_px=1, min_peak=0, max_count=0)


def seqs(root: Path) -> list[int]:
    return [part.verdict.seq for part in read_archive(root)]


def test_the_thread_writes_all_that_was_offered_before_it_ends(tmp_path: Path) -> None:
    """Twenty parts, stop at once: twenty parts on disk, and the archive is free for the next writer."""
    thread = archiver(tmp_path)
    thread.start()
    assert all(thread.offer(kept_part(n)) for n in range(20))
    thread.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert (seqs(tmp_path), thread.kept, thread.dropped) == (list(range(20)), 20, 0)
    ArchiveWriter(tmp_path).close()


def test_it_wants_what_the_settings_say(tmp_path: Path) -> None:
    """Shares come from the settings, gates from the recipe, the present one."""
    keen = archiver(tmp_path, pass_share=1.0, near_miss=0.2)
    assert keen.wants(verdict(1)) == "sample"
    assert keen.wants(verdict(1, Outcome.REJECT)) == "reject"
    near = verdict(1, views=(view(scores={"bright": 0.35}),))
    assert keen.wants(near) == "near_miss"
    keen.use({"cam1": {"bright": 0.9}})
    assert keen.wants(near) == "sample"
    assert archiver(tmp_path, pass_share=0.0).wants(verdict(1)) is None


def test_a_full_queue_drops_and_counts(tmp_path: Path) -> None:
    """Nobody writes: the queue takes so many parts, each further one is refused at once."""
    slow = archiver(tmp_path)
    taken = [slow.offer(kept_part(n, with_pixels=False)) for n in range(MOST_PARTS + 3)]
    assert taken == [True] * MOST_PARTS + [False] * 3
    assert slow.dropped == 3
    assert slow.step(0)
    assert slow.offer(kept_part(999))


def test_the_queue_is_bounded_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second part that does not fit is refused; one that is larger than the bound by itself is taken."""
    monkeypatch.setattr("edge.inspector.archiver.MOST_BYTES", kept_part(1).held_bytes - 1)
    slow = archiver(tmp_path)
    assert slow.offer(kept_part(1))
    assert not slow.offer(kept_part(2, with_pixels=False))
    assert slow.step(0)
    assert slow.offer(kept_part(2, with_pixels=False))


def test_a_failing_disk_drops_parts_and_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file lies where the folder should be: dropped, counted, one line a minute; gone, the next part is kept."""
    root, clock = tmp_path / "archive", HandClock()
    root.write_text("in the way")
    failing = archiver(root, clock)
    with caplog.at_level(logging.WARNING):
        for number in range(10):
            assert failing.offer(kept_part(number))
            assert failing.step(0)
    assert (failing.kept, failing.dropped, len(caplog.records)) == (0, 10, 1)
    assert str(root) in caplog.text
    clock.us += 60_000_000
    failing.tend()
    assert len(caplog.records) == 2
    root.unlink()
    assert failing.offer(kept_part(10))
    assert failing.step(0)
    assert (failing.kept, failing.dropped, seqs(root)) == (1, 10, [10])


def test_a_part_that_cannot_be_stored_is_counted(tmp_path: Path) -> None:
    """A record that is no verdict is dropped; the next part is kept."""
    odd = archiver(tmp_path)
    for part in (KeptPart("reject", b"{}"), kept_part(2)):
        assert odd.offer(part)
        assert odd.step(0)
    assert (odd.kept, odd.dropped, seqs(tmp_path)) == (1, 1, [2])


def test_an_exchanged_root_is_opened_anew(tmp_path: Path) -> None:
    """The folder was moved away: the next part begins a new archive at its place."""
    root = tmp_path / "archive"
    moved = archiver(root)
    assert moved.offer(kept_part(1))
    assert moved.step(0)
    root.rename(tmp_path / "old")
    assert moved.offer(kept_part(2))
    assert moved.step(0)
    assert (seqs(tmp_path / "old"), seqs(root)) == ([1], [2])


def test_too_much_goes_in_small_bites(tmp_path: Path) -> None:
    """Of 100 parts of 16 KiB, 1 MB may stay: samples go, a few with each step, rejects and the rest remain."""
    rejects, samples = range(60), range(60, 100)
    with ArchiveWriter(tmp_path) as writer:
        for number in rejects:
            writer.write(kept_part(number))
        sizes = [writer.write(kept_part(number, "sample")).bytes for number in samples]
    bounded = archiver(tmp_path, keep_mb=1)
    bounded.tend()
    assert len(seqs(tmp_path)) == 96
    for _ in range(20):
        bounded.tend()
    assert sizes[0] == 16_384
    assert seqs(tmp_path) == [*rejects, samples[-1]]


def test_the_old_go(tmp_path: Path) -> None:
    """A day and an hour later, a part that may stay for a day is gone."""
    clock = HandClock()
    dated = archiver(tmp_path, clock, keep_days=1)
    assert dated.offer(kept_part(1))
    assert dated.step(0)
    assert seqs(tmp_path) == [1]
    clock.us += 25 * HOUR_US + 1
    dated.tend()
    assert seqs(tmp_path) == []


def test_leftovers_go_at_the_start(tmp_path: Path) -> None:
    """What a kill left half written is removed before the first part comes."""
    ArchiveWriter(tmp_path).close()
    (tmp_path / ".unfinished" / "half").mkdir(parents=True)
    archiver(tmp_path).tend()
    assert not (tmp_path / ".unfinished").exists()


def test_without_a_path_there_is_no_archiver() -> None:
    """Settings without a folder are the engineer's fault, and said so."""
    with pytest.raises(ConfigurationError, match=r"archive\.path"):
        Archiver(ArchiveSettings(), GATES, "line1")


def test_gates_are_those_of_the_recipe() -> None:
    """By camera and class name, as they decide."""
    by_camera = {"cam1": Recipe(classes=(limits("pits", gate=0.3), limits("cracks", gate=0.6)), mm_per_px=None)}
    recipes = Recipes(RecipeFile(name="steel", author="me"), by_camera)
    assert gates_from_recipes(recipes) == {"cam1": {"pits": 0.3, "cracks": 0.6}}
