"""Picture files, whole and broken."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import DataError
from tests.support.labelled import square_picture
from training.data.images import picture_files, read_image, read_mask


def test_pictures_are_read_as_the_format_says(tmp_path: Path) -> None:
    """A colour picture becomes one channel for mono8 and stays three for bgr8."""
    colours = np.zeros((4, 5, 3), np.uint8)
    colours[..., 0] = 200
    cv2.imwrite(str(tmp_path / "c.png"), colours)
    assert read_image(tmp_path / "c.png", "mono8").shape == (4, 5)
    assert (read_image(tmp_path / "c.png", "bgr8") == colours).all()


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "jpg", "webp", "pgm"])
def test_a_whole_file_is_read_as_opencv_reads_it(tmp_path: Path, suffix: str) -> None:
    """What is checked beside the decoding changes no pixel."""
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), square_picture(1, 4)[0])
    assert (read_image(path, "mono8") == cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)).all()
    assert (read_image(path, "bgr8") == cv2.imread(str(path), cv2.IMREAD_COLOR)).all()


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "jpg", "webp", "pgm"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_file_that_is_cut_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    """A copy that broke off is refused, although a decoder may fill what is missing with grey."""
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), square_picture(1, 4)[0])
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"a\.{suffix}: (cut or damaged|not a picture)"):
        read_image(path, "mono8")


def test_a_thumbnail_inside_does_not_hide_the_cut(tmp_path: Path) -> None:
    """A JPEG that holds a whole small JPEG in its head has an end marker, and is cut all the same."""
    whole = cv2.imencode(".jpg", square_picture(1, 4)[0])[1].tobytes()
    small = cv2.imencode(".jpg", square_picture(1, 4, 30, 40)[0])[1].tobytes()
    head = whole[:2] + b"\xff\xe5" + (len(small) + 2).to_bytes(2, "big") + small
    path = tmp_path / "a.jpg"
    path.write_bytes(head + whole[2:])
    assert read_image(path, "mono8").shape == (90, 130)
    path.write_bytes(head + whole[2 : len(whole) // 2])
    with pytest.raises(DataError, match="cut or damaged"):
        read_image(path, "mono8")


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_a_picture_of_16_bits_is_refused(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    """It is not scaled behind anybody's back: the line sees 8 bits, by a scale that only the engineer knows."""
    deep = np.full(shape, 700, np.uint16)
    deep[0, 0] = 4095
    cv2.imwrite(str(tmp_path / f"deep.{suffix}"), deep)
    for pixel_format in ("mono8", "bgr8"):
        with pytest.raises(DataError, match=r"uint16 pixels from \d+ to \d+, expected 8 bits.*one fixed scale"):
            read_image(tmp_path / f"deep.{suffix}", pixel_format)


def test_a_mask_of_16_bits_or_cut_is_refused(tmp_path: Path) -> None:
    """Masks are held to the same, and to one channel."""
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), np.full((4, 5), 255, np.uint16))
    with pytest.raises(DataError, match="1 channels of uint16"):
        read_mask(path)
    cv2.imwrite(str(path), square_picture(1, 3)[1])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"mask\.png: not a picture that can be decoded"):
        read_mask(path)


def test_picture_files_are_told_by_their_names(tmp_path: Path) -> None:
    """Files of other kinds that systems leave behind are no pictures; folders are looked into."""
    for name in ("b.PNG", "a.jpeg", "Thumbs.db", "sub/c.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in picture_files(tmp_path)] == ["a.jpeg", "b.PNG", "c.tif"]
