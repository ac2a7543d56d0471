"""Picture and mask files to arrays; a file that is cut, or deeper than 8 bits, is refused and never guessed at."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from edge.errors import DataError
from engines.contract import PixelFormat

_READ_FLAG: dict[PixelFormat, int] = {"mono8": cv2.IMREAD_GRAYSCALE, "bgr8": cv2.IMREAD_COLOR}
_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

# Pillow's bound guards a web server against uploads; a line-scan camera's picture may well be larger.
Image.MAX_IMAGE_PIXELS = None


def picture_files(folder: Path) -> list[Path]:
    """Return the files of *folder* and of the folders in it that are named like pictures, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())


def read_image(path: Path, pixel_format: PixelFormat) -> NDArray[np.uint8]:
    """
    Decode a picture file.

    Returns:
        (h, w) uint8 for mono8, (h, w, 3) for bgr8; a picture of the other kind is converted.

    Raises:
        DataError: the file is missing, no picture, cut or damaged, or deeper than 8 bits.
    """
    image = _decode(path, _READ_FLAG[pixel_format] | cv2.IMREAD_ANYDEPTH)
    if image.dtype != np.uint8:
        raise DataError(
            f"{path}: {image.dtype} pixels from {image.min()} to {image.max()}, expected 8 bits, as the line takes "
            "them; convert all pictures by one fixed scale, the one that the camera's 8-bit format applies"
        )
    return image.astype(np.uint8, copy=False)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """
    Decode a mask file without any conversion.

    Returns:
        (h, w) uint8.

    Raises:
        DataError: the file is missing, no picture, cut or damaged, or has colours, a palette or more than 8 bits.
    """
    mask = _decode(path, cv2.IMREAD_UNCHANGED)
    if mask.ndim != 2 or mask.dtype != np.uint8:
        channels = mask.shape[2] if mask.ndim == 3 else 1
        raise DataError(f"mask {path}: {channels} channels of {mask.dtype}: expected one grey channel of 8 bits")
    return mask.astype(np.uint8, copy=False)


def _decode(path: Path, flag: int) -> NDArray[np.generic]:
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    _require_whole(path, encoded)
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), flag) if encoded else None
    if image is None:
        raise DataError(f"{path}: not a picture that can be decoded ({len(encoded)} bytes); replace or remove it")
    return image


def _require_whole(path: Path, encoded: bytes) -> None:
    """
    Refuse a JPEG that ends too early: OpenCV 4 fills what is missing with grey and says nothing, Pillow refuses.

    Pillow decodes at an eighth of the size, which reads all of the file and is cheap. Of the other formats OpenCV
    decodes nothing that is cut. A JPEG that was cut and then given an end marker is not noticed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged remarks beside the pixels
            with Image.open(io.BytesIO(encoded), formats=["JPEG"]) as picture:
                picture.draft("L", (1, 1))
                picture.load()
    except UnidentifiedImageError:
        return
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(
            f"{path}: cut or damaged ({len(encoded)} bytes; {error}); copy it again, replace or remove it"
        ) from error
