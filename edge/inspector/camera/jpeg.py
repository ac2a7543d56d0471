"""Is all of a JPEG there? What is missing a decoder makes up from what came before, and says nothing."""

from __future__ import annotations

import re
import struct

BEGIN, END = b"\xff\xd8", b"\xff\xd9"
_MOST_PIXELS = 1 << 27
# Within the data of a scan FF is followed by 00, is a restart mark, or filling before a mark.
_MARK = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_END, _BEGIN = END[1], BEGIN[1]
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
# What cameras fill their buffers up with.
_FILLING = b"\0\r\n\xff"


def end_of_jpeg(data: bytes | bytearray) -> int | None:
    """
    Return where a JPEG ends that begins *data*, None = not within it.

    Raises:
        ValueError: it is none, or another one begins within it; says what was found.
    """
    if not data.startswith(BEGIN[: len(data)]):
        raise ValueError(f"begins with {bytes(data[:2]).hex(' ')}, expected {BEGIN.hex(' ')}: no JPEG")
    at = 2
    while (mark := _MARK.search(data, at)) is not None:
        kind = data[mark.end() - 1]
        if kind == _END:
            return mark.end()
        if kind == _BEGIN:
            raise ValueError(f"another picture begins at byte {mark.start()}, before this one has ended")
        if mark.end() + 2 > len(data):
            return None
        (length,) = struct.unpack_from(">H", data, mark.end())
        if kind in _FRAMES and mark.end() + 7 <= len(data):
            height, width = struct.unpack_from(">HH", data, mark.end() + 3)
            _refuse_size(width, height)
        # A thumbnail within has an end of its own.
        at = mark.end() + length
    return None


def fault_of_jpeg(data: bytes | bytearray) -> str | None:
    """Return why *data* is not one whole JPEG and nothing else, None when it is."""
    try:
        end = end_of_jpeg(data)
    except ValueError as error:
        return str(error)
    if end is None:
        return f"{len(data)} bytes without the end of a JPEG: it was cut"
    left = data[end:].strip(_FILLING)
    return f"{len(left)} bytes after the end of the JPEG, expected none" if left else None


def _refuse_size(width: int, height: int) -> None:
    if width * height > _MOST_PIXELS:
        raise ValueError(f"says that it has {width}x{height} px, expected {_MOST_PIXELS} px or fewer")
