"""What a GenICam camera needs of its driver: the seam between genicam.py and aravis.py. Tests stand in for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Key = Literal["width", "height", "offset_x", "offset_y", "exposure_us", "gain_db", "rate_hz", "packet_size"]
"""Numbers that are written and read back, by the names of the settings."""

SUCCESS = "success"


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
        frame_id: the camera's own.
        stamp_ns: when it was taken, by the camera's clock; 0 = it gives none. Of no use without success.
        arrived_ns: when it began to arrive, monotonic.
        payload: ``image``, or what else it is.
        pixel_format: code of the GenICam Pixel Format Naming Convention.
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
