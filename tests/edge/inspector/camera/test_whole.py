"""Wholeness of a picture's bytes: whatever is cut, or not written yet, is told from what is whole; in each format."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.inspector.camera.whole import Wholeness, wholeness

GREY: NDArray[np.uint8] = np.random.default_rng(1).integers(90, 160, (60, 81), np.uint8)
COLOUR: NDArray[np.uint8] = np.random.default_rng(2).integers(90, 160, (60, 81, 3), np.uint8)
PLAIN_TIFF, DEFLATED_TIFF = [cv2.IMWRITE_TIFF_COMPRESSION, 1], [cv2.IMWRITE_TIFF_COMPRESSION, 8]
PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 4]
LOSSY = [cv2.IMWRITE_WEBP_QUALITY, 80]
CASES: dict[str, tuple[str, list[int]]] = {
    "bmp": ("bmp", []),
    "jpeg": ("jpg", []),
    "jpeg, progressive": ("jpg", PROGRESSIVE),
    "png": ("png", []),
    "pnm": ("", []),
    "pnm as text": ("", [cv2.IMWRITE_PXM_BINARY, 0]),
    "tiff": ("tif", []),
    "tiff, plain": ("tif", PLAIN_TIFF),
    "tiff, deflated": ("tif", DEFLATED_TIFF),
    "webp": ("webp", []),
    "webp, lossy": ("webp", LOSSY),
}
ENDLESS = ("bmp", "pnm", "webp", "webp, lossy")
"""They begin with all that is known of their length, and have no mark at their end."""


def encoded(kind: str, image: NDArray[Any]) -> bytes:
    ending, options = CASES[kind]
    good, data = cv2.imencode(f".{ending or ('pgm' if image.ndim == 2 else 'ppm')}", image, options)
    assert good
    return data.tobytes()


@pytest.mark.parametrize("image", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("kind", CASES)
def test_what_is_missing_is_told(kind: str, image: NDArray[Any]) -> None:
    """Cut anywhere it is cut; filled up with zeros it is cut, or doubtful where zeros may be pixels."""
    data = encoded(kind, image)
    assert wholeness(data) is Wholeness.WHOLE
    for share in (0, 0.02, 0.3, 0.5, 0.9, 0.98):
        have = int(share * len(data))
        assert wholeness(data[:have]) is Wholeness.CUT
        filled = wholeness(data[:have] + bytes(len(data) - have))
        doubtful = kind in ENDLESS and share > 0
        assert filled is (Wholeness.DOUBTFUL if doubtful else Wholeness.CUT), share


@pytest.mark.parametrize("kind", CASES)
def test_a_black_picture_is_no_cut_one(kind: str) -> None:
    """In formats where its bytes may be zeros it is doubtful."""
    found = wholeness(encoded(kind, np.zeros((600, 810), np.uint8)))
    doubtful = {"bmp", "pnm", "tiff, plain", "webp, lossy"}
    assert found is (Wholeness.DOUBTFUL if kind in doubtful else Wholeness.WHOLE)


@pytest.mark.parametrize("kind", [kind for kind in CASES if kind != "pnm as text"])
def test_something_behind_a_picture_does_no_harm(kind: str) -> None:
    """Some writers fill up their last block."""
    data = encoded(kind, GREY)
    assert wholeness(data + bytes(512)) is Wholeness.WHOLE
    if "jpeg" in kind:
        assert wholeness(data + bytes(70_000)) is Wholeness.CUT


def test_a_thumbnails_end_is_not_that_of_its_picture() -> None:
    """A JPEG within a JPEG has an end of its own."""
    data, within = encoded("jpeg", GREY), encoded("jpeg", GREY[:8, :8])
    note = b"\xff\xe1" + struct.pack(">H", 2 + len(within)) + within
    assert wholeness(data[:2] + note + data[2:]) is Wholeness.WHOLE
    assert wholeness(data[:2] + note + data[2:-2]) is Wholeness.CUT


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_that_begins_with_its_index_is_looked_at(order: str) -> None:
    """Others write it last; strips that were not written yet are seen by their places."""
    sizes, pixels = (7, 9), bytes(range(100, 163))
    entries = [(256, 3, 1, 9), (257, 3, 1, 7), (259, 3, 1, 1), (273, 4, 1, 122), (279, 4, 1, 63), (277, 3, 1, 1)]
    entries += [(258, 3, 1, 8), (262, 3, 1, 1), (278, 3, 1, 7)]
    index = b"".join(
        struct.pack(order + "HHI", tag, kind, count) + struct.pack(order + ("HH" if kind == 3 else "I"), *value)
        for tag, kind, count, number in sorted(entries)
        for value in [(number, 0) if kind == 3 else (number,)]
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries)) + index + bytes(4)
    assert len(head) == 122
    read = cv2.imdecode(np.frombuffer(head + pixels, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read is not None
    assert read.shape == sizes
    assert wholeness(head + pixels) is Wholeness.WHOLE
    assert wholeness(head + pixels[:-1]) is Wholeness.CUT
    assert wholeness(head + pixels[:30] + bytes(33)) is Wholeness.DOUBTFUL


def test_an_old_bmp_and_one_of_runs_are_looked_at() -> None:
    """The header of OS/2 is short; RLE says where it ends."""
    old = b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + struct.pack("<IHHHH", 12, 5, 2, 1, 24)
    assert wholeness(old + b"\1" * 32) is Wholeness.WHOLE
    assert wholeness(old + b"\1" * 31) is Wholeness.CUT
    runs = b"BM" + struct.pack("<IHHI", 0, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 5, 1, 1, 8, 1, 4, 0, 0, 0, 0)
    assert wholeness(runs + b"\5\7\0\1") is Wholeness.WHOLE
    assert wholeness(runs + b"\5\7\0\0") is Wholeness.CUT


@pytest.mark.parametrize("data", [b"", b"BM", b"GIF89a" + bytes(99), b"RIFF\0\0\0\0WAVE", b"P5 x", b"P7\n", b"II*\0"])
def test_what_cannot_tell_is_cut(data: bytes) -> None:
    """Another format, or a beginning alone."""
    assert wholeness(data) is Wholeness.CUT
