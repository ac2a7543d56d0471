"""What was offered comes back, and damage is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.archive import ArchiveWriter, KeptPart, KeptView, read_archive
from edge.errors import ArchiveError
from tests.support.archived import CLASS_NAMES, HOUR_US, NOON_US, kept_part, kept_view, pixels, verdict


def write(root: Path, *parts: KeptPart) -> list[Path]:
    """Return the folders of *parts*, written to *root*."""
    with ArchiveWriter(root) as writer:
        return [writer.write(part).folder for part in parts]


def test_it_comes_back_as_it_was_offered(tmp_path: Path) -> None:
    """Verdict, reason, class names, every pixel and every label."""
    write(tmp_path, kept_part(3))
    (part,) = read_archive(tmp_path)
    assert part.verdict == msgspec.json.decode(kept_part(3).verdict, type=type(part.verdict))
    assert (part.record.reason, part.record.pixels, part.record.class_names) == ("reject", True, CLASS_NAMES)
    image, labels = pixels(3)
    found = part.labels("cam1")
    assert found is not None
    assert (part.image("cam1") == image).all()
    assert (found == labels).all()


def test_colours_and_several_cameras(tmp_path: Path) -> None:
    """Each camera has its own files; a name that ends like a file's is no trap; a view may have no labels."""
    colours = np.random.default_rng(1).integers(0, 255, (20, 30, 3), np.uint8)
    grey = colours[..., :1]
    views = (KeptView("a", colours), KeptView("a.mask", grey), kept_view(1, "a.frame"))
    write(tmp_path, KeptPart("reject", kept_part(1).verdict, views))
    (part,) = read_archive(tmp_path)
    assert part.cameras == ("a", "a.mask", "a.frame")
    assert (part.image("a") == colours).all()
    assert (part.image("a.mask") == grey[..., 0]).all()
    assert part.labels("a") is None
    with pytest.raises(ArchiveError, match="no picture of camera 'b'; it has a, "):
        part.image("b")


def test_a_part_without_pixels_says_so(tmp_path: Path) -> None:
    """The inspector died: the record remains, and says that there is no picture."""
    write(tmp_path, kept_part(1, "unknown", with_pixels=False))
    (part,) = read_archive(tmp_path)
    assert (part.record.pixels, part.cameras) == (False, ())


def test_parts_come_in_order_of_time(tmp_path: Path) -> None:
    """Whatever their epochs and numbers are, the time of the verdict orders them."""
    times = [(9, 1, NOON_US - HOUR_US), (3, 2, NOON_US), (1, 9, NOON_US + 5), (2, 1, NOON_US + 13 * HOUR_US)]
    write(tmp_path, *(kept_part(seq, epoch=epoch, utc_us=utc_us) for seq, epoch, utc_us in reversed(times)))
    assert [part.verdict.seq for part in read_archive(tmp_path)] == [9, 3, 1, 2]


def flip(name: str) -> Callable[[Path], None]:
    """Return what changes one byte in the middle of a file."""

    def spoil(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data)

    return spoil


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-1])  # type: ignore[func-returns-value]


DAMAGE: dict[str, Callable[[Path], None]] = {
    "record cut": cut("record.json"),
    "record empty": lambda folder: (folder / "record.json").write_bytes(b""),  # type: ignore[func-returns-value]
    "record gone": lambda folder: (folder / "record.json").unlink(),
    "verdict flipped": flip("record.json"),
    "frame cut": cut("cam1.frame.png"),
    "frame gone": lambda folder: (folder / "cam1.frame.png").unlink(),
    "mask gone": lambda folder: (folder / "cam1.mask.png").unlink(),
    "folder renamed": lambda folder: folder.rename(folder.with_name("mine")),  # type: ignore[func-returns-value]
    "number changed": lambda folder: folder.rename(folder.with_name("0000000077-000000000005-reject")),  # type: ignore[func-returns-value]
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_part_is_named(tmp_path: Path, damage: str) -> None:
    """It is an error, or a line among the faults while the others are read."""
    _, folder, _ = write(tmp_path, *(kept_part(n) for n in (1, 2, 3)))
    DAMAGE[damage](folder)
    with pytest.raises(ArchiveError, match=str(folder.parent)):
        list(read_archive(tmp_path))
    faults: list[str] = []
    assert [part.verdict.seq for part in read_archive(tmp_path, faults)] == [1, 3]
    assert len(faults) == 1


@pytest.mark.parametrize("name", ["cam1.frame.png", "cam1.mask.png"])
def test_changed_pixels_are_refused(tmp_path: Path, name: str) -> None:
    """One bit of a picture or mask: its hash is not the record's."""
    (folder,) = write(tmp_path, kept_part(1))
    flip(name)(folder)
    (part,) = read_archive(tmp_path)
    with pytest.raises(ArchiveError, match="SHA-256"):
        part.image("cam1") if "frame" in name else part.labels("cam1")
    with pytest.raises(ArchiveError, match="SHA-256"):
        part.paths("cam1")


def test_a_folder_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    """Without archive.json nothing is guessed."""
    with pytest.raises(ArchiveError, match=r"archive\.json: cannot be read"):
        next(read_archive(tmp_path))


def test_foreign_files_in_the_root_are_left_alone(tmp_path: Path) -> None:
    """A note, a lost+found: not the archive's, neither read nor a fault."""
    write(tmp_path, kept_part(1))
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "README").write_text("mine")
    assert verdict(1).seq == next(read_archive(tmp_path)).verdict.seq
