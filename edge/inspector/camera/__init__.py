"""
The camera seam: what a source of frames promises. One file a source.

A camera knows pixels and frame numbers. It does not know tiles, engines or verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from edge.recipe import refuse_missing_package, refuse_other_format
from edge.records import Reason
from edge.settings import (
    ArchiveSource,
    CameraSettings,
    FolderSource,
    GenicamSource,
    OpenCVSource,
    ReplaySource,
    SyntheticSource,
)
from engines.contract import CHANNELS, PixelFormat

LARGEST_TAG = 65535
"""Tags are numbers of 16 bits: they come round."""
# Grey, colour, colour with alpha: each becomes either format, so that with convert_to set none of them is at fault.
_CONVERTIBLE = (1, 3, 4)


@dataclass(frozen=True)
class Actual:
    """What an opened camera really does; settings read back, not what was asked."""

    numbered: bool
    """Frames carry the camera's own numbers, so that a gap proves a missed frame."""
    triggerable: bool
    """A read that begins after a request gives a picture taken after it, never an older one."""
    counts: bool
    """Its numbers go on while it is closed: an independent count of what passed."""
    format: PixelFormat
    description: str
    """One line for people: size, rate, what was asked and what was got."""


@dataclass(frozen=True)
class Frame:
    """
    One picture.

    Attributes:
        image: (h, w) for mono8 or (h, w, 3) for bgr8, uint8. May be reused by the camera's next read: copy it.
        number: the camera's frame number, else our own count since the start.
        captured_us: monotonic time the picture was there [us].
        source: path of a replayed picture below its folder, else the number as text.
        tag: 0..65535, what marks the part, the same for every camera that sees it; None = the source gives none.
    """

    image: NDArray[np.uint8]
    number: int
    captured_us: int
    source: str
    tag: int | None = None


@dataclass(frozen=True)
class Unusable:
    """A part passed, but there is no picture of it that can be inspected: the part is UNKNOWN, the camera goes on."""

    number: int
    captured_us: int
    source: str
    reason: Reason
    detail: str
    tag: int | None = None
    picture: NDArray[Any] | None = field(default=None, compare=False, repr=False)
    """What came all the same, of another size or format: for people to look at, never inspected."""


class Camera(Protocol):
    def open(self, resume_from: int) -> Actual:
        """
        Open the source; frames before number *resume_from* were already reported and are not given again, where the
        source can tell (replay and synthetic).

        Raises:
            CameraError: it does not open, or refuses a setting; says requested and actual.
        """
        ...

    def read(self) -> Frame | Unusable | None:
        """
        Return the next frame, or why there is none of this part; blocks for at most the source's time-out. None: no
        part came meanwhile, and that is no fault, since this source cannot know when one should.

        Raises:
            SourceEnded: there is no further frame, and that is no failure.
            CameraError: the camera is gone; close and open it again.
        """
        ...

    def close(self) -> None: ...


@runtime_checkable
class Watched(Protocol):
    """A camera that can tell, while nobody reads it, that it is gone."""

    def check(self) -> None:
        """
        Look after it; never blocks. Called some times a second while no part is asked for.

        Raises:
            CameraError: it is gone; close and open it again.
        """
        ...


def make_camera(settings: CameraSettings, format_: PixelFormat, *, resumed: bool = False) -> Camera:
    """
    Return the closed camera that *settings* describe.

    Args:
        format_: what the bundle's networks take.
        resumed: another process of the station's run had it open before.

    Raises:
        ConfigurationError: the source can never deliver *format_*, so that every part would be UNKNOWN(geometry); or
            the package that it needs is not installed.
    """
    refuse_other_format(settings, format_)
    refuse_missing_package(settings)
    # Imported here: a station with a file camera should not load the code of the others.
    if isinstance(settings.source, SyntheticSource):
        from edge.inspector.camera.synthetic import SyntheticCamera

        return SyntheticCamera(settings.source, settings.height, settings.width)
    if isinstance(settings.source, ReplaySource):
        from edge.inspector.camera.replay import ReplayCamera

        return ReplayCamera(settings.source, format_, convert=settings.convert_to is not None)
    if isinstance(settings.source, ArchiveSource):
        from edge.inspector.camera.archived import ArchiveCamera

        return ArchiveCamera(settings.source, format_, convert=settings.convert_to is not None)
    if isinstance(settings.source, FolderSource):
        from edge.inspector.camera.folder import FolderCamera

        return FolderCamera(
            settings.source,
            format_,
            convert=settings.convert_to is not None,
            from_arrival=settings.overload != "every",
            resumed=resumed,
        )
    if isinstance(settings.source, OpenCVSource):
        from edge.inspector.camera.opencv import OpenCVCamera

        size = (settings.height, settings.width)
        return OpenCVCamera(settings.source, format_, size, convert=settings.convert_to is not None)
    if isinstance(settings.source, GenicamSource):
        from edge.inspector.camera.aravis import found, open_handle
        from edge.inspector.camera.genicam import GenicamCamera

        return GenicamCamera(settings, settings.source, format_, found, open_handle)
    raise ConfigurationError(f"camera '{settings.name}': no camera for source {settings.source!r}")


def fault_of_format(image: NDArray[np.uint8], format_: PixelFormat) -> str | None:
    """Return what is wrong with a picture's channels and depth for *format_*, None when they fit."""
    channels = 1 if image.ndim == 2 else image.shape[2]
    if image.dtype == np.uint8 and channels == CHANNELS[format_]:
        return None
    found = f"picture with {channels} channel(s) of {image.dtype}, the bundle takes {format_}"
    if image.dtype != np.uint8:
        return f"{found}: expected 8 bit; set the source to 8 bit"
    if channels not in _CONVERTIBLE:
        return f"{found}, and there is no conversion; use another source"
    return f'{found}; set convert_to = "{format_}" for this camera if a conversion is meant'
