"""What waits of one sender and of all has a bound, and reading it never takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from edge.station import anteroom as module
from edge.station.anteroom import Anteroom
from tests.support.engines import Clock

Connect = Callable[[], "zmq.Socket[bytes]"]
PATIENCE_MS = 20_000


class Ticking(Clock):
    """A clock on which each look takes a microsecond: bounds of time are bounds of work."""

    def now_us(self) -> int:
        self.us += 1
        return self.us


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


@pytest.fixture
def router(tmp_path: Path) -> Iterator[zmq.Socket[bytes]]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.rcvhwm = 0
    socket.bind(f"ipc://{tmp_path}/room")
    yield socket
    context.destroy(linger=0)


@pytest.fixture
def room(router: zmq.Socket[bytes], clock: Ticking) -> Anteroom:
    return Anteroom(router, clock)


@pytest.fixture
def connect(router: zmq.Socket[bytes], tmp_path: Path) -> Iterator[Connect]:
    """Return a maker of peers."""
    made: list[zmq.Socket[bytes]] = []

    def connected() -> zmq.Socket[bytes]:
        made.append(router.context.socket(zmq.DEALER))
        made[-1].sndhwm = 0
        made[-1].connect(f"ipc://{tmp_path}/room")
        return made[-1]

    yield connected
    for peer in made:
        peer.close(0)


def read_all(room: Anteroom, router: zmq.Socket[bytes]) -> int:
    """Read until nothing comes any more; return how many calls it took."""
    calls = 0
    while router.poll(300):
        room.read()
        calls += 1
    return calls


def clock_of(room: Anteroom) -> Ticking:
    clock = room._clock
    assert isinstance(clock, Ticking)
    return clock


def taken(room: Anteroom) -> list[bytes]:
    """Return all that waits, without the senders."""
    bodies = []
    while (message := room.take()) is not None:
        bodies.append(message[-1])
    return bodies


def test_each_sender_has_its_turn(room: Anteroom, router: zmq.Socket[bytes], connect: Connect) -> None:
    """Who sent many messages first does not keep the one of another waiting."""
    one, other = connect(), connect()
    for n in range(50):
        one.send(b"one %d" % n)
    assert router.poll(PATIENCE_MS)
    other.send(b"other")
    read_all(room, router)
    bodies = taken(room)
    assert b"other" in bodies[:3]
    assert len(bodies) == 51
    assert not room.waits


def test_reading_ends_though_more_has_come(room: Anteroom, router: zmq.Socket[bytes], connect: Connect) -> None:
    """One call reads for its time and no longer; the next one goes on."""
    peers = [connect() for _ in range(8)]
    for n in range(900):
        for peer in peers:
            peer.send(b"%d" % n)
    assert read_all(room, router) > 2
    assert len(taken(room)) == 8 * 900


def test_who_lets_too_much_wait_is_cut_off(room: Anteroom, router: zmq.Socket[bytes], connect: Connect) -> None:
    """It and what it sent are gone; others lose nothing."""
    flood, other = connect(), connect()
    other.send(b"other")
    for _ in range(module.MOST_WAITING + 500):
        flood.send(b"flood")
    read_all(room, router)
    assert taken(room) == [b"other"]


def test_bytes_that_wait_have_a_bound_too(room: Anteroom, router: zmq.Socket[bytes], connect: Connect) -> None:
    """Large messages are too many long before small ones."""
    flood = connect()
    for _ in range(3 + module.MOST_BYTES // 60_000):
        flood.send(bytes(60_000))
    read_all(room, router)
    assert not room.waits


def test_a_full_room_still_hears_who_has_nothing_waiting(
    room: Anteroom, router: zmq.Socket[bytes], connect: Connect
) -> None:
    """Many floods below each limit fill it together; then those are cut off that go on, and a new voice is heard."""
    floods = [connect() for _ in range(module.ALL_WAITING // module.MOST_WAITING + 2)]
    for _ in range(module.MOST_WAITING):
        for flood in floods:
            flood.send(b"flood")
    read_all(room, router)
    late = connect()
    late.send(b"late")
    read_all(room, router)
    bodies = taken(room)
    assert b"late" in bodies
    assert len(bodies) <= module.ALL_WAITING + len(floods)


def test_who_has_little_waiting_is_spared_in_a_full_room(
    room: Anteroom, router: zmq.Socket[bytes], connect: Connect
) -> None:
    """Others fill the room, and seconds pass: those go, the most first, and no request of who asks as one should."""
    calm = connect()
    floods = [connect() for _ in range(module.ALL_WAITING // 900 + 3)]
    calm.send(b"calm")
    for n in range(900):
        for flood in floods:
            flood.send(b"flood")
        if n % 100 == 99:
            calm.send(b"calm")
    read_all(room, router)
    clock_of(room).us += 2_000_000
    calm.send(b"calm")
    read_all(room, router)
    bodies = taken(room)
    assert bodies.count(b"calm") == 11
    assert len(bodies) <= module.ALL_WAITING


def test_who_has_the_most_is_cut_off_though_it_is_silent_now(
    room: Anteroom, router: zmq.Socket[bytes], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It filled the room a second ago, and its connection is known still."""
    monkeypatch.setattr(module, "ALL_WAITING", 100)
    flood, calm = connect(), connect()
    with flood.get_monitor_socket(zmq.EVENT_DISCONNECTED) as told:
        for _ in range(100):
            flood.send(b"flood")
        read_all(room, router)
        clock_of(room).us += 2_000_000
        calm.send(b"calm")
        read_all(room, router)
        assert told.poll(PATIENCE_MS)
    assert taken(room) == [b"calm"]


def test_many_who_have_little_are_not_cut_off(
    room: Anteroom, router: zmq.Socket[bytes], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has nothing waiting is heard; the second message of another is lost, and may be sent again later."""
    monkeypatch.setattr(module, "ALL_WAITING", 5)
    peers = [connect() for _ in range(8)]
    for word in (b"first", b"second"):
        for peer in peers:
            peer.send(word)
            assert router.poll(PATIENCE_MS)
            read_all(room, router)
    assert taken(room) == [b"first"] * 8
    peers[0].send(b"again")
    read_all(room, router)
    assert taken(room) == [b"again"]


def test_a_message_of_many_parts_is_skipped_in_pieces(
    room: Anteroom, router: zmq.Socket[bytes], connect: Connect
) -> None:
    """It is not read at one go, its sender is cut off, and who comes after it is heard."""
    hostile, other = connect(), connect()
    hostile.send_multipart([b""] * 20_000)
    assert router.poll(PATIENCE_MS)
    other.send(b"other")
    assert read_all(room, router) > 3
    assert taken(room) == [b"other"]


def test_a_message_of_some_parts_is_taken_whole(room: Anteroom, router: zmq.Socket[bytes], connect: Connect) -> None:
    """What a REQ socket sends, and small mistakes, come as they were sent."""
    peer = connect()
    peer.send_multipart([b"", b"a", b"b"])
    read_all(room, router)
    message = room.take()
    assert message is not None
    assert message[1:] == [b"", b"a", b"b"]
