"""The asker: repeats until it is answered, believes only its own answers, and learns the station's clock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from edge.clock import SYSTEM_CLOCK
from edge.control import ClockComparison, Offset, Requester, new_id
from edge.errors import ConfigurationError, NoAnswer, RequestRefused, WireError
from edge.records import Mode
from edge.requests import AnyAnswer, AnyRequest, AskStatus, Done, Refusal, Refused, Replay, Replayed, Trigger, Triggered
from edge.station.control import Asked, Control
from edge.wire import frame_from_request, frames_from_answer, frames_from_message
from tests.support.records import verdict

PATIENCE_S = 20.0
NEVER_S = 0.05
Serve = Callable[[Callable[[Control, Asked], None]], None]


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """Return a context whose sockets are closed at the end."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/control"


@pytest.fixture
def requester(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> Iterator[Requester]:
    with Requester(endpoint, context) as requester:
        yield requester


@pytest.fixture
def serve(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> Iterator[Serve]:
    """Return a starter of a station that does with each request what it is told, in a thread until the end."""
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def started(act: Callable[[Control, Asked], None]) -> None:
        control = Control(context, endpoint, SYSTEM_CLOCK)

        def run() -> None:
            while not ended.is_set():
                if control.waits or control.socket.poll(20):
                    control.read()
                    if (asked := control.receive()) is not None:
                        act(control, asked)
            control.close(0)

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield started
    ended.set()
    for thread in threads:
        thread.join()


def trigger(id_: str = "a") -> Trigger:
    return Trigger(version=1, id=id_, part_id=None, tag=None, counter=None, mode=Mode.PRODUCTION, cameras=None)


def triggered(part: int) -> Triggered:
    return Triggered(version=1, id="", now_us=0, part=part, trigger_us=1, deadline_us=2, journaled=True)


def always(answer: AnyAnswer) -> Callable[[Control, Asked], None]:
    return lambda control, asked: control.answer(asked, answer)


def test_ids_differ() -> None:
    """No two requests have the same."""
    assert len({new_id() for _ in range(1000)}) == 1000


def test_request_is_answered(requester: Requester, serve: Serve) -> None:
    """The answer is the station's; the station need not be there before the asker."""
    serve(always(triggered(7)))
    answer = requester.ask(trigger(), PATIENCE_S)
    assert isinstance(answer, Triggered)
    assert (answer.id, answer.part) == ("a", 7)


def test_refusal_is_an_answer_or_an_error(requester: Requester, serve: Serve) -> None:
    """ask returns it, demand raises it with its code."""
    serve(always(Refused(version=1, id="", now_us=0, code=Refusal.BOUNCED, text="too soon")))
    assert isinstance(requester.ask(trigger("a"), PATIENCE_S), Refused)
    with pytest.raises(RequestRefused, match=r"refused \(bounced\): too soon") as raised:
        requester.demand(trigger("b"), Triggered, PATIENCE_S)
    assert raised.value.code == "bounced"


def test_unanswered_request_is_repeated_and_counts_once(requester: Requester, serve: Serve) -> None:
    """The same id comes again over another connection, is carried out once, and gets the one answer."""
    carried_out: list[AnyRequest] = []
    answers = threading.Event()

    def act(control: Control, asked: Asked) -> None:
        carried_out.append(asked.request)
        if isinstance(asked.request, AskStatus):
            return
        # Not answered until the next request shows that the asker gave the first connection up.
        while not control.socket.poll(1000):
            assert not answers.is_set()
        control.read()
        assert control.receive() is None
        control.answer(asked, triggered(1))

    serve(act)
    try:
        answer = requester.demand(trigger(), Triggered, timeout_s=0.3, attempts=50)
    finally:
        answers.set()
    assert answer.part == 1
    assert carried_out == [trigger()]


def test_silence_is_told(requester: Requester) -> None:
    """Without a station there is one error, which names endpoint and request."""
    with pytest.raises(NoAnswer, match=r"control: no answer to 'trigger' in 2 x 0\.05 s; does the station run\?"):
        requester.ask(trigger(), NEVER_S, attempts=2)
    assert requester.offset() is None


def test_station_that_comes_later_is_asked(requester: Requester, serve: Serve) -> None:
    """An asker that gave up once is none the worse."""
    with pytest.raises(NoAnswer):
        requester.ask(trigger(), NEVER_S, attempts=1)
    serve(always(triggered(7)))
    assert requester.demand(trigger(), Triggered, PATIENCE_S).part == 7


def answering(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, *answers: list[bytes]) -> threading.Thread:
    """Start a peer that answers the first request by these messages."""
    socket = context.socket(zmq.ROUTER)
    socket.bind(endpoint)

    def run() -> None:
        peer = socket.recv_multipart()[0]
        for answer in answers:
            socket.send_multipart([peer, *answer])
        socket.close(1000)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_answer_to_another_request_is_ignored(
    context: zmq.Context[zmq.Socket[bytes]], endpoint: str, requester: Requester
) -> None:
    """An answer that comes after its request was given up is not taken for the next one's."""
    late = frames_from_answer(msgspec.structs.replace(triggered(1), id="before"))
    right = frames_from_answer(msgspec.structs.replace(triggered(2), id="a"))
    thread = answering(context, endpoint, late, right)
    assert requester.demand(trigger(), Triggered, PATIENCE_S).part == 2
    thread.join()


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ([b"no json"], "answer is not protocol version 1"),
        ([frame_from_request(trigger())], "answer is not protocol version 1"),
        (frames_from_answer(Done(version=1, id="a", now_us=0, text="")), "answer to 'trigger' is Done"),
    ],
)
def test_answer_that_cannot_be_one_is_an_error(
    answer: list[bytes],
    named: str,
    context: zmq.Context[zmq.Socket[bytes]],
    endpoint: str,
    requester: Requester,
) -> None:
    """What is no answer, or that to another kind of request, is not used."""
    thread = answering(context, endpoint, answer)
    with pytest.raises(WireError, match=named):
        requester.ask(trigger(), PATIENCE_S)
    thread.join()


def test_replay_gives_verdicts(requester: Requester, serve: Serve) -> None:
    """The further parts are the verdicts."""
    page = Replayed(version=1, id="", now_us=0, count=2, epoch=5, seq=8, end=True, missing=None)
    records = [frames_from_message(verdict(seq))[1] for seq in (7, 8)]
    serve(lambda control, asked: control.answer(asked, page, records))
    answer, verdicts = requester.replay(Replay(version=1, id="a", epoch=5, seq=6, limit=9), PATIENCE_S)
    assert answer == msgspec.structs.replace(page, id="a", now_us=answer.now_us)
    assert verdicts == (verdict(7), verdict(8))


def test_clock_of_this_machine_is_ours(requester: Requester, serve: Serve) -> None:
    """Here both clocks are the same one: the truth, 0, lies within what is told."""
    serve(always(triggered(1)))
    requester.ask(trigger(), PATIENCE_S)
    offset = requester.offset()
    assert offset is not None
    assert abs(offset.offset_us) <= offset.uncertainty_us


def test_what_is_no_address_is_refused() -> None:
    """The text says what one looks like."""
    with pytest.raises(ConfigurationError, match="expected an address like"):
        Requester("nonsense")


def test_quickest_trip_tells_the_offset() -> None:
    """Half the round trip bounds the error; a slower one adds nothing."""
    clocks = ClockComparison()
    clocks.note(0, 1_000_700, 1000)
    clocks.note(2000, 1_002_110, 2200)
    clocks.note(3000, 1_004_000, 5000)
    assert clocks.offset(5000) == Offset(1_000_010, 102)


def test_old_trip_tells_less() -> None:
    """The uncertainty grows by what two clocks may part, and after a minute nothing is known."""
    clocks = ClockComparison()
    clocks.note(0, 1050, 100)
    assert clocks.offset(100) == Offset(1000, 51)
    assert clocks.offset(10_000_100) == Offset(1000, 2051)
    assert clocks.offset(60_000_100) is not None
    assert clocks.offset(60_000_101) is None


def test_fresh_trip_wins_over_an_old_quick_one() -> None:
    """What was exact a minute ago may be less so than what is good enough now."""
    clocks = ClockComparison()
    clocks.note(0, 1005, 10)
    clocks.note(50_000_000, 50_001_900, 50_002_000)
    assert clocks.offset(50_002_000) == Offset(900, 1001)


def test_machine_that_was_started_anew_has_another_clock() -> None:
    """A trip that contradicts the earlier ones replaces them."""
    clocks = ClockComparison()
    clocks.note(0, 900_000_050, 100)
    clocks.note(1_000_000, 4000, 1_002_000)
    assert clocks.offset(1_002_000) == Offset(-997_000, 1001)
