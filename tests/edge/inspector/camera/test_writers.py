"""Whether a file is still open for writing, and on which drives that is known."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from edge.inspector.camera import writers
from edge.inspector.camera.writers import is_local, is_written

MOUNTS = """\
1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
2 1 0:40 / {folder}/a\\040share rw - cifs //server/share rw
3 1 0:41 / {folder}/twice rw - nfs4 server:/ rw
4 1 0:42 / {folder}/twice rw master:3 - tmpfs tmpfs rw
"""


def test_a_file_that_is_open_for_writing_is_told(tmp_path: Path) -> None:
    """And only as long; readers do not count, nor does looking leave anything behind."""
    path = tmp_path / "a"
    if not is_local(tmp_path):
        pytest.skip(f"{tmp_path} lies on no local drive")
    with path.open("wb"):
        assert is_written(path) is True
    with path.open("rb") as reader:
        assert is_written(path) is False
        assert fcntl.fcntl(reader, fcntl.F_GETLEASE) == fcntl.F_UNLCK
    with path.open("r+b"):
        assert is_written(path) is True


def test_what_cannot_be_told_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such file; one of another user, of which the kernel tells nothing."""
    assert is_written(tmp_path / "none") is None
    (tmp_path / "a").touch()

    def refuse(*_: object) -> int:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    assert is_written(tmp_path / "a") is None


def test_the_kind_of_drive_is_that_of_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The innermost one, the topmost of two; a link counts as where it leads; names may have spaces."""
    for name in ("here", "a share", "twice"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a share")
    (tmp_path / "mounts").write_text(MOUNTS.format(folder=tmp_path))
    monkeypatch.setattr(writers, "_MOUNTS", tmp_path / "mounts")
    found = {name: is_local(tmp_path / name) for name in ("here", "a share", "twice", "link")}
    assert found == {"here": True, "a share": False, "twice": True, "link": False}
    with pytest.raises(FileNotFoundError):
        is_local(tmp_path / "none")
