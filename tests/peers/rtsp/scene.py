"""
What the camera of server.py sees: a grey plate with noise, the time of exposure as a barcode, now and then a square.

A function of the time alone, so that whoever reads the barcode of a picture knows the truth about it. NumPy is all it
needs: it runs in the system's Python and in that of the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GREY, BRIGHT, DARK = 128, 220, 40
"""As in the bundle of tests/support/bundles.py, which finds bright and dark squares."""
TURN_MS = 500
"""So long nothing is shown, then a bright square, nothing, a dark one."""
SIDE = 20
_NOISE, _SOFTNESS = 6.0, 2.0
# A barcode of so little contrast is no defect. Cells of 8 px survive H.264; the mean over their inside is exact to a
# grey level or two.
_CELL, _ROWS, _COLUMNS = 8, 4, 12
_CONTRAST = 14
_TIME_BITS, _CHECK_BITS = 40, 6
# The mean of a block after H.264; less than a third of a square's contrast.
_SAME = 25
BARCODE = (_ROWS * _CELL, _COLUMNS * _CELL)
"""Height and width of the barcode, in the upper left corner [px]."""


@dataclass(frozen=True)
class Square:
    """A defect. class_id: 1 = bright, 2 = dark; left and top [px]."""

    class_id: int
    top: int
    left: int


def square_at(ms: int, height: int, width: int) -> Square | None:
    """Return the defect that a picture taken at *ms* (CLOCK_MONOTONIC) shows, None when it shows none."""
    turn = ms // TURN_MS
    if turn % 2 == 0:
        return None
    # Never under the barcode; another place each time.
    rows, columns = height - BARCODE[0] - SIDE - 16, width - SIDE - 16
    if rows < 1 or columns < 1:
        raise ValueError(f"scene of {width}x{height} px, expected room for a square of {SIDE} px below the barcode")
    return Square(1 + turn // 2 % 2, BARCODE[0] + 8 + turn * 37 % rows, 8 + turn * 101 % columns)


def plate(height: int, width: int, seed: int = 7) -> NDArray[np.uint8]:
    """Return the (height, width) scene without barcode and defect."""
    noise = np.random.default_rng(seed).normal(0, _NOISE, (height, width))
    return (GREY + noise).clip(0, 255).astype(np.uint8)


def picture_at(ms: int, background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what is seen at *ms* before that plate."""
    image = background.copy()
    square = square_at(ms, *background.shape)
    if square is not None:
        _draw(image, square)
    cells = np.array(_bits(ms)).reshape(_ROWS, _COLUMNS)
    levels = np.where(cells, GREY + _CONTRAST, GREY - _CONTRAST).astype(np.uint8)
    image[: BARCODE[0], : BARCODE[1]] = levels.repeat(_CELL, 0).repeat(_CELL, 1)
    return image


def read_barcode(image: NDArray[np.uint8]) -> int:
    """
    Return when the picture was taken: CLOCK_MONOTONIC of the server [ms].

    Args:
        image: (h, w) or (h, w, 3), as a client decoded it, not resized.

    Raises:
        ValueError: it holds no barcode, or a damaged one.
    """
    found = image[: BARCODE[0], : BARCODE[1]]
    corner = np.asarray(found if found.ndim == 2 else found.mean(axis=2), np.float64)
    if corner.shape != BARCODE:
        raise ValueError(f"picture of shape {image.shape}, expected a barcode of {BARCODE} px in its corner")
    cells = corner.reshape(_ROWS, _CELL, _COLUMNS, _CELL)[:, 2:-2, :, 2:-2].mean(axis=(1, 3)).ravel()
    bits = [bool(level > (cells[0] + cells[1]) / 2) for level in cells]
    ms = sum(bit << place for place, bit in enumerate(bits[2 : 2 + _TIME_BITS]))
    if bits != _bits(ms) or cells[1] - cells[0] < _CONTRAST:
        raise ValueError("no barcode, or a damaged one, in the picture's upper left corner")
    return ms


def fault_of(image: NDArray[np.uint8], background: NDArray[np.uint8]) -> str | None:
    """
    Return where a picture that a client decoded differs from what was seen at the time of its barcode, None = nowhere.

    Args:
        image: (h, w) or (h, w, 3), not resized.
        background: (h, w) plate that the camera looks at.
    """
    try:
        ms = read_barcode(image)
    except ValueError as error:
        return str(error)
    # One colour of grey is enough, and quick: who reads has to keep pace.
    difference = np.subtract(image if image.ndim == 2 else image[:, :, 1], picture_at(ms, background), dtype=np.int16)
    rows, columns = background.shape[0] // _CELL, background.shape[1] // _CELL
    whole = difference[: rows * _CELL, : columns * _CELL].reshape(rows, _CELL, columns * _CELL).sum(axis=1)
    blocks = whole.reshape(rows, columns, _CELL).sum(axis=2) / _CELL**2
    row, column = np.unravel_index(np.abs(blocks).argmax(), blocks.shape)
    if abs(blocks[row, column]) <= _SAME:
        return None
    square = square_at(ms, *background.shape)
    off = f"{blocks[row, column]:+.0f} grey levels off"
    return f"the block at ({column * _CELL}, {row * _CELL}) is {off}; seen: {square}"


def _bits(ms: int) -> list[bool]:
    """Dark and light for comparison, the time from its lowest bit on, a check sum."""
    check = sum((ms >> shift) & 0x3F for shift in range(0, _TIME_BITS, _CHECK_BITS)) * 11 + 5
    time_bits = [bool(ms >> place & 1) for place in range(_TIME_BITS)]
    return [False, True, *time_bits, *(bool(check >> place & 1) for place in range(_CHECK_BITS))]


def _draw(image: NDArray[np.uint8], square: Square) -> None:
    level = BRIGHT if square.class_id == 1 else DARK
    profile = np.array([_share(x) for x in range(-6, SIDE + 6)])
    share = np.outer(profile, profile)
    area = image[square.top - 6 : square.top + SIDE + 6, square.left - 6 : square.left + SIDE + 6]
    area[...] = (area + share * (level - GREY)).clip(0, 255).astype(np.uint8)


def _share(x: int) -> float:
    """How much of the square lies over the pixel at that distance from its edge: the edges are soft."""
    root = _SOFTNESS * math.sqrt(2)
    return 0.5 * (math.erf((x + 0.5) / root) - math.erf((x + 0.5 - SIDE) / root))
