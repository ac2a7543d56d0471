"""The state directory: one station at a time, and a clear word when it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from edge.station.folder import Folder, set_aside


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    """The first start of a station needs no preparation."""
    Folder(tmp_path / "a" / "b").release()
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    """With the key to mend."""
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigurationError, match=r"state_dir = .*no directory"):
        Folder(tmp_path / "state")


def test_a_replaced_folder_is_taken_again(tmp_path: Path) -> None:
    """The new one is held like the old one; while there is none, that is told."""
    path = tmp_path / "state"
    folder = Folder(path)
    path.rename(tmp_path / "old")
    with pytest.raises(FileNotFoundError):
        folder.renew()
    path.mkdir()
    folder.renew()
    folder.renew()
    with pytest.raises(ConfigurationError, match="another station"):
        Folder(path)
    folder.release()
    Folder(path).release()


def test_a_replaced_folder_that_somebody_else_took_is_not_ours(tmp_path: Path) -> None:
    """Two stations never write into one folder."""
    path = tmp_path / "state"
    folder = Folder(path)
    path.rename(tmp_path / "old")
    other = Folder(path)
    with pytest.raises(BlockingIOError):
        folder.renew()
    other.release()
    folder.release()


def test_a_log_goes_with_its_file(tmp_path: Path) -> None:
    """Left behind it would be taken for the next file's; nothing there is nothing moved."""
    path = tmp_path / "journal.sqlite"
    assert set_aside(path, 0) is None
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"journal.sqlite{suffix}").write_text(suffix)
    aside = set_aside(path, 0)
    assert aside == tmp_path / "journal.sqlite.damaged-19700101T000000Z"
    assert aside.with_name(f"{aside.name}-wal").read_text() == "-wal"
    assert len(list(tmp_path.iterdir())) == 3
