"""The socket at which verdicts and heartbeats come as they are published."""

from __future__ import annotations

import zmq

from edge.errors import ConfigurationError
from edge.wire import Published, message_from_frames


class Listener:
    """
    Args:
        endpoint: the station's results; it need not be there yet.
        station: name of the station; empty = whichever speaks there.

    Raises:
        ConfigurationError: *endpoint* is no address.
    """

    def __init__(self, endpoint: str, station: str, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.socket = context.socket(zmq.SUB)
        """To be polled beside others; readable when there may be a message."""
        # No limit: with one libzmq 4.3.5 can abort the process when the station goes (edge/station/control.py).
        self.socket.rcvhwm = 0
        prefix = f"{station}/" if station else ""
        for kind in ("verdict", "status"):  # The status last: its answer proves both.
            self.socket.subscribe(f"{kind}/{prefix}")
        try:
            self.socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.socket.close(0)
            raise ConfigurationError(
                f"endpoint '{endpoint}': {error.strerror}; expected an address like tcp://127.0.0.1:5556"
            ) from error

    def receive(self) -> Published | None:
        """
        Return the next message, None when there is none.

        Raises:
            WireError: it is not what the protocol says.
        """
        return message_from_frames(self.socket.recv_multipart()) if self.socket.poll(0) else None

    def close(self) -> None:
        self.socket.close(0)
