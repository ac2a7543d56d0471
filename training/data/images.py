"""Picture and mask files to arrays."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError
from engines.contract import PixelFormat

_READ_FLAG: dict[PixelFormat, int] = {"mono8": cv2.IMREAD_GRAYSCALE, "bgr8": cv2.IMREAD_COLOR}


def read_image(path: Path, pixel_format: PixelFormat) -> NDArray[np.uint8]:
    """
    Decode a picture file.

    Returns:
        (h, w) uint8 for mono8, (h, w, 3) for bgr8; a picture of the other kind is converted.

    Raises:
        DataError: the file is missing or no picture.
    """
    return _decode(path, _READ_FLAG[pixel_format]).astype(np.uint8, copy=False)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """
    Decode a mask file without any conversion.

    Returns:
        (h, w) uint8.

    Raises:
        DataError: the file is missing, no picture, or has colours, a palette or more than 8 bits.
    """
    mask = _decode(path, cv2.IMREAD_UNCHANGED)
    if mask.ndim != 2 or mask.dtype != np.uint8:
        channels = mask.shape[2] if mask.ndim == 3 else 1
        raise DataError(f"mask {path}: {channels} channels of {mask.dtype}: expected one grey channel of 8 bits")
    return mask.astype(np.uint8, copy=False)


def _decode(path: Path, flag: int) -> NDArray[np.generic]:
    try:
        encoded = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    image = cv2.imdecode(encoded, flag) if encoded.size else None
    if image is None:
        raise DataError(f"{path}: not a picture that can be decoded ({encoded.size} bytes); replace or remove it")
    return image
