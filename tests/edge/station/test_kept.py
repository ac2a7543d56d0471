"""Small things that outlive a restart: whole or not at all, and never guessed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.errors import ConfigurationError
from edge.station.kept import KeptFile


class Note(msgspec.Struct, frozen=True):
    text: str


def test_what_was_written_is_read_after_a_restart(tmp_path: Path) -> None:
    """And nothing, when nothing was written or it was taken away."""
    note = KeptFile(tmp_path, "note.json", Note)
    assert note.read() is None
    assert note.write(Note("a")) == ""
    assert KeptFile(tmp_path, "note.json", Note).read() == Note("a")
    assert note.write(None) == ""
    assert note.read() is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """In one line that names the file."""
    assert "note.json: cannot be written" in KeptFile(tmp_path / "gone", "note.json", Note).write(Note("a"))


@pytest.mark.parametrize("content", [b"", b"{", b'{"text": 1}', b"[" * 100_000, b"\xff"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """What was in force is not known: a guess could pass what must not pass."""
    (tmp_path / "note.json").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"note\.json: cannot be read .*; remove it"):
        KeptFile(tmp_path, "note.json", Note).read()


def test_a_file_that_may_not_be_looked_at_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state directory of another user's: one line, as of any other file that cannot be read."""

    def refuse(path: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    for look in ("stat", "read_bytes"):
        monkeypatch.setattr(Path, look, refuse)
    with pytest.raises(ConfigurationError, match=r"note\.json: cannot be read .*Permission denied"):
        KeptFile(tmp_path, "note.json", Note).read()


def test_without_a_folder_nothing_is_kept() -> None:
    """A station without a journal forgets."""
    note = KeptFile(None, "note.json", Note)
    assert note.write(Note("a")) == ""
    assert note.read() is None
