"""engines.calibration_set: pictures to quantise with, and others to measure the guard band on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.archive import ArchiveWriter
from edge.errors import DataError
from engines.calibration_set import LEAST_PICTURES, read_calibration_set
from tests.support.archived import kept_part, pixels
from tests.support.records import manifest

SIZE = (40, 50)
MANIFEST = manifest()


def image(seed: int, height: int = SIZE[0], width: int = SIZE[1]) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (height, width), np.uint8)


def write(folder: Path, count: int, first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        cv2.imwrite(str(folder / f"{number:03}.png"), image(number))
    return folder


def test_a_third_calibrates_and_the_rest_measures(tmp_path: Path) -> None:
    """No picture is in both parts, none is lost."""
    found = read_calibration_set(write(tmp_path, 30), MANIFEST, [SIZE])
    assert (len(found.calibration), len(found.guard)) == (10, 20)
    names = [picture.name for picture in (*found.calibration, *found.guard)]
    assert sorted(names) == [f"{number:03}.png" for number in range(30)]
    assert [frame.shape for frame in found.guard_frames()] == [(*SIZE, 1)] * 20


def test_parts_depend_on_pixels_and_not_on_names(tmp_path: Path) -> None:
    """The same pictures under other names are parted alike; a picture that is there twice counts once."""
    write(tmp_path / "one", 30)
    for path in (tmp_path / "one").iterdir():
        other = tmp_path / "other" / f"x{999 - int(path.stem)}.png"
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(path.read_bytes())
    (tmp_path / "other" / "again.png").write_bytes((tmp_path / "one" / "004.png").read_bytes())
    one, other_set = (read_calibration_set(tmp_path / name, MANIFEST, [SIZE]) for name in ("one", "other"))
    for part in ("calibration", "guard"):
        first, second = ([p.read().tobytes() for p in getattr(found, part)] for found in (one, other_set))
        assert first == second


def test_data_set_gives_its_pictures_and_not_its_masks(tmp_path: Path) -> None:
    """Of the folder layout only images/ is taken."""
    write(tmp_path / "images", 24)
    write(tmp_path / "masks", 24, first=100)
    found = read_calibration_set(tmp_path, MANIFEST, [SIZE])
    assert len(found.calibration) + len(found.guard) == 24


def test_archive_gives_parts_that_were_judged(tmp_path: Path) -> None:
    """A station's archive is read through its reader; an UNKNOWN may show anything, and is left out."""
    with ArchiveWriter(tmp_path) as writer:
        for number in range(1, 26):
            writer.write(kept_part(number))
        writer.write(kept_part(40, "unknown"))
    size = pixels(1)[0].shape[:2]
    found = read_calibration_set(tmp_path, MANIFEST, [size])
    assert len(found.calibration) + len(found.guard) == len({pixels(n)[0].tobytes() for n in range(1, 26)})
    assert {picture.read().shape for picture in found.guard} == {(*size, 1)}


def test_tiles_come_by_the_one_grid_as_many_of_each_picture(tmp_path: Path) -> None:
    """Whole pictures where there is room, else some tiles of each, and not always the first."""
    found = read_calibration_set(write(tmp_path, 24), MANIFEST, [SIZE])
    tile = MANIFEST.tile
    assert found.tiles(MANIFEST).shape == (8 * 12, tile.height, tile.width, 1)
    some = found.tiles(MANIFEST, most=16)
    assert len(some) == 16
    corner = found.calibration[0].read()[: tile.core_height, : tile.core_width]
    assert (some[0, tile.halo : -tile.halo, tile.halo : -tile.halo] == corner).all()
    assert (some[0, : tile.halo] == MANIFEST.pad_value).all()
    assert not (some[2, : tile.halo, tile.halo : -tile.halo, 0] != MANIFEST.pad_value).all()
    assert len(found.tiles(MANIFEST, most=3)) <= 3


@pytest.mark.parametrize("count", [0, LEAST_PICTURES - 1])
def test_too_few_pictures_are_refused(tmp_path: Path, count: int) -> None:
    """The line says how many there are, and how many were expected."""
    with pytest.raises(DataError, match=f": {count} different pictures, expected {LEAST_PICTURES} or more"):
        read_calibration_set(write(tmp_path, count), MANIFEST, [SIZE])


def test_copies_are_no_pictures_of_their_own(tmp_path: Path) -> None:
    """Twenty-four copies of one picture are one."""
    for number in range(24):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image(1))
    with pytest.raises(DataError, match=f": 1 different pictures, expected {LEAST_PICTURES}"):
        read_calibration_set(tmp_path, MANIFEST, [SIZE])


def test_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    """The line says how many, names one, and says what was expected."""
    write(tmp_path, 24)
    for name in ("100.png", "101.png"):
        cv2.imwrite(str(tmp_path / name), image(7, 30, 50))
    with pytest.raises(DataError, match=r"2 of 26 .*, the first 100.png 30x50x1: expected 40x50 px .*, mono8") as told:
        read_calibration_set(tmp_path, MANIFEST, [SIZE])
    assert "\n" not in str(told.value)
    assert read_calibration_set(tmp_path, MANIFEST, [SIZE, (30, 50)])


def test_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """What was expected is told."""
    with pytest.raises(DataError, match="no such folder; expected pictures, a data set or a station's archive"):
        read_calibration_set(tmp_path / "none", MANIFEST, [SIZE])


def test_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    """It is named, and never passed over."""
    write(tmp_path, 24)
    (tmp_path / "010.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"010\.png: no picture of 8 bits"):
        read_calibration_set(tmp_path, MANIFEST, [SIZE])
