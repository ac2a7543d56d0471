"""The connections of a public socket: one that sends more in a second than anybody means is cut off."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import zmq

from edge.clock import Clock

_SO_COOKIE = 57
_COOKIE_BYTES = 8


class Way(NamedTuple):
    """By which connection a message came."""

    descriptor: int
    """Given anew to the next connection as soon as this one has ended."""
    cookie: bytes
    """Linux's own name of the connection, given once; empty when it has ended already."""


@dataclass
class _Peer:
    way: Way | None
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
        self._peers[peer] = _Peer(way_of(message))

    def is_flood(self, peer: Hashable, weight: int = 1) -> bool:
        """Count so many messages of *peer*; tell whether that is too many, and cut it off then."""
        known = self._peers[peer]
        known.sent += weight
        if known.sent > self._a_second:
            self.cut(peer)
        return known.cut

    def way(self, peer: Hashable) -> Way | None:
        """Return the connection of *peer*, which has been noted in this second."""
        return self._peers[peer].way

    def cut(self, peer: Hashable, way: Way | None = None) -> None:
        """
        End the connection of *peer*; what it sent before still comes, and is flood, too.

        Args:
            way: its connection, of one that need not have been noted in this second.
        """
        known = self._peers.setdefault(peer, _Peer(way))
        if not known.cut:
            known.cut = True
            if known.way is not None:
                self._cut(known.way)

    def none_waits(self) -> None:
        """Note that everything was read; nothing comes any more of those that were cut off."""
        self._peers = {key: known for key, known in self._peers.items() if not known.cut}

    def _cut(self, way: Way) -> None:
        """
        End a connection; libzmq itself sees to the rest, as when the peer had ended it.

        By now the descriptor may belong to another, which is left alone. One that took it over before its peer was
        noted passes for it, but is cut only if it is of this endpoint, too: it then connects again.
        """
        with _borrowed(way.descriptor) as connection:
            if connection is not None and _cookie(connection) == way.cookie and self._is_ours(connection):
                with contextlib.suppress(OSError):  # It has gone already.
                    connection.shutdown(socket.SHUT_RDWR)

    def _is_ours(self, connection: socket.socket) -> bool:
        name = connection.getsockname()
        if isinstance(name, tuple):
            return self._endpoint.startswith("tcp://") and self._endpoint.endswith(f":{name[1]}")
        if isinstance(name, bytes):  # An abstract name begins with a zero; libzmq writes it as @.
            name = f"@{name[1:].decode(errors='replace')}"
        return self._endpoint == f"ipc://{name}"


def way_of(message: zmq.Frame) -> Way | None:
    """Return by which connection a message came; None where libzmq does not know, and nothing can be cut."""
    try:
        descriptor = int(message.get(zmq.SRCFD))
    except zmq.ZMQError:
        return None
    if descriptor < 0:
        return None
    with _borrowed(descriptor) as connection:
        return Way(descriptor, b"" if connection is None else _cookie(connection))


@contextlib.contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket | None]:
    """Give the connection behind a descriptor that libzmq owns, and may end meanwhile; None when there is none."""
    try:
        own = os.dup(descriptor)
    except OSError:
        yield None
        return
    try:
        connection = socket.socket(fileno=own)
    except OSError:  # It is no socket any more.
        os.close(own)
        yield None
        return
    with connection:
        yield connection


def _cookie(connection: socket.socket) -> bytes:
    return connection.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, _COOKIE_BYTES)
