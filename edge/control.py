"""
Ask a station: requests are repeated until they are answered, and carried out once.

    with Requester("tcp://127.0.0.1:5559") as requester:
        part = requester.demand(Trigger(id=new_id(), ...), Triggered).part

Each answer also tells how the station's clock differs from ours. No threads; runs on Linux and macOS.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import zmq
from typing_extensions import Self

from edge.clock import SYSTEM_CLOCK
from edge.errors import ConfigurationError, NoAnswer, RequestRefused, WireError
from edge.records import Verdict
from edge.requests import REQUESTS, AnyAnswer, AnyRequest, Refused, Replay, Replayed
from edge.wire import answer_from_frames, frame_from_request, verdicts_from_payload

A = TypeVar("A", bound=AnyAnswer)

TIMEOUT_S = 2.0
"""For one attempt. Recipes, bundles and self-tests take longer: they verify on reference frames."""

ATTEMPTS = 3

# Round trips that are compared. The quickest is the best, until it is so old that the clocks may have parted.
_TRIPS = 16
_OLDEST_US = 60_000_000
# Two quartz clocks, 100 ppm each.
_DRIFT = 200e-6


def new_id() -> str:
    """Return an id that no other request has."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Offset:
    """
    The station's monotonic clock minus ours, to be added to our time.

    Attributes:
        offset_us: best guess.
        uncertainty_us: the truth is no further from it than this, as long as no clock is broken.
    """

    offset_us: int
    uncertainty_us: int


@dataclass(frozen=True)
class _Trip:
    offset_us: int
    half_us: int
    received_us: int

    def at(self, now_us: int) -> Offset:
        """Return what this trip still tells: the clocks part with time."""
        return Offset(self.offset_us, self.half_us + round(_DRIFT * max(now_us - self.received_us, 0)) + 1)


class ClockComparison:
    """The offset of the station's clock, from round trips."""

    def __init__(self) -> None:
        self._trips: deque[_Trip] = deque(maxlen=_TRIPS)

    def note(self, sent_us: int, station_us: int, received_us: int) -> None:
        """Take a round trip: the station read *station_us* on its clock between our two times."""
        trip = _Trip(station_us - (sent_us + received_us) // 2, (received_us - sent_us + 1) // 2, received_us)
        # Contradicting the older ones, it is the truth: the station's machine was started anew.
        if any(not _overlap(trip.at(received_us), old.at(received_us)) for old in self._trips):
            self._trips.clear()
        self._trips.append(trip)

    def offset(self, now_us: int) -> Offset | None:
        """Return the best that is known; None without a round trip in the last minute."""
        fresh = [trip.at(now_us) for trip in self._trips if now_us - trip.received_us <= _OLDEST_US]
        return min(fresh, key=lambda offset: offset.uncertainty_us, default=None)


class Requester:
    """
    One asker, with one request under way at a time.

    Args:
        endpoint: the station's control endpoint; it need not be there yet.
        context: None = one of its own.

    Raises:
        ConfigurationError: *endpoint* is no address.
    """

    def __init__(self, endpoint: str, context: zmq.Context[zmq.Socket[bytes]] | None = None) -> None:
        self._endpoint = endpoint
        self._own_context = context is None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context() if context is None else context
        self._clocks = ClockComparison()
        self._socket = self._connected()

    def ask(self, request: AnyRequest, timeout_s: float = TIMEOUT_S, attempts: int = ATTEMPTS) -> AnyAnswer:
        """
        Return the answer, a refusal too.

        Args:
            request: under an id of its own. After NoAnswer it may have been carried out: ask the same again to know.
            timeout_s: for each attempt.

        Raises:
            NoAnswer: none came to any of the attempts.
            WireError: what came is not what the protocol says.
        """
        return self._exchange(request, timeout_s, attempts)[0]

    def demand(
        self, request: AnyRequest, expected: type[A], timeout_s: float = TIMEOUT_S, attempts: int = ATTEMPTS
    ) -> A:
        """
        Return the answer that *request* has when it is not refused.

        Raises:
            RequestRefused: it is refused; carries the code.
            NoAnswer, WireError: as ``ask``.
        """
        return _demanded(self.ask(request, timeout_s, attempts), expected)

    def replay(
        self, request: Replay, timeout_s: float = TIMEOUT_S, attempts: int = ATTEMPTS
    ) -> tuple[Replayed, tuple[Verdict, ...]]:
        """
        Return a page of the journal; at most 1 MB, which may be fewer verdicts than the limit.

        Raises:
            RequestRefused, NoAnswer, WireError: as ``demand``.
        """
        answer, payload = self._exchange(request, timeout_s, attempts)
        replayed = _demanded(answer, Replayed)
        return replayed, verdicts_from_payload(replayed, payload)

    def offset(self) -> Offset | None:
        """Return how the station's clock differs from ours; None when it was asked nothing in the last minute."""
        return self._clocks.offset(SYSTEM_CLOCK.now_us())

    def close(self) -> None:
        self._socket.close(0)
        if self._own_context:
            self._context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _exchange(self, request: AnyRequest, timeout_s: float, attempts: int) -> tuple[AnyAnswer, list[bytes]]:
        frame = frame_from_request(request)
        for _ in range(attempts):
            sent_us = SYSTEM_CLOCK.now_us()
            self._socket.send(frame)
            answered = self._answered(request, sent_us, timeout_s)
            if answered is not None:
                return answered
            # Another connection: nothing of this attempt waits in it, so that a station that comes back is not
            # flooded, and the answer's time lies behind the sending of the attempt that it answers.
            self._socket.close(0)
            self._socket = self._connected()
        raise NoAnswer(
            f"control endpoint {self._endpoint}: no answer to '{_name(request)}' in {attempts} x {timeout_s:g} s; "
            "does the station run?"
        )

    def _answered(self, request: AnyRequest, sent_us: int, timeout_s: float) -> tuple[AnyAnswer, list[bytes]] | None:
        give_up_us = sent_us + round(timeout_s * 1e6)
        while (left_us := give_up_us - SYSTEM_CLOCK.now_us()) > 0:
            if not self._socket.poll(-(-left_us // 1000)):
                return None
            frames = self._socket.recv_multipart()
            received_us = SYSTEM_CLOCK.now_us()
            answer = answer_from_frames(frames)
            # Without an id it is about what could not be read; any other belongs to a request that was given up.
            if answer.id in (request.id, ""):
                self._clocks.note(sent_us, answer.now_us, received_us)
                _check_kind(request, answer)
                return answer, frames[1:]
        return None

    def _connected(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0  # A request that was given up must not be sent after our end.
        socket.rcvhwm = 0  # With a limit libzmq 4.3.5 can abort the process: edge/station/connections.py.
        try:
            socket.connect(self._endpoint)
        except zmq.ZMQError as error:
            socket.close(0)
            if self._own_context:
                self._context.destroy(linger=0)
            raise ConfigurationError(
                f"endpoint '{self._endpoint}': {error.strerror}; expected an address like tcp://127.0.0.1:5559"
            ) from error
        return socket


def _demanded(answer: AnyAnswer, expected: type[A]) -> A:
    if isinstance(answer, Refused):
        raise RequestRefused(answer.code.value, answer.text)
    if not isinstance(answer, expected):
        raise WireError(f"answer is {type(answer).__name__}, expected {expected.__name__}; update the asker")
    return answer


def _check_kind(request: AnyRequest, answer: AnyAnswer) -> None:
    expected = REQUESTS[type(request)]
    if not isinstance(answer, (Refused, expected)):
        raise WireError(
            f"answer to '{_name(request)}' is {type(answer).__name__}, expected {expected.__name__}; do not use it"
        )


def _name(request: AnyRequest) -> str:
    return str(request.__struct_config__.tag)


def _overlap(one: Offset, other: Offset) -> bool:
    return abs(one.offset_us - other.offset_us) <= one.uncertainty_us + other.uncertainty_us
