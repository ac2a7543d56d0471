"""Connections of a public socket: who sends too much is cut off, and nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from edge.station.connections import Connections, Way, way_of
from tests.support.station import FakeClock

PATIENCE_MS = 20_000
Sockets = tuple[zmq.Socket[bytes], zmq.Socket[bytes]]


@pytest.fixture(params=["ipc://{}/bound", "ipc://@edge-test-{}", "tcp://127.0.0.1:*"])
def sockets(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sockets]:
    """Return a bound socket and one that is connected to it."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as bound, context.socket(zmq.DEALER) as peer:
        peer.linger = 0
        bound.bind(request.param.format(tmp_path))
        peer.connect(bound.last_endpoint.decode())
        yield bound, peer


def received(bound: zmq.Socket[bytes], peer: zmq.Socket[bytes]) -> zmq.Frame:
    peer.send(b"hello")
    assert bound.poll(PATIENCE_MS)
    return bound.recv_multipart(copy=False)[-1]


def test_one_too_many_ends_the_connection(sockets: Sockets) -> None:
    """The last that may come is no flood; the next is, and the peer is told by the end of its connection."""
    connections = Connections(sockets[0], 3, FakeClock())
    with sockets[1].get_monitor_socket(zmq.EVENT_DISCONNECTED) as told:
        connections.note("peer", received(*sockets))
        assert not connections.is_flood("peer", 3)
        assert not told.poll(50)
        assert connections.is_flood("peer")
        assert told.poll(PATIENCE_MS)


def test_what_still_comes_of_a_peer_that_was_cut_off_is_flood(sockets: Sockets) -> None:
    """In the next second too, until nothing waits; others are counted anew."""
    clock = FakeClock()
    connections = Connections(sockets[0], 1, clock)
    message = received(*sockets)
    connections.note("calm", message)
    connections.note("cut", message)
    assert connections.is_flood("cut", 2)
    clock.us += 1_000_000
    assert connections.knows("cut")
    assert connections.is_flood("cut")
    assert not connections.knows("calm")
    connections.none_waits()
    assert not connections.knows("cut")


def test_a_descriptor_that_became_something_else_is_left_alone(sockets: Sockets) -> None:
    """A connection that is not of the endpoint goes on, whatever number it has."""
    ours, other = socket.socketpair()
    with ours, other:
        cookie = ours.getsockopt(socket.SOL_SOCKET, 57, 8)
        Connections(sockets[0], 1, FakeClock())._cut(Way(ours.fileno(), cookie))
        other.sendall(b"still there")
        assert ours.recv(11) == b"still there"


def test_who_got_the_number_of_one_that_left_is_not_cut_off(sockets: Sockets) -> None:
    """Descriptors are given anew at once: a newcomer of the same endpoint does not pay for the one before it."""
    bound, newcomer = sockets
    connections = Connections(bound, 1, FakeClock())
    way = way_of(received(bound, newcomer))
    assert way is not None
    with newcomer.get_monitor_socket(zmq.EVENT_DISCONNECTED) as told:
        connections._cut(Way(way.descriptor, b"another."))
        connections._cut(Way(way.descriptor, b""))
        assert not told.poll(100)
        connections._cut(way)
        assert told.poll(PATIENCE_MS)


def test_two_connections_have_two_names(sockets: Sockets) -> None:
    """Each message of one has its name."""
    bound, one = sockets
    with bound.context.socket(zmq.DEALER) as other:
        other.linger = 0
        other.connect(bound.last_endpoint.decode())
        ways = [way_of(received(bound, peer)) for peer in (one, other, one)]
    assert ways[0] == ways[2] != ways[1]
    assert all(way is not None and len(way.cookie) == 8 for way in ways)


def test_a_descriptor_that_is_no_socket_any_more_leaves_none_behind(tmp_path: Path, sockets: Sockets) -> None:
    """Each attempt gives back what it took."""
    connections = Connections(sockets[0], 1, FakeClock())
    received(*sockets)
    with (tmp_path / "file").open("w") as file:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            connections._cut(Way(file.fileno(), b"8 bytes."))
            connections._cut(Way(-1, b""))
        assert len(list(Path("/proc/self/fd").iterdir())) == before
