"""The archive's thread in the inspector: never in the way, never raises, counts what it drops."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from edge.archive import ArchiveWriter, read_archive
from edge.errors import ConfigurationError
from edge.inspector.archiver import MOST_PARTS, Archiver, gates_from_recipes
from edge.recipe import RecipeFile, Recipes
from edge.records import Outcome
from edge.rules import ClassLimits, Recipe
from edge.settings import ArchiveSettings
from tests.support.archived import GATES, kept_part, verdict, view


def archiver(root: Path, **changes: Any) -> Archiver:
    return Archiver(ArchiveSettings(path=root, **changes), GATES, "line1")


def limits(name: str, gate: float) -> ClassLimits:
    return ClassLimits(name=name, gate=gate, threshold=0.5, min_area_px=1, min_peak=0, max_count=0)


def seqs(root: Path) -> list[int]:
    return [part.verdict.seq for part in read_archive(root)]


def end(thread: Archiver) -> None:
    thread.stop()
    thread.join(60)
    assert not thread.is_alive()


def test_the_thread_writes_all_that_was_offered_before_it_ends(tmp_path: Path) -> None:
    """Twenty parts, stop at once: twenty parts on disk, and the archive is free for the next writer."""
    thread = archiver(tmp_path)
    thread.start()
    assert all(thread.offer(kept_part(n)) for n in range(20))
    end(thread)
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
    """Nobody writes: the queue takes so many parts, each further one is refused at once; what was taken is written."""
    slow = archiver(tmp_path)
    taken = [slow.offer(kept_part(n, with_pixels=False)) for n in range(MOST_PARTS + 3)]
    assert taken == [True] * MOST_PARTS + [False] * 3
    assert slow.dropped == 3
    slow.start()
    end(slow)
    assert (slow.kept, slow.dropped) == (MOST_PARTS, 3)


def test_the_queue_is_bounded_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second part that does not fit is refused; one that is larger than the bound by itself is taken."""
    monkeypatch.setattr("edge.inspector.archiver.MOST_BYTES", kept_part(1).held_bytes - 1)
    slow = archiver(tmp_path)
    assert slow.offer(kept_part(1))
    assert not slow.offer(kept_part(2, with_pixels=False))
    slow.start()
    end(slow)
    assert slow.offer(kept_part(2, with_pixels=False))


def test_a_killed_keeper_costs_what_it_had_in_hand(tmp_path: Path) -> None:
    """The process that writes is killed: at most one part is lost and counted, the next one has a new process."""
    thread = archiver(tmp_path)
    thread._start_keeper()
    keeper = thread._keeper
    assert keeper is not None
    os.kill(keeper.pid, signal.SIGKILL)
    keeper.wait()
    for number in (1, 2, 3):
        thread._hand_over(kept_part(number))
    thread._end_keeper()
    assert (seqs(tmp_path), thread.kept, thread.dropped) == ([2, 3], 2, 1)


def test_a_disk_that_refuses_is_counted(tmp_path: Path) -> None:
    """A file lies where the folder should be: nothing is raised, both parts are counted as dropped."""
    (tmp_path / "archive").write_text("in the way")
    thread = archiver(tmp_path / "archive")
    thread.start()
    assert thread.offer(kept_part(1))
    assert thread.offer(kept_part(2))
    end(thread)
    assert (thread.kept, thread.dropped) == (0, 2)


def test_a_process_that_cannot_be_started_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process, no archive: parts are counted as dropped, inspection does not notice."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
    thread = archiver(tmp_path)
    thread.start()
    assert thread.offer(kept_part(1))
    end(thread)
    assert (thread.kept, thread.dropped) == (0, 1)


def test_without_a_path_there_is_no_archiver() -> None:
    """Settings without a folder are the engineer's fault, and said so."""
    with pytest.raises(ConfigurationError, match=r"archive\.path"):
        Archiver(ArchiveSettings(), GATES, "line1")


def test_gates_are_those_of_the_recipe() -> None:
    """By camera and class name, as they decide."""
    by_camera = {"cam1": Recipe(classes=(limits("pits", gate=0.3), limits("cracks", gate=0.6)), mm_per_px=None)}
    recipes = Recipes(RecipeFile(name="steel", author="me"), by_camera)
    assert gates_from_recipes(recipes) == {"cam1": {"pits": 0.3, "cracks": 0.6}}
