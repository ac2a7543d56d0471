"""
Is all of a picture there? Told by its format: of most, OpenCV makes up what is missing, and says nothing.

Also of a file that has its full length already and is filled from the front, as copies over a network are: then what
is missing reads as zeros. JPEG, PNG and most compressed TIFF cannot end so; the others can, with a dark border.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from enum import Enum

_END = 16
"""So many zeros at the end are not by chance."""
_MOST_AFTER_JPEG = 65_536
# Within the data of a scan FF is followed by 00 or is a restart mark; FF FF is filling.
_JPEG_MARK = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SCAN, _END_OF_JPEG = 0xDA, 0xD9
_BLANK = rb"(?:\s|#[^\n]*\n)+"
_PNM = re.compile(rb"P[1-6]" + _BLANK + rb"(\d{1,9})" + _BLANK + rb"(\d{1,9})" + _BLANK + rb"(\d{1,9})\s")
_PBM = re.compile(rb"P4" + _BLANK + rb"(\d{1,9})" + _BLANK + rb"(\d{1,9})\s")
_BMP_PLAIN, _BMP_RUNS = (0, 3, 6), (1, 2)
_BMP_OLD_HEADER = 12
_TIFF_SIZES = {3: "H", 4: "I", 16: "Q"}
_TIFF_OFFSETS, _TIFF_LENGTHS, _TIFF_COMPRESSION = (273, 324), (279, 325), 259
# LZW, JPEG, Deflate: these have an end of their own.
_TIFF_ENDED = (5, 7, 8, 32946)


class Wholeness(Enum):
    """What the bytes of a file tell."""

    WHOLE = "whole"
    DOUBTFUL = "doubtful"
    """As long as it shall be, but the last bytes are zeros, of a format in which they may be pixels."""
    CUT = "cut"
    """Something is missing, or it is no picture of a format that can tell."""


def wholeness(data: bytes) -> Wholeness:
    """Tell whether all of a picture is there; not whether it is sound, which its decoder finds out."""
    for begin, look in _FORMATS.items():
        if data.startswith(begin):
            try:
                return look(data)
            except (struct.error, IndexError, OverflowError):  # It ends before it has said how long it is.
                return Wholeness.CUT
    return Wholeness.CUT


def _said(whole: bool) -> Wholeness:
    return Wholeness.WHOLE if whole else Wholeness.CUT


def _by_length(data: bytes, start: int, end: int) -> Wholeness:
    """Tell by pixels that lie as they are from *start* to *end*."""
    if not 0 < start < end <= len(data):
        return Wholeness.CUT
    return Wholeness.WHOLE if any(data[max(start, end - _END) : end]) else Wholeness.DOUBTFUL


def _jpeg(data: bytes) -> Wholeness:
    at = 2
    while (mark := _JPEG_MARK.search(data, at)) is not None:
        kind = data[mark.start() + 1]
        if kind == _END_OF_JPEG:
            return _said(len(data) - mark.end() <= _MOST_AFTER_JPEG)
        # Each other one tells its length: a thumbnail within has an end of its own.
        at = mark.end() + int(struct.unpack_from(">H", data, mark.end())[0])
    return Wholeness.CUT


def _png(data: bytes) -> Wholeness:
    at = 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        # Its check sums are looked at when it is decoded.
        if kind == b"IEND" or at > len(data):
            return _said(at <= len(data))


def _bmp(data: bytes) -> Wholeness:
    start, header = struct.unpack_from("<II", data, 10)
    if header == _BMP_OLD_HEADER:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = length = 0
    else:
        width, height, _, bits, compression, length = struct.unpack_from("<iiHHII", data, 18)
    if compression in _BMP_RUNS:
        return _said(start + length <= len(data) and data[start : start + length].endswith(b"\0\1"))
    if compression not in _BMP_PLAIN:
        return Wholeness.CUT
    return _by_length(data, start, start + (abs(width) * bits + 31) // 32 * 4 * abs(height))


def _pnm(data: bytes) -> Wholeness:
    found = _PNM.match(data)
    if found is None:
        return Wholeness.CUT
    width, height, most = (int(number) for number in found.groups())
    samples = width * height * (3 if data[1:2] in b"36" else 1)
    return _by_length(data, found.end(), found.end() + samples * (1 if most < 256 else 2))


def _pbm(data: bytes) -> Wholeness:
    found = _PBM.match(data)
    if found is None:
        return Wholeness.CUT
    return _by_length(data, found.end(), found.end() + (int(found[1]) + 7) // 8 * int(found[2]))


def _pnm_as_text(data: bytes) -> Wholeness:
    found = _PNM.match(data)
    if found is None:
        return Wholeness.CUT
    samples = int(found[1]) * int(found[2]) * (3 if data[1:2] == b"3" else 1)
    numbers = re.sub(rb"#[^\n]*", b"", data[found.end() :]).split()
    # The last one may lack digits.
    last = len(numbers) == samples and not data[-1:].isspace()
    return _said(len(numbers) >= samples and not last)


def _webp(data: bytes) -> Wholeness:
    (length,) = struct.unpack_from("<I", data, 4)
    end = 8 + length
    if data[8:12] != b"WEBP" or end > len(data):
        return Wholeness.CUT
    at, found = 12, Wholeness.CUT
    while at + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind in (b"VP8 ", b"VP8L", b"ANMF"):
            # Of an even picture they end in zeros, too.
            found = _by_length(data, at + 8, at + 8 + size)
        at += 8 + size + size % 2
    return found


def _tiff(data: bytes) -> Wholeness:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    at += 8 if big else 2
    size = 20 if big else 12
    told = {}
    for entry in range(at, min(at + count * size, len(data)), size):
        tag, values = _tiff_entry(data, entry, order, big=big)
        told[tag] = values
    starts = next((told[tag] for tag in _TIFF_OFFSETS if tag in told), ())
    lengths = next((told[tag] for tag in _TIFF_LENGTHS if tag in told), ())
    if not starts or len(starts) != len(lengths):
        return Wholeness.CUT
    return _by_strips(data, list(zip(starts, lengths, strict=True)), told.get(_TIFF_COMPRESSION, (1,))[0])


def _tiff_entry(data: bytes, at: int, order: str, *, big: bool) -> tuple[int, tuple[int, ...]]:
    """Return the tag and its whole numbers; nothing of one that has others."""
    tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, at)
    if kind not in _TIFF_SIZES or tag not in (*_TIFF_OFFSETS, *_TIFF_LENGTHS, _TIFF_COMPRESSION):
        return tag, ()
    form = f"{order}{count}{_TIFF_SIZES[kind]}"
    value = at + (12 if big else 8)
    if struct.calcsize(form) > (8 if big else 4):
        (value,) = struct.unpack_from(order + ("Q" if big else "I"), data, value)
    return tag, struct.unpack_from(form, data, value)


def _by_strips(data: bytes, strips: list[tuple[int, int]], compression: int) -> Wholeness:
    if any(start <= 0 or length <= 0 or start + length > len(data) for start, length in strips):
        return Wholeness.CUT
    found = {_by_length(data, start, start + length) for start, length in strips}
    if found == {Wholeness.WHOLE}:
        return Wholeness.WHOLE
    return Wholeness.CUT if compression in _TIFF_ENDED else _by_length(data, max(strips)[0], sum(max(strips)))


_FORMATS: dict[bytes, Callable[[bytes], Wholeness]] = {
    b"\xff\xd8": _jpeg,
    b"\x89PNG\r\n\x1a\n": _png,
    b"BM": _bmp,
    b"P2": _pnm_as_text,
    b"P3": _pnm_as_text,
    b"P4": _pbm,
    b"P5": _pnm,
    b"P6": _pnm,
    b"RIFF": _webp,
    b"II*\0": _tiff,
    b"MM\0*": _tiff,
    b"II+\0": _tiff,
    b"MM\0+": _tiff,
}
