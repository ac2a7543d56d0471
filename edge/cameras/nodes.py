"""The V4L2 devices of this machine: what they are called, who may open them, who has them open, what they can."""

from __future__ import annotations

import fcntl
import grp
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

Ioctl = Callable[[int, int, bytes], bytes]

# linux/videodev2.h
_QUERYCAP, _CAPABILITY = 0x80685600, struct.Struct("<16s32s32sIII12x")
_ENUM_FMT, _FORMAT = 0xC0405602, struct.Struct("<III32s4s16x")
_QUERYCTRL, _CONTROL = 0xC0445624, struct.Struct("<II32siiiiI8x")
_G_CTRL, _VALUE = 0xC008561B, struct.Struct("<Ii")
_VIDEO_CAPTURE = 0x00000001
_NEXT_CONTROL, _DISABLED, _INACTIVE = 0x80000000, 0x0001, 0x0010
_INTEGER, _BOOLEAN, _MENU, _INTEGER_MENU = 1, 2, 3, 9
_MOST = 200

_CLASS = Path("/sys/class/video4linux")
_PROCESSES = Path("/proc")


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """
    One device.

    Attributes:
        pictures: it gives some; None = nobody could ask it. Many cameras have a second node for data about them.
        rights: empty when we may open it, else who may.
        holders: programs that have it open, as far as we may see.
    """

    path: str
    name: str
    driver: str
    pictures: bool | None
    formats: tuple[str, ...]
    rights: str
    holders: tuple[str, ...]


def nodes(root: Path = _CLASS, devices: Path = Path("/dev"), ioctl: Ioctl | None = None) -> list[Node]:
    """Return every V4L2 device, by number; none is opened for longer than it takes to ask what it is."""
    names = sorted((entry.name for entry in root.iterdir()), key=_by_number) if root.is_dir() else []
    return [_node(root / name, devices / name, ioctl or _ioctl) for name in names if name.startswith("video")]


def controls(path: Path, ioctl: Ioctl | None = None) -> dict[str, str]:
    """Return what a V4L2 device is set to, by the driver's names, with bounds; empty when it cannot be asked."""
    with _Opened(path) as descriptor:
        return {} if descriptor is None else dict(_controls(descriptor, ioctl or _ioctl))


def holders(path: Path, processes: Path = _PROCESSES) -> tuple[str, ...]:
    """Return which other programs have a file open, as name and process; root sees all of them."""
    found = {
        int(link.parts[len(processes.parts)])
        for link in processes.glob("[0-9]*/fd/*")
        if _same(link, path) and link.parts[len(processes.parts)] != str(os.getpid())
    }
    return tuple(f"{_program(processes / str(number))} ({number})" for number in sorted(found))


def _node(entry: Path, device: Path, ioctl: Ioctl) -> Node:
    name = _text(entry / "name") or "-"
    with _Opened(device) as descriptor:
        driver, capabilities, formats = ("-", None, ()) if descriptor is None else _told(descriptor, ioctl)
    return Node(
        path=str(device),
        name=name,
        driver=driver,
        pictures=None if capabilities is None else bool(capabilities & _VIDEO_CAPTURE),
        formats=formats,
        rights=_rights(device),
        holders=holders(device),
    )


def _told(descriptor: int, ioctl: Ioctl) -> tuple[str, int | None, tuple[str, ...]]:
    """Return driver, what the node can, and its pixel formats."""
    try:
        answer = _CAPABILITY.unpack(ioctl(descriptor, _QUERYCAP, bytes(_CAPABILITY.size)))
    except OSError:
        return "-", None, ()
    capabilities = answer[5]
    return _c_text(answer[0]), capabilities, tuple(_formats(descriptor, ioctl) if capabilities & _VIDEO_CAPTURE else ())


def _formats(descriptor: int, ioctl: Ioctl) -> Iterator[str]:
    for index in range(_MOST):
        try:
            answer = _FORMAT.unpack(ioctl(descriptor, _ENUM_FMT, _FORMAT.pack(index, 1, 0, b"", b"")))
        except OSError:
            return
        yield answer[4].decode("ascii", "replace").strip()


def _controls(descriptor: int, ioctl: Ioctl) -> Iterator[tuple[str, str]]:
    last = 0
    for _ in range(_MOST):
        asked = _CONTROL.pack(last | _NEXT_CONTROL, 0, b"", 0, 0, 0, 0, 0)
        try:
            last, kind, name, low, high, step, default, flags = _CONTROL.unpack(ioctl(descriptor, _QUERYCTRL, asked))
        except OSError:
            return
        if kind not in (_INTEGER, _BOOLEAN, _MENU, _INTEGER_MENU) or flags & _DISABLED:
            continue
        try:
            _, value = _VALUE.unpack(ioctl(descriptor, _G_CTRL, _VALUE.pack(last, 0)))
        except OSError:
            continue
        steps = f" in steps of {step}" if step > 1 else ""
        automatic = ", set by the camera" if flags & _INACTIVE else ""
        yield _c_text(name), f"{value} ({low} to {high}{steps}, default {default}{automatic})"


class _Opened:
    """A device, or None when it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def __enter__(self) -> int | None:
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        except OSError:
            self._descriptor = None
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def _ioctl(descriptor: int, request: int, argument: bytes) -> bytes:
    return fcntl.ioctl(descriptor, request, argument)


def _rights(device: Path) -> str:
    try:
        found = device.stat()
    except OSError as error:
        return error.strerror or "cannot be looked at"
    if os.access(device, os.R_OK | os.W_OK):
        return ""
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    return f"none: be in group {group}"


def _same(link: Path, path: Path) -> bool:
    try:
        return os.readlink(link) == str(path)  # noqa: PTH115 - Path.readlink() builds a Path for each open file
    except OSError:
        return False  # Ended since, or another user's.


def _program(process: Path) -> str:
    return _text(process / "comm") or "?"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _c_text(data: bytes) -> str:
    return data.split(b"\0")[0].decode("utf-8", "replace")


def _by_number(name: str) -> tuple[int, str]:
    digits = "".join(letter for letter in name if letter.isdigit())
    return int(digits or 0), name
