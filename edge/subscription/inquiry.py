"""Requests under way, one of a kind, whose answers are not waited for: verdicts come meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import zmq

from edge.clock import Clock
from edge.control import ClockComparison, Offset, new_id
from edge.errors import ConfigurationError, RequestRefused, WireError
from edge.requests import REQUESTS, AnyAnswer, AnyRequest, Refused
from edge.wire import answer_from_frames, frame_from_request

_REPEAT_US = 1_000_000


@dataclass(frozen=True)
class Answered:
    request: AnyRequest
    sent_us: int
    """When it was sent first, by our clock."""
    answer: AnyAnswer
    payload: Sequence[bytes]


@dataclass
class _Asked:
    request: AnyRequest
    sent_us: int
    due_us: int
    put_off: bool = False


class Inquiry:
    """
    An asker that never waits. A newer request of the same kind takes the place of the older, whose answer is ignored.

    Args:
        endpoint: the station's control endpoint; it need not be there yet.

    Raises:
        ConfigurationError: *endpoint* is no address.
    """

    def __init__(self, endpoint: str, context: zmq.Context[zmq.Socket[bytes]], clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[type[AnyRequest], _Asked] = {}
        self._clocks = ClockComparison()
        self.socket = context.socket(zmq.DEALER)
        """To be polled beside others; readable when there may be an answer."""
        self.socket.linger = 0  # A request that was given up must not be sent after our end.
        self.socket.rcvhwm = 0  # With a limit libzmq 4.3.5 can abort the process: edge/station/connections.py.
        try:
            self.socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.socket.close(0)
            raise ConfigurationError(
                f"endpoint '{endpoint}': {error.strerror}; expected an address like tcp://127.0.0.1:5559"
            ) from error

    def ask(self, request: AnyRequest) -> None:
        """Send *request*, and again each second until it is answered."""
        now_us = self._clock.now_us()
        self._asked[type(request)] = _Asked(request, now_us, now_us + _REPEAT_US)
        self._send(request)

    def ask_later(self, request: AnyRequest, wait_us: int) -> None:
        """Send what was refused again, after a while and as a new request: the old id has its answer."""
        now_us = self._clock.now_us()
        self._asked[type(request)] = _Asked(request, now_us, now_us + wait_us, put_off=True)

    def asks(self, kind: type[AnyRequest]) -> bool:
        """Say whether a request of this kind has no answer yet."""
        return kind in self._asked

    def repeat(self) -> None:
        """Send what is due again."""
        now_us = self._clock.now_us()
        for asked in [asked for asked in self._asked.values() if asked.due_us <= now_us]:
            if asked.put_off:
                self.ask(msgspec.structs.replace(asked.request, id=new_id()))
            else:
                asked.due_us = now_us + _REPEAT_US
                self._send(asked.request)

    def answered(self) -> Answered | None:
        """
        Return the next answer to a request under way; None when there is none as yet.

        Raises:
            RequestRefused: the station cannot read what we send.
            WireError: what came is not what the protocol says.
        """
        while self.socket.poll(0):
            frames = self.socket.recv_multipart()
            answer = answer_from_frames(frames)
            if isinstance(answer, Refused) and not answer.id:
                raise RequestRefused(answer.code.value, answer.text)  # Not even the id was understood.
            asked = next((a for a in self._asked.values() if a.request.id == answer.id and not a.put_off), None)
            if asked is not None:
                del self._asked[type(asked.request)]
                self._clocks.note(asked.sent_us, answer.now_us, self._clock.now_us())
                _check_kind(asked.request, answer)
                return Answered(asked.request, asked.sent_us, answer, frames[1:])
        return None

    def offset(self) -> Offset | None:
        """Return how the station's clock differs from ours; None when it answered nothing in the last minute."""
        return self._clocks.offset(self._clock.now_us())

    def close(self) -> None:
        self.socket.close(0)

    def _send(self, request: AnyRequest) -> None:
        # Its queue holds a thousand; a station that is away for so long is asked anew by its subscriber.
        if self.socket.poll(0, zmq.POLLOUT):
            self.socket.send(frame_from_request(request), zmq.DONTWAIT)


def _check_kind(request: AnyRequest, answer: AnyAnswer) -> None:
    expected = REQUESTS[type(request)]
    if not isinstance(answer, (Refused, expected)):
        raise WireError(
            f"answer to '{type(request).__name__}' is {type(answer).__name__}, expected {expected.__name__}; "
            "do not use it"
        )
