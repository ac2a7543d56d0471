"""The pictures socket: a few JPEGs a second for people, rejects first; never in the way of a verdict."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import zmq
from numpy.typing import NDArray

from edge.endpoints import bind
from edge.records import Outcome, PictureHeader
from edge.wire import frames_from_message

_QUALITY = 85
# Pictures a slow reader may lie behind before it loses some; it is a view, not a record.
_HIGH_WATER = 4
_SEVERITY = {Outcome.PASS: 0, Outcome.UNKNOWN: 1, Outcome.REJECT: 2}


class PicturePublisher(threading.Thread):
    """
    Sends at most *rate_hz* pictures a second and camera. Of those offered in between, the worst and newest is kept.

    Raises:
        ConfigurationError: the endpoint is in use.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, rate_hz: float) -> None:
        super().__init__(name="pictures", daemon=True)
        self._period_s = 1 / rate_hz
        self._kept: dict[str, tuple[PictureHeader, NDArray[np.uint8]]] = {}
        self._stopping = threading.Event()  # Thread has a method _stop of its own.
        # PUB without ZMQ_CONFLATE: that one delivers no multipart message and mixes topics.
        self._socket = context.socket(zmq.PUB)
        self._socket.linger = 0
        self._socket.sndhwm = _HIGH_WATER
        # With a limit libzmq 4.3.5 can abort the process when a peer goes (edge/station/control.py).
        self._socket.rcvhwm = 0
        bind(self._socket, "pictures", endpoint)

    def offer(self, header: PictureHeader, picture: NDArray[np.uint8]) -> None:
        """Copy *picture* and keep it for the next tick, unless a worse one waits; for the engine thread."""
        waiting = self._kept.get(header.camera)
        if waiting is None or _SEVERITY[header.outcome] >= _SEVERITY[waiting[0].outcome]:
            self._kept[header.camera] = (header, picture.copy())

    def run(self) -> None:
        while not self._stopping.wait(self._period_s):
            for header, picture in self._taken():
                good, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
                if good:
                    self._socket.send_multipart(frames_from_message(header, jpeg.tobytes()))
        self._socket.close()

    def stop(self) -> None:
        self._stopping.set()

    def _taken(self) -> list[tuple[PictureHeader, NDArray[np.uint8]]]:
        # Swapped first: an offer made meanwhile lands in the new dictionary, or at worst is not shown.
        kept, self._kept = self._kept, {}
        return list(kept.values())
