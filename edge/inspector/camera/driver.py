"""What a GenICam camera needs of its driver: the seam between genicam.py and aravis.py. Tests stand in for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from edge.errors import CameraError

Key = Literal[
    "width",
    "height",
    "offset_x",
    "offset_y",
    "binning_x",
    "binning_y",
    "decimation_x",
    "decimation_y",
    "reverse_x",
    "reverse_y",
    "exposure_us",
    "gain_db",
    "rate_hz",
    "packet_size",
]
"""Numbers that are written and read back, by the names of the settings; a switch is 0 or 1."""

SUCCESS = "success"
AUTOMATICS = ("ExposureAuto", "GainAuto", "BalanceWhiteAuto")
"""What a camera may do by itself: Off, Once or Continuous."""
TEST_PICTURES = ("TestPattern", "TestImageSelector")
"""Unless they are Off, cameras show a drawing of their own and no part; the second is an older name."""
EXCHANGED = "if it was exchanged, see that its settings and the calibration hold, and restart the station"
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")


@dataclass(frozen=True)
class Device:
    """
    One camera that was found.

    Attributes:
        id: names it, also in the settings.
        protocol: GigEVision or USB3Vision.
        state: for people: free, in use, or why it cannot be opened; empty = nobody looked.
    """

    id: str
    vendor: str
    model: str
    serial: str
    address: str
    protocol: str
    state: str = ""


@dataclass(frozen=True)
class Grabbed:
    """
    What lay in one buffer; data is a copy.

    Attributes:
        status: ``success``, or what is wrong with it, in the driver's words.
        frame_id: the camera's own. Without success it may be that of a frame that lay in the buffer before.
        stamp_ns: when it was taken, by the camera's clock; 0 = it gives none. Of no use without success.
        arrived_ns: when it began to arrive, monotonic.
        payload: ``image``, or what else it is.
        pixel_format: code of the GenICam Pixel Format Naming Convention.
        left, top: where the region begins on the sensor [px], as the camera says; many say 0, 0 whatever it is.
        padding: bytes after each row.
    """

    status: str
    frame_id: int
    stamp_ns: int
    arrived_ns: int
    payload: str = ""
    pixel_format: int = 0
    width: int = 0
    height: int = 0
    left: int = 0
    top: int = 0
    padding: int = 0
    data: bytes = b""


class Handle(Protocol):
    """
    A camera that is open and in our control. All but ``pop`` and ``lost`` access its registers: they block for seconds
    when it is dead, and raise CameraError then.
    """

    id: str

    @property
    def lost(self) -> bool:
        """The driver has noticed by itself that it has no control any more; asks nobody, never blocks."""
        ...

    def bounds(self, key: Key) -> tuple[float, float] | None:
        """Return what may be written at present, None when the camera has no such feature."""
        ...

    def write(self, key: Key, value: float) -> None: ...

    def read(self, key: Key) -> float: ...

    def marks(self) -> dict[str, str]:
        """Return what else makes its pictures what they are and is no setting, without what it does not have."""
        ...

    def formats(self) -> list[str]:
        """Return the names of its pixel formats."""
        ...

    def write_format(self, code: int) -> None: ...

    def read_format(self) -> tuple[int, str]:
        """Return code and name."""
        ...

    def trigger_sources(self) -> list[str]: ...

    def write_trigger(self, source: str | None, activation: str | None) -> None:
        """Take a frame for each event of *source*; None = free-run."""
        ...

    def read_trigger(self) -> tuple[str | None, str | None]:
        """Return source and activation in force, None for a camera that runs free, and what it does not tell."""
        ...

    def start(self, buffers: int, resend: bool, retention_ms: int) -> None:
        """Let frames come."""
        ...

    def pop(self, timeout_s: float) -> Grabbed | None:
        """Return the next buffer, good or bad; None when there is none for so long."""
        ...

    def fire(self) -> None:
        """Trigger one frame by software."""
        ...

    def ping(self) -> None:
        """Ask it for anything."""
        ...

    def tear_down(self) -> None:
        """Stop, give up control, forget it. Never raises; may block."""
        ...


def chosen_again(found: Sequence[Device], device: str | None, first: str | None) -> str:
    """
    Return which camera to open: as ``chosen``, but no other than that of the first open.

    Args:
        first: its id; None = this is the first open.

    Raises:
        CameraError: as of ``chosen``; or another camera has taken its place.
    """
    if first is None:
        return chosen(found, device)
    others = [f.id for f in found]
    if device is None and others and first not in others:
        raise CameraError(f"expected {first} as at first, found {', '.join(others)}; {EXCHANGED}")
    now = chosen(found, first if device is None else device)
    if now != first:
        raise CameraError(f"device {device} is {now} now, expected {first} as at first; {EXCHANGED}")
    return now


def chosen(found: Sequence[Device], device: str | None) -> str:
    """
    Return which camera to open: the one of that id, serial number or address, or the only one there is.

    Args:
        device: None = the only one. An address that did not answer is returned as it is: it may lie behind a router.

    Raises:
        CameraError: there is none, or more than one; says which were found.
    """
    fitting = [f for f in found if device is None or device in (f.id, f.serial, f.address)]
    if len(fitting) == 1:
        return fitting[0].id
    there = ", ".join(f"{f.id} (serial {f.serial}, {f.address or f.protocol})" for f in found)
    there = there or "none; check cable, power, the addresses of camera and host, the firewall, and the rights on USB"
    if device is None:
        expected = "a GenICam camera" if not found else "one GenICam camera alone, or device to name one of them"
        raise CameraError(f"expected {expected}; found {there}")
    if fitting:
        raise CameraError(f"device {device} fits more than one; name it by its id; found {there}")
    if _ADDRESS.fullmatch(device):
        return device
    raise CameraError(f"device {device} is not there; found {there}")
