"""The connections of a public socket: one that sends more in a second than anybody means is cut off."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Hashable
from dataclasses import dataclass

import zmq

from edge.clock import Clock


@dataclass
class _Peer:
    descriptor: int
    sent: int = 0
    cut: bool = False


class Connections:
    """
    Counts what comes over each, and cuts.

    Cut and not held back: with a finite RCVHWM a peer can abort the process. It sends ZMTP pings until the limit is
    reached, and leaves; libzmq 4.3.5 then answers a ping over a connection that it has given up (zeromq/libzmq issues
    3937, 4364, 4767). No option of ours keeps it from that, so the queue has no limit, and who fills it goes.

    Args:
        publicly: bound.
        a_second: messages that one connection may send.
    """

    def __init__(self, publicly: zmq.Socket[bytes], a_second: int, clock: Clock) -> None:
        self._endpoint = publicly.getsockopt_string(zmq.LAST_ENDPOINT)
        self._a_second = a_second
        self._clock = clock
        self._second = 0
        self._peers: dict[Hashable, _Peer] = {}

    def knows(self, peer: Hashable) -> bool:
        """Say whether *peer* is counted already; else ``note`` comes first."""
        second = self._clock.now_us() // 1_000_000
        if second != self._second:
            self._second = second
            # What was sent before the cut still comes, and is flood too.
            self._peers = {key: known for key, known in self._peers.items() if known.cut}
        return peer in self._peers

    def note(self, peer: Hashable, message: zmq.Frame) -> None:
        """Begin to count *peer*; *message* is of it, received with ``copy=False``: it says by which way it came."""
        self._peers[peer] = _Peer(descriptor_of(message))

    def is_flood(self, peer: Hashable, weight: int = 1) -> bool:
        """Count so many messages of *peer*; tell whether that is too many, and cut it off then."""
        known = self._peers[peer]
        known.sent += weight
        if known.sent > self._a_second:
            self.cut(peer)
        return known.cut

    def cut(self, peer: Hashable) -> None:
        """End the connection of *peer*; what it sent before still comes, and is flood, too."""
        known = self._peers[peer]
        if not known.cut:
            known.cut = True
            self._cut(known.descriptor)

    def none_waits(self) -> None:
        """Note that everything was read; nothing comes any more of those that were cut off."""
        self._peers = {key: known for key, known in self._peers.items() if not known.cut}

    def _cut(self, descriptor: int) -> None:
        """
        End a connection; libzmq itself sees to the rest, as when the peer had ended it.

        By now the descriptor may belong to another: to one of the same endpoint, which then connects again, or to
        something else, which is left alone.
        """
        with (
            contextlib.suppress(OSError),  # It has gone already.
            socket.fromfd(descriptor, socket.AF_UNIX, socket.SOCK_STREAM) as connection,
        ):
            if self._is_ours(connection):
                connection.shutdown(socket.SHUT_RDWR)

    def _is_ours(self, connection: socket.socket) -> bool:
        name = connection.getsockname()
        if isinstance(name, tuple):
            return self._endpoint.startswith("tcp://") and self._endpoint.endswith(f":{name[1]}")
        if isinstance(name, bytes):  # An abstract name begins with a zero; libzmq writes it as @.
            name = f"@{name[1:].decode(errors='replace')}"
        return self._endpoint == f"ipc://{name}"


def descriptor_of(message: zmq.Frame) -> int:
    """Return by which descriptor a message came; -1 where libzmq does not know, and nothing can be cut."""
    try:
        return int(message.get(zmq.SRCFD))
    except zmq.ZMQError:
        return -1
