"""The control socket: a request is carried out once, and everything that is none is answered all the same."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.errors import ConfigurationError
from edge.records import Mode
from edge.requests import (
    AnyAnswer,
    AnyRequest,
    AskStatus,
    Done,
    Pause,
    Refusal,
    Refused,
    Replay,
    Replayed,
    Selftest,
    Trigger,
    Triggered,
)
from edge.station import anteroom
from edge.station import control as module
from edge.station.control import Asked, Control
from edge.wire import answer_from_frames, frame_from_request
from tests.support.station import START_US, FakeClock

PATIENCE_MS = 20_000
Context = zmq.Context[zmq.Socket[bytes]]
Connect = Callable[..., zmq.Socket[bytes]]


@pytest.fixture
def context() -> Iterator[Context]:
    """Return a context whose sockets are closed at the end."""
    context: Context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def control(context: Context, clock: FakeClock, tmp_path: Path) -> Iterator[Control]:
    """Return a bound socket."""
    control = Control(context, f"ipc://{tmp_path}/control", clock)
    yield control
    control.close(0)


@pytest.fixture
def connect(context: Context, control: Control, tmp_path: Path) -> Iterator[Connect]:
    """Return a maker of askers."""
    made: list[zmq.Socket[bytes]] = []

    def connected(kind: int = zmq.DEALER, routing_id: bytes = b"") -> zmq.Socket[bytes]:
        socket = context.socket(kind)
        made.append(socket)
        socket.linger = 0
        if routing_id:
            socket.setsockopt(zmq.ROUTING_ID, routing_id)
        socket.connect(f"ipc://{tmp_path}/control")
        return socket

    yield connected
    for socket in made:
        socket.close(0)


def trigger(id_: str, part_id: str | None = None) -> Trigger:
    return Trigger(version=1, id=id_, part_id=part_id, tag=None, counter=None, mode=Mode.PRODUCTION, cameras=None)


def triggered(part: int) -> Triggered:
    return Triggered(version=1, id="", now_us=0, part=part, trigger_us=1, deadline_us=2, journaled=True)


def refused(code: Refusal) -> Refused:
    return Refused(version=1, id="", now_us=0, code=code, text="why")


def received(control: Control) -> Asked | None:
    """Read and receive once, as a cycle of the loop does."""
    control.read()
    return control.receive()


def taken(control: Control) -> Asked:
    """Return the next request; one that is answered by the socket itself may come before it."""
    while control.waits or control.socket.poll(PATIENCE_MS):
        asked = received(control)
        if asked is not None:
            return asked
    raise AssertionError("nothing came")


def turned_away(control: Control, asker: zmq.Socket[bytes]) -> AnyAnswer:
    """Let the socket work until the asker has an answer; nothing may come through to be carried out."""
    while not asker.poll(0):
        assert zmq.select([control.socket, asker], [], [], PATIENCE_MS / 1000)[0], "no answer"
        assert received(control) is None
    return answered(asker)


def answered(asker: zmq.Socket[bytes]) -> AnyAnswer:
    assert asker.poll(PATIENCE_MS), "no answer"
    *envelope, answer = asker.recv_multipart()
    # An empty part before the request is the form of a REQ socket, and comes back.
    assert envelope in ([], [b""])
    return answer_from_frames([answer])


def carried_out(control: Control, asker: zmq.Socket[bytes], request: AnyRequest, answer: AnyAnswer) -> AnyAnswer:
    asker.send(frame_from_request(request))
    control.answer(taken(control), answer)
    return answered(asker)


@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
def test_request_is_taken_and_answered(kind: int, control: Control, connect: Connect) -> None:
    """DEALER and REQ are answered in their own form, under the request's id, with the time of the answer."""
    asker = connect(kind)
    asker.send(frame_from_request(trigger("a")))
    asked = taken(control)
    assert asked.request == trigger("a")
    control.answer(asked, triggered(7))
    assert answered(asker) == msgspec.structs.replace(triggered(7), id="a", now_us=START_US)


def test_nothing_there_is_none(control: Control) -> None:
    """Without a request there is no waiting."""
    assert received(control) is None


def test_payload_follows_the_answer(control: Control, connect: Connect) -> None:
    """The verdicts of a replay are the further parts."""
    asker = connect()
    asker.send(frame_from_request(Replay(version=1, id="a", epoch=1, seq=0, limit=2)))
    page = Replayed(version=1, id="", now_us=0, count=2, epoch=1, seq=2, end=True, missing=None)
    control.answer(taken(control), page, [b"one", b"two"])
    assert asker.poll(PATIENCE_MS)
    assert asker.recv_multipart()[1:] == [b"one", b"two"]


@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ])
@pytest.mark.parametrize(
    "parts",
    [
        [b"no json"],
        [b""],
        [b"x" * 65_537],
        [frame_from_request(trigger("a")), b"more"],
        [b"", frame_from_request(trigger("a")), b"more"],
        [b"", b"", b""],
        [b"x"] * 50,
    ],
)
def test_malformed_is_answered(kind: int, parts: list[bytes], control: Control, connect: Connect) -> None:
    """What is no request, or too many parts, is told so and never comes through."""
    asker = connect(kind)
    asker.send_multipart(parts)
    answer = turned_away(control, asker)
    assert isinstance(answer, Refused)
    assert (answer.code, answer.id, answer.now_us) == (Refusal.MALFORMED, "", START_US)


def test_other_version_is_answered_under_its_id(control: Control, connect: Connect) -> None:
    """A newer asker learns that this station is older."""
    asker = connect()
    asker.send(json.dumps({"request": "trigger", "version": 2, "id": "a", "colour": "red"}).encode())
    answer = turned_away(control, asker)
    assert isinstance(answer, Refused)
    assert (answer.code, answer.id) == (Refusal.VERSION, "a")


def test_enormous_part_cuts_the_peer_off(control: Control, connect: Connect) -> None:
    """A part that would not be held in memory is not even read; others are served."""
    hostile = connect()
    hostile.send(b"x" * 1_000_000)
    assert carried_out(control, connect(), trigger("a"), triggered(1)).id == "a"
    assert not hostile.poll(0)


def test_repeated_request_is_carried_out_once(control: Control, connect: Connect, clock: FakeClock) -> None:
    """The same request again has the same answer with a new time, from another connection too."""
    first = carried_out(control, connect(), trigger("a"), triggered(7))
    clock.us += 5000
    asker = connect()
    asker.send(frame_from_request(trigger("a")))
    again = turned_away(control, asker)
    assert again == msgspec.structs.replace(first, now_us=START_US + 5000)  # type: ignore[type-var]


def test_request_repeated_while_it_waits_is_answered_once(control: Control, connect: Connect) -> None:
    """The answer goes to the latest connection, and to no other."""
    old, new = connect(), connect()
    old.send(frame_from_request(trigger("a")))
    asked = taken(control)
    new.send(frame_from_request(trigger("a")))
    assert control.socket.poll(PATIENCE_MS)
    assert received(control) is None
    control.answer(asked, triggered(7))
    assert answered(new).id == "a"
    assert not old.poll(0)


@pytest.mark.parametrize("wait", [True, False])
def test_id_of_another_request_is_refused(wait: bool, control: Control, connect: Connect) -> None:
    """An id that is taken, by a request in hand or by one that is done, is told so."""
    asker, other = connect(), connect()
    asker.send(frame_from_request(trigger("a", "part 1")))
    asked = taken(control)
    if not wait:
        control.answer(asked, triggered(7))
    other.send(frame_from_request(trigger("a", "part 2")))
    answer = turned_away(control, other)
    assert isinstance(answer, Refused)
    assert (answer.code, answer.id) == (Refusal.ID_USED, "a")
    assert "id = a" in answer.text


def test_final_refusal_stays(control: Control, connect: Connect) -> None:
    """A trigger that bounced stays refused when it is repeated after the debounce time: it is still the same one."""
    asker = connect()
    first = carried_out(control, asker, trigger("a"), refused(Refusal.BOUNCED))
    asker.send(frame_from_request(trigger("a")))
    assert turned_away(control, asker) == first


@pytest.mark.parametrize("code", sorted(module.NOT_YET))
def test_refusal_for_now_is_tried_anew(code: Refusal, control: Control, connect: Connect) -> None:
    """What could not be done at the time is carried out when it is repeated."""
    asker = connect()
    assert isinstance(carried_out(control, asker, trigger("a"), refused(code)), Refused)
    assert isinstance(carried_out(control, asker, trigger("a"), triggered(7)), Triggered)


def test_question_may_come_again(control: Control, connect: Connect) -> None:
    """A request that changes nothing is carried out as often as it comes."""
    asker = connect()
    request = AskStatus(version=1, id="a")
    for text in ("one", "two"):
        done = carried_out(control, asker, request, Done(version=1, id="", now_us=0, text=text))
        assert isinstance(done, Done)
        assert done.text == text


def test_trigger_of_an_earlier_run_is_known(control: Control, connect: Connect) -> None:
    """What the journal remembers is answered without being carried out; another request under its id is refused."""
    control.remember("a", triggered(7), (trigger("a").part_id, trigger("a").tag, trigger("a").counter))
    asker = connect()
    asker.send(frame_from_request(trigger("a")))
    assert turned_away(control, asker) == msgspec.structs.replace(triggered(7), id="a", now_us=START_US)
    for other in (
        Pause(version=1, id="a", role="r", reason="w", minutes=1),
        msgspec.structs.replace(trigger("a"), counter=99),
    ):
        asker.send(frame_from_request(other))
        answer = turned_away(control, asker)
        assert isinstance(answer, Refused)
        assert answer.code is Refusal.ID_USED


def test_memory_of_ids_is_bounded(control: Control, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest id is forgotten; one that was asked for lately is not the oldest."""
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    asker = connect()
    for part, id_ in enumerate(("a", "b")):
        carried_out(control, asker, trigger(id_), triggered(part))
    asker.send(frame_from_request(trigger("a")))
    turned_away(control, asker)
    carried_out(control, asker, trigger("c"), triggered(2))
    asker.send(frame_from_request(trigger("a")))
    assert turned_away(control, asker).id == "a"
    asker.send(frame_from_request(trigger("b")))
    assert taken(control).request.id == "b"


def test_requests_in_hand_are_bounded(control: Control, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound one is told to repeat it, and is served when there is room."""
    monkeypatch.setattr(module, "_IN_HAND", 1)
    asker = connect()
    asker.send(frame_from_request(Selftest(version=1, id="a")))
    first = taken(control)
    asker.send(frame_from_request(Selftest(version=1, id="b")))
    answer = turned_away(control, asker)
    assert isinstance(answer, Refused)
    assert answer.code is Refusal.BUSY
    control.answer(first, Done(version=1, id="", now_us=0, text="passed"))
    assert answered(asker).id == "a"
    asker.send(frame_from_request(Selftest(version=1, id="b")))
    assert taken(control).request.id == "b"


def test_flood_leaves_the_loop_its_turn(control: Control, connect: Connect) -> None:
    """One call ends after a few malformed messages however many wait, and the rest is still said to wait."""
    asker = connect()
    for _ in range(50):  # Fewer than may wait for one peer: no answer is lost.
        asker.send(b"flood")
    calls = answers = 0
    while answers < 50:
        if control.waits or control.socket.poll(0):
            assert received(control) is None
            calls += 1
        while asker.poll(0):
            asker.recv_multipart()
            answers += 1
    assert calls >= 50 / module._AT_ONCE


def test_flood_that_reads_no_answer_keeps_nobody_out(control: Control, connect: Connect) -> None:
    """A peer that only sends loses answers; the station does not block, and another is served."""
    hostile, asker = connect(), connect()
    hostile.sndhwm = 1
    for _ in range(2000):
        hostile.send(b"flood", zmq.DONTWAIT) if hostile.poll(0, zmq.POLLOUT) else received(control)
    assert carried_out(control, asker, trigger("a"), triggered(1)).id == "a"


def test_flood_is_cut_off_and_others_are_served(control: Control, connect: Connect, clock: FakeClock) -> None:
    """Who sends too much in a second loses its connection; another is served, and it again when it has come back."""
    hostile, asker = connect(), connect()
    hostile.sndhwm = hostile.rcvhwm = 0  # With its answers held back it would not see that it is cut off.
    with hostile.get_monitor_socket(zmq.EVENT_DISCONNECTED) as told:
        for _ in range(anteroom.A_SECOND + 1000):
            hostile.send(b"flood")
        assert carried_out(control, asker, trigger("a"), triggered(1)).id == "a"
        while not told.poll(0):
            received(control)
    while control.waits or control.socket.poll(300):
        assert received(control) is None
    clock.us += 1_000_000
    hostile.send(frame_from_request(trigger("b")))
    asked = taken(control)
    assert asked.request.id == "b"


def test_so_many_in_each_second_are_no_flood(control: Control, connect: Connect, clock: FakeClock) -> None:
    """Seconds are counted apart, and who keeps to them is answered each time."""
    asker = connect()
    for n in range(3):
        for m in range(anteroom.A_SECOND // 2):
            carried_out(control, asker, AskStatus(version=1, id=f"{n}.{m}"), refused(Refusal.BUSY))
        clock.us += 1_000_000


# A station's control socket, and peers that speak ZMTP by hand.
HAND_MADE = """
import socket, sys, zmq
from edge.clock import SYSTEM_CLOCK
from edge.station.control import Control

def connected(name):
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(sys.argv[1])
    peer.sendall(b"\\xff" + bytes(8) + b"\\x7f" + bytes([3, 1]) + b"NULL".ljust(52, bytes(1)))
    peer.recv(64, socket.MSG_WAITALL)
    ready = b"\\5READY" + b"\\x0bSocket-Type" + bytes([0, 0, 0, 6]) + b"DEALER"
    ready += b"\\x08Identity" + bytes([0, 0, 0, len(name)]) + name
    peer.sendall(bytes([4, len(ready)]) + ready)
    peer.recv(peer.recv(2, socket.MSG_WAITALL)[1], socket.MSG_WAITALL)
    return peer

hello = bytes([0, 5]) + b"hello"
ping = bytes([4, 7]) + b"\\4PING" + bytes(2)
context = zmq.Context()
control = Control(context, "ipc://" + sys.argv[1], SYSTEM_CLOCK)

def received(control):
    control.read()
    return control.receive()
"""

# With a limit on what waits libzmq aborts here: it answers a ping that it reads after the peer's end.
PINGS = """
hostile = connected(b"")
hostile.sendall((hello * 5 + ping) * 300)
control.socket.poll(10_000)
hostile.close()
while control.waits or control.socket.poll(300):
    received(control)
"""

# With handover libzmq aborts here: its own next ping, within a second, goes to a peer whose end it knows.
SAME_NAME = """
old = connected(b"plc")
old.sendall(hello)
control.socket.poll(10_000)
received(control)
new = connected(b"plc")
new.sendall(hello)
control.socket.poll(300)
received(control)
old.sendall(hello)
control.socket.poll(300)
received(control)
old.close()
third = connected(b"")
while third.recv(2, socket.MSG_WAITALL) != bytes([4, 7]):  # Our own heartbeats go on.
    pass
"""


@pytest.mark.parametrize("deed", [PINGS, SAME_NAME], ids=["pings", "same name"])
def test_no_peer_ends_the_process(deed: str, tmp_path: Path) -> None:
    """What libzmq asserts of a connection that has gone must not be reached by anything that a peer can do."""
    code = HAND_MADE + deed + "context.destroy(0)"
    command = [sys.executable, "-c", code, f"{tmp_path}/flood"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_answer_to_a_peer_that_has_gone_costs_nothing(control: Control, connect: Connect) -> None:
    """It is dropped, and the next peer is served."""
    gone = connect()
    gone.send(frame_from_request(trigger("a")))
    asked = taken(control)
    gone.close(0)
    control.answer(asked, triggered(1))
    assert carried_out(control, connect(), trigger("b"), triggered(2)).id == "b"


def test_routing_id_in_use_stays_with_its_connection(control: Control, connect: Connect) -> None:
    """A second asker under the same routing id is not heard, and takes nothing from the first."""
    first, second = connect(routing_id=b"plc"), connect()
    assert carried_out(control, first, trigger("a"), triggered(1)).id == "a"
    again = connect(routing_id=b"plc")
    again.send(frame_from_request(trigger("b")))
    assert carried_out(control, second, trigger("c"), triggered(2)).id == "c"
    assert carried_out(control, first, trigger("d"), triggered(3)).id == "d"
    assert not again.poll(0)


def test_taken_address_is_refused(control: Control, context: Context, clock: FakeClock, tmp_path: Path) -> None:
    """A second station on the same endpoint is told the key."""
    with pytest.raises(ConfigurationError, match=r"endpoints\.control"):
        Control(context, f"ipc://{tmp_path}/control", clock)


frames = st.lists(
    st.binary(max_size=50)
    | st.sampled_from(
        [b"", b"{}", b"null", b'{"request":"status"}', b'{"version":2,"id":"x"}', b'{"x":' + b"[" * 9000]
    ),
    min_size=1,
    max_size=4,
)


@given(message=frames)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_message_is_answered_once(message: list[bytes], control: Control, connect: Connect) -> None:
    """Whatever a DEALER sends that is no request, it is answered by one refusal, and the socket lives on."""
    asker = connect()
    asker.send_multipart(message)
    assert isinstance(turned_away(control, asker), Refused)
    asker.close(0)
    assert received(control) is None


RUNS = itertools.count()
steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.sampled_from(["answer", "keep", "not yet"])), max_size=12
)


@given(schedule=steps)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_trigger_is_carried_out_once(
    schedule: list[tuple[str, int, str]], control: Control, connect: Connect
) -> None:
    """Whichever connection repeats it, before or after its answer: it comes through once, and all are told the same."""
    run = next(RUNS)
    askers = [connect() for _ in range(3)]
    held: dict[str, Asked] = {}
    parts: dict[str, int] = {}
    for name, number, then in schedule:
        id_ = f"{run}-{name}"
        askers[number].send(frame_from_request(trigger(id_)))
        assert control.socket.poll(PATIENCE_MS)
        asked = received(control)
        assert (asked is not None) == (id_ not in parts)
        if asked is None:
            continue
        if then == "not yet":
            control.answer(asked, refused(Refusal.NOT_READY))
            continue
        parts[id_] = len(parts)
        held[id_] = asked
        if then == "answer":
            control.answer(held.pop(id_), triggered(parts[id_]))
    for id_, asked in held.items():
        control.answer(asked, triggered(parts[id_]))
    last = connect()
    for id_, part in parts.items():
        last.send(frame_from_request(trigger(id_)))
        answer = turned_away(control, last)
        assert isinstance(answer, Triggered)
        assert (answer.id, answer.part) == (id_, part)
    for asker in (*askers, last):
        asker.close(0)
