"""The mark of what was answered: found again by the next process, and no harm where it cannot be written."""

from __future__ import annotations

from pathlib import Path

from edge.inspector.camera.mark import Mark, point_of


def test_it_is_found_again(tmp_path: Path) -> None:
    """It never goes back; each camera's pattern has its own; others are not disturbed."""
    mark = Mark(tmp_path, "*")
    assert mark.read() is None
    assert mark.open((5, 1))
    for point in ((7, 3), (6, 9), None):
        mark.move(point)
    assert Mark(tmp_path, "*").read() == (7, 3)
    assert Mark(tmp_path, "a*").read() is None
    mark.close()
    mark.move((9, 9))
    assert mark.read() == (7, 3)
    assert mark.open((2, 2))
    assert mark.read() == (2, 2)
    mark.close()


def test_it_stays_before_what_waits(tmp_path: Path) -> None:
    """What was answered meanwhile counts when that one was; of one moment, that one alone."""
    mark = Mark(tmp_path, "*")
    mark.open((5, 1))
    mark.move((9, 3), waits=(7, 2))
    assert mark.read() == (7, 0)
    mark.move((7, 2), waits=(9, 4))
    assert mark.read() == (9, 3)
    mark.move((8, 1))
    assert mark.read() == (9, 3)


def test_what_is_no_mark_is_not_believed(tmp_path: Path) -> None:
    """Somebody else's file, or half of ours."""
    mark = Mark(tmp_path, "*")
    mark.open((1, 1))
    mark.close()
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:30])
    assert mark.read() is None


def test_where_nothing_can_be_written_there_is_none(tmp_path: Path) -> None:
    """A folder of somebody else; and what is gone stands nowhere."""
    mark = Mark(tmp_path / "none", "*")
    assert not mark.open((1, 1))
    mark.move((2, 2))
    assert mark.read() is None
    assert point_of(tmp_path / "none") is None
