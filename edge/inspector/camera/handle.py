"""What a live source's thread holds: an open device or stream, of which one picture after the other is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import CameraError
from edge.inspector.camera.relay import Relay
from edge.inspector.camera.video import address_of, described, opened, shown
from edge.settings import OpenCVSource


@dataclass(frozen=True)
class Read:
    """
    What came.

    Attributes:
        picture: None = it is damaged.
        stamp_s: its time stamp within the stream [s]; None = none that could be trusted.
        complete: it needs no picture before it.
        waited: False = it lay there already when it was asked for.
        damage: what is wrong with it.
        lost: so many times packets were missing since the open.
    """

    picture: NDArray[Any] | None
    stamp_s: float | None = None
    complete: bool = True
    waited: bool = True
    damage: str = ""
    lost: int = 0


class Handle(Protocol):
    def read(self) -> Read | None:
        """Return what comes next; blocks until it does. None: it is dead, only another handle helps."""
        ...

    def described(self, rate_hz: float | None) -> str:
        """Return one line for people; rate_hz: as measured."""
        ...

    def release(self) -> None: ...


class Capture:
    """
    OpenCV's.

    Raises:
        CameraError: it does not open, or a setting reads back differently.
    """

    def __init__(self, source: OpenCVSource) -> None:
        self._source = source
        self._relay = _relay_to(source)
        try:
            self._capture = opened(source, None if self._relay is None else _by(source, self._relay))
        except CameraError:
            self._end_relay()
            raise

    def read(self) -> Read | None:
        good, image = self._capture.read()
        # After one failed read the handle is dead for good although isOpened() stays true.
        if not good or image is None:
            return None
        picture: NDArray[Any] = np.asarray(image)
        if not self._source.is_rtsp:
            return Read(picture)
        stamp_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        complete = self._capture.get(cv2.CAP_PROP_FRAME_TYPE) == ord("I")
        return Read(picture, stamp_s, complete=complete, lost=0 if self._relay is None else self._relay.lost)

    def described(self, rate_hz: float | None) -> str:
        return described(self._capture, self._source, rate_hz)

    def release(self) -> None:
        self._capture.release()
        self._end_relay()

    def _end_relay(self) -> None:
        if self._relay is not None:
            self._relay.close()


def _relay_to(source: OpenCVSource) -> Relay | None:
    # What is encrypted cannot be looked at on its way.
    if not str(source.device).lower().startswith("rtsp://"):
        return None
    try:
        return Relay(*address_of(source))
    except (OSError, ValueError) as error:
        raise CameraError(f"camera {shown(source)}: does not open: {error}; check address and port") from error


def _by(source: OpenCVSource, relay: Relay) -> str:
    """Return the address by which a relay is asked for what the camera has: as behind a forwarded port."""
    parts = urlsplit(str(source.device))
    user = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user[0]}{user[1]}127.0.0.1:{relay.port}"))
