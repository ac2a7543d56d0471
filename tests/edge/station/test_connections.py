"""Connections of a public socket: who sends too much is cut off, and nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from edge.station.connections import Connections
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
        Connections(sockets[0], 1, FakeClock())._cut(ours.fileno())
        other.sendall(b"still there")
        assert ours.recv(11) == b"still there"
