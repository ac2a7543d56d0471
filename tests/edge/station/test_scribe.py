"""Small files written behind the loop's back: it waits for no disk, and learns what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge.station import kept as kept_module
from edge.station import scribe as module
from edge.station.kept import KeptFile
from edge.station.scribe import EventualFile, Scribe

PATIENCE_S = 30.0


class Note(msgspec.Struct, frozen=True):
    text: str


class SlowDisk:
    """Holds up each write until it is told to go on, and refuses as long as *fault* is set."""

    def __init__(self) -> None:
        self.goes_on, self.asked = threading.Event(), threading.Event()
        self.fault = ""
        self.writes: list[object] = []

    def write(self, file: KeptFile[Note], value: Note | None) -> str:
        self.asked.set()
        assert self.goes_on.wait(PATIENCE_S)
        self.writes.append(value)
        return self.fault


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    disk = SlowDisk()
    monkeypatch.setattr(KeptFile, "write", lambda file, value: disk.write(file, value))
    yield disk
    disk.goes_on.set()


def _until(scribe: Scribe, wanted: Callable[[], bool]) -> None:
    with scribe._news:
        assert scribe._news.wait_for(wanted, PATIENCE_S)


def test_what_was_handed_over_is_written(tmp_path: Path) -> None:
    """And read after a restart; None removes it."""
    scribe = Scribe()
    note = EventualFile(tmp_path, "note.json", Note, scribe)
    assert note.write(Note("a")) == ""
    assert scribe.close()
    assert (note.durable, note.fault) == (True, "")
    assert EventualFile(tmp_path, "note.json", Note).read() == Note("a")
    note.write(None)
    assert scribe.close()
    assert note.read() is None


def test_a_disk_that_hangs_holds_nobody_up(disk: SlowDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither who writes nor who ends; of what waits meanwhile the newest is written."""
    monkeypatch.setattr(module, "_CLOSE_S", 0.01)
    monkeypatch.setattr(module, "_LATE_S", 0.01)
    scribe = Scribe()
    note = EventualFile(tmp_path, "note.json", Note, scribe)
    note.write(Note("a"))
    assert disk.asked.wait(PATIENCE_S)
    for text in "bcd":
        note.write(Note(text))
    assert not scribe.close()
    assert not note.durable
    disk.goes_on.set()
    _until(scribe, lambda: note.durable)
    assert disk.writes == [Note("a"), Note("d")]


def test_the_end_waits_for_what_is_not_late_yet(
    disk: SlowDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is slow takes the last write of a station that has stopped within a moment."""
    monkeypatch.setattr(module, "_CLOSE_S", 0.0)
    monkeypatch.setattr(module, "_LATE_S", PATIENCE_S)
    scribe = Scribe()
    EventualFile(tmp_path, "note.json", Note, scribe).write(Note("a"))
    assert disk.asked.wait(PATIENCE_S)
    late = threading.Timer(0.02, disk.goes_on.set)
    late.start()
    assert scribe.close()
    late.join()


def test_a_disk_that_refuses_is_asked_again(disk: SlowDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault is known until the disk takes it; nobody has to ask for that."""
    monkeypatch.setattr(module, "_RETRY_S", 0.001)
    scribe = Scribe()
    note = EventualFile(tmp_path, "note.json", Note, scribe)
    disk.fault = "note.json: cannot be written"
    disk.goes_on.set()
    note.write(Note("a"))
    _until(scribe, lambda: note.fault != "")
    assert not note.durable
    disk.fault = ""
    _until(scribe, lambda: note.durable)
    assert note.fault == ""
    assert set(disk.writes) == {Note("a")}


def test_one_file_does_not_wait_for_another_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is gone keeps only its own file from being written."""
    monkeypatch.setattr(module, "_RETRY_S", 0.001)
    scribe = Scribe()
    lost = EventualFile(tmp_path / "gone", "note.json", Note, scribe)
    kept = EventualFile(tmp_path, "note.json", Note, scribe)
    lost.write(Note("a"))
    kept.write(Note("b"))
    _until(scribe, lambda: kept.durable and lost.fault != "")
    assert not lost.durable
    lost.write(None)  # Nothing is left to be tried for ever.
    (tmp_path / "gone").mkdir()
    _until(scribe, lambda: lost.durable)


def test_a_write_that_takes_too_long_is_a_fault(
    disk: SlowDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known of it but that, and whoever has to know waits for it no longer than he says."""
    monkeypatch.setattr(module, "_LATE_S", 0.0)
    scribe = Scribe()
    note = EventualFile(tmp_path, "note.json", Note, scribe)
    assert "note.json: not written for" in note.write(Note("a"), within_s=0.001)
    disk.goes_on.set()
    assert note.write(Note("b"), within_s=None) == ""
    assert note.durable


@pytest.mark.parametrize("scribe", [None, Scribe()])
def test_what_may_not_stay_is_removed_where_nothing_can_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scribe: Scribe | None
) -> None:
    """A full disk takes no file that says that something failed: then none says that it was well."""
    note = EventualFile(tmp_path, "note.json", Note, scribe)
    note.write(Note("passed"), within_s=None)
    monkeypatch.setattr(kept_module, "_replace", _full)
    assert "No space left" in note.write(Note("failed"), or_remove=True, within_s=None)
    assert EventualFile(tmp_path, "note.json", Note).read() is None
    note.write(None)


def _full(path: Path, data: bytes) -> None:
    raise OSError(28, "No space left on device")


def test_without_a_scribe_it_is_written_at_once(tmp_path: Path) -> None:
    """Then the caller learns of a fault at once, and tries again himself."""
    note = EventualFile(tmp_path / "gone", "note.json", Note)
    assert "cannot be written" in note.write(Note("a"))
    assert not note.durable
    (tmp_path / "gone").mkdir()
    assert note.write(Note("a")) == ""
    assert (note.durable, note.fault, note.read()) == (True, "", Note("a"))
