"""What the station asks for: read at once by a thread of its own, since a picture must not wait for an engine."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import zmq

from edge.errors import CameraHangs, EdgeError, WireError
from edge.inspector.equipment import Equipment
from edge.inspector.link import Fire, Inspect, Stop, ToInspector, receive_from_station

# Both processes are up: only a machine that stalls takes longer.
_CONNECT_MS = 10_000


@dataclass(frozen=True)
class Loaded:
    """The loader's word to the engine thread: other equipment is ready, or why it is not."""

    equipment: Equipment | EdgeError


@dataclass(frozen=True)
class GivenUp:
    """A camera thread's word to the engine thread: only a new process can open its camera."""

    error: CameraHangs


Order: TypeAlias = ToInspector | Loaded | GivenUp


class Orders(threading.Thread):
    """
    Hands each Fire to its cameras' threads when it comes, and keeps everything else for the engine thread, in order.

    Connect it, then start it.

    Args:
        cameras: by name, what takes a Fire; must not block.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        cameras: Mapping[str, Callable[[Fire], None]],
    ) -> None:
        super().__init__(name="orders", daemon=True)
        self._socket: zmq.Socket[bytes] = context.socket(zmq.PULL)
        self._endpoint = endpoint
        self._cameras = cameras
        self._waiting: queue.SimpleQueue[Order] = queue.SimpleQueue()
        # Each number has one thread that changes it, so that no lock is needed.
        self._inspections_in = self._inspections_out = 0

    def connect(self, timeout_ms: int = _CONNECT_MS) -> None:
        """
        Connect to the station and wait until it has shaken hands: what it orders from then on finds a taker.

        Args:
            timeout_ms: how long the station may take [ms].

        Raises:
            WireError: it did not take the connection in time.
        """
        # connect() returns before anything is connected, and the station's socket refuses what nobody takes.
        monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        try:
            self._socket.connect(self._endpoint)
            if not monitor.poll(timeout_ms):
                raise WireError(
                    f"{self._endpoint}: the station took no connection for {timeout_ms} ms, expected one at once; "
                    "look whether it hangs"
                )
        finally:
            self._socket.disable_monitor()
            monitor.close(linger=0)

    def run(self) -> None:
        with self._socket as socket:
            message: ToInspector | None = None
            while not isinstance(message, Stop):
                socket.poll()
                message = receive_from_station(socket)
                if isinstance(message, Fire):
                    self._fire(message)
                else:
                    self._inspections_in += isinstance(message, Inspect)
                    self._waiting.put(message)

    def next(self, timeout_s: float) -> Order | None:
        """Return the next order, None when none comes for so long; for the engine thread."""
        try:
            order = self._waiting.get(timeout_s > 0, timeout_s or None)
        except queue.Empty:
            return None
        self._inspections_out += isinstance(order, Inspect)
        return order

    def part_waits(self) -> bool:
        """Tell whether another part is to be inspected; for the engine thread."""
        return self._inspections_in > self._inspections_out

    def put(self, word: Loaded | GivenUp) -> None:
        """Wake the engine thread with another thread's word."""
        self._waiting.put(word)

    def _fire(self, fire: Fire) -> None:
        for name in fire.cameras:
            self._cameras[name](fire)
