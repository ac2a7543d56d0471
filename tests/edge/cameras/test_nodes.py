"""V4L2 devices by what a driver answers: names, formats, controls, rights, and who has one open."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from edge.cameras.nodes import controls, holders, nodes

CAPTURE, METADATA = 0x00000001, 0x00800000
QUERYCAP, ENUM_FMT, QUERYCTRL, G_CTRL = 0x80685600, 0xC0405602, 0xC0445624, 0xC008561B
CONTROLS = (
    (0x00980900, 1, b"Brightness", 0, 255, 1, 128, 0, 100),
    (0x00980901, 6, b"Camera Controls", 0, 0, 0, 0, 0, None),
    (0x009A0902, 1, b"Exposure Time, Absolute", 3, 2047, 2, 250, 0x10, 333),
    (0x009A0903, 1, b"Off", 0, 1, 1, 0, 0x01, 0),
)


class Driver:
    """Answers ioctls as a V4L2 driver does."""

    def __init__(self, capabilities: int = CAPTURE, formats: tuple[bytes, ...] = (b"MJPG", b"YUYV")) -> None:
        self.capabilities = capabilities
        self.formats = formats

    def __call__(self, descriptor: int, request: int, argument: bytes) -> bytes:
        if request == QUERYCAP:
            assert len(argument) == 104
            return struct.pack("<16s32s32sIII12x", b"uvcvideo", b"HD Cam", b"usb-1", 1, 0x84A00001, self.capabilities)
        if request == ENUM_FMT:
            assert len(argument) == 64
            (index,) = struct.unpack_from("<I", argument)
            if index < len(self.formats):
                return struct.pack("<III32s4s16x", index, 1, 0, b"text", self.formats[index])
        if request == QUERYCTRL:
            assert len(argument) == 68
            (asked,) = struct.unpack_from("<I", argument)
            for number, kind, name, low, high, step, default, flags, _ in CONTROLS:
                if number > asked & 0x7FFFFFFF:
                    return struct.pack("<II32siiiiI8x", number, kind, name, low, high, step, default, flags)
        if request == G_CTRL:
            number, _ = struct.unpack("<Ii", argument)
            return struct.pack("<Ii", number, next(c[8] or 0 for c in CONTROLS if c[0] == number))
        raise OSError(22, "Invalid argument")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Two nodes: /dev and /sys of a machine with one camera."""
    for name in ("video10", "video2", "v4l-subdev0"):
        (tmp_path / "sys" / name).mkdir(parents=True)
        (tmp_path / "sys" / name / "name").write_text("HD Cam\n", encoding="utf-8")
    (tmp_path / "dev").mkdir()
    for name in ("video10", "video2"):
        (tmp_path / "dev" / name).write_bytes(b"")
    return tmp_path


def test_devices_are_listed_by_number(machine: Path) -> None:
    """With name, driver and formats; other nodes of the kernel's are no cameras."""
    found = nodes(machine / "sys", machine / "dev", Driver())
    assert [Path(node.path).name for node in found] == ["video2", "video10"]
    assert (found[0].name, found[0].driver, found[0].pictures) == ("HD Cam", "uvcvideo", True)
    assert (found[0].formats, found[0].rights, found[0].holders) == (("MJPG", "YUYV"), "", ())


def test_a_node_for_data_gives_no_pictures(machine: Path) -> None:
    """Many cameras have a second one; its formats are not asked for."""
    assert [(node.pictures, node.formats) for node in nodes(machine / "sys", machine / "dev", Driver(METADATA))] == [
        (False, ())
    ] * 2


def test_what_cannot_be_asked_is_listed_all_the_same(machine: Path) -> None:
    """A node that is gone, and one that is no V4L2 device."""
    (machine / "dev" / "video2").unlink()
    gone, other = nodes(machine / "sys", machine / "dev")
    assert (gone.pictures, gone.rights) == (None, "No such file or directory")
    assert (other.pictures, other.driver, other.rights) == (None, "-", "")


@pytest.mark.skipif(os.getuid() == 0, reason="root may open every device")
def test_missing_rights_name_the_group(machine: Path) -> None:
    """What to be a member of."""
    (machine / "dev" / "video2").chmod(0)
    assert "be in group" in nodes(machine / "sys", machine / "dev", Driver())[0].rights


def test_a_machine_without_v4l2_has_none(tmp_path: Path) -> None:
    """Also one whose kernel has no such class."""
    assert nodes(tmp_path / "none") == []


def test_controls_are_told_with_bounds(machine: Path) -> None:
    """Headings and disabled ones are left out; one that the camera sets by itself says so."""
    assert controls(machine / "dev" / "video2", Driver()) == {
        "Brightness": "100 (0 to 255, default 128)",
        "Exposure Time, Absolute": "333 (3 to 2047 in steps of 2, default 250, set by the camera)",
    }
    assert controls(machine / "dev" / "video2") == {}
    assert controls(machine / "dev" / "video77", Driver()) == {}


def test_programs_that_have_it_open_are_named(tmp_path: Path) -> None:
    """By name and process, from /proc; we are none of them."""
    device = tmp_path / "video0"
    for process, name, target in ((12, "edge-inspectd", device), (9, "other", tmp_path), (os.getpid(), "we", device)):
        (tmp_path / "proc" / str(process) / "fd").mkdir(parents=True)
        (tmp_path / "proc" / str(process) / "comm").write_text(f"{name}\n", encoding="utf-8")
        (tmp_path / "proc" / str(process) / "fd" / "3").symlink_to(target)
    assert holders(device, tmp_path / "proc") == ("edge-inspectd (12)",)
    with device.open("wb"):
        assert holders(device) == ()
