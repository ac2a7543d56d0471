"""All of a JPEG, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.inspector.camera.jpeg import end_of_jpeg, fault_of_jpeg


def jpeg(*flags: int) -> bytes:
    picture = np.random.default_rng(2).integers(0, 256, (48, 64, 3), np.uint8)
    return cv2.imencode(".jpg", picture, list(flags))[1].tobytes()


WHOLE = jpeg()


@pytest.mark.parametrize("flags", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)])
def test_a_whole_one_has_no_fault(flags: tuple[int, ...]) -> None:
    """Plain, progressive, with restart marks; also with what cameras fill their buffers up with."""
    data = jpeg(*flags)
    assert fault_of_jpeg(data) is None
    assert fault_of_jpeg(data + b"\0" * 100 + b"\r\n") is None
    assert end_of_jpeg(data + b"more") == len(data)


def test_a_thumbnail_within_is_not_its_end() -> None:
    """Its end lies in a piece that tells its length; without what follows the picture is cut."""
    thumbnail = b"\xff\xe1" + (2 + len(WHOLE)).to_bytes(2, "big") + WHOLE
    data = WHOLE[:2] + thumbnail + WHOLE[2:]
    assert fault_of_jpeg(data) is None
    assert fault_of_jpeg(data[: 2 + len(thumbnail) + 50]) is not None


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.5, 0.9, 0.999])
def test_a_cut_one_is_told(share: float) -> None:
    """OpenCV decodes most of these and makes up the rest; also when it is as long as it should be, of zeros."""
    cut = WHOLE[: round(share * len(WHOLE))]
    assert "it was cut" in str(fault_of_jpeg(cut))
    if share >= 0.5:
        assert "it was cut" in str(fault_of_jpeg(cut + bytes(len(WHOLE) - len(cut))))


def test_what_is_no_jpeg_and_what_follows_one_is_told() -> None:
    """Garbage before, after, and another picture that begins before the end."""
    assert "no JPEG" in str(fault_of_jpeg(b"GIF89a"))
    assert "7 bytes after the end" in str(fault_of_jpeg(WHOLE + b"garbage"))
    half = WHOLE[: len(WHOLE) // 2]
    assert f"another picture begins at byte {len(half)}" in str(fault_of_jpeg(half + WHOLE))


def test_a_size_out_of_all_bounds_is_refused() -> None:
    """It would be decoded into gigabytes."""
    at = WHOLE.index(b"\xff\xc0") + 5
    assert "65535x65535 px, expected" in str(fault_of_jpeg(WHOLE[:at] + b"\xff" * 4 + WHOLE[at + 4 :]))
