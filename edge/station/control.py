"""The station's control socket: requests come in once each, answers go out, a flood costs little."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import zmq

from edge.clock import Clock
from edge.endpoints import bind
from edge.records import VERSION
from edge.requests import (
    AnyAnswer,
    AnyRequest,
    Attach,
    Challenge,
    Detach,
    Expect,
    Pause,
    Refusal,
    Refused,
    Reload,
    Selftest,
    Trigger,
    UseRecipe,
)
from edge.station.anteroom import Anteroom
from edge.wire import Unreadable, frame_from_request, frames_from_answer, request_from_frame

ONCE = (Trigger, Expect, Challenge, Attach, Detach, UseRecipe, Pause, Selftest, Reload)
"""Requests that must not be carried out twice. The others change nothing, or nothing more when they come again."""

NOT_YET = frozenset({Refusal.BUSY, Refusal.NOT_READY, Refusal.NOT_JOURNALED, Refusal.STOPPING})
"""Refusals that are no final answer: nothing was done, and the same id is tried anew."""

# Ids whose answer is kept: minutes of a fast line, some 20 MB.
_REMEMBERED = 20_000
# Requests in hand: a trigger waits for one commit (ms), a recipe for seconds; more is a flood.
_IN_HAND = 1000
# Messages that are answered here in one call: with the worst of them (64 KiB, wrong at the end) some ms.
_AT_ONCE = 16
# Per peer; a page of a replay is 1 MiB (consumers.py), and who does not read may cost so many.
_ANSWERS_WAITING = 64
# A request over 64 KiB is told so; a peer that sends a part over this is cut off before it is held in memory.
_LARGEST_PART = 128 * 1024


@dataclass(frozen=True)
class Asked:
    """A request, and the way back to who sent it (routing id, and the empty part of a REQ socket)."""

    peer: tuple[bytes, ...]
    request: AnyRequest


Names: TypeAlias = tuple[str | None, int | None, int | None]
"""By what the line names a part: part id, tag, counter."""


@dataclass
class _InHand:
    digest: bytes
    peer: tuple[bytes, ...]
    heard_us: int


@dataclass(frozen=True)
class _Answered:
    digest: bytes | None
    """None of a trigger of an earlier run: of it only *names* is known."""
    answer: AnyAnswer
    names: Names | None = None
    renew: Callable[[], AnyAnswer] | None = None


class Control:
    """
    Takes requests from DEALER and REQ sockets, and sees to it that each is carried out once.

    Raises:
        ConfigurationError: *endpoint* is in use or cannot be bound.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, clock: Clock) -> None:
        self._clock = clock
        self._in_hand: dict[str, _InHand] = {}
        # Triggers apart: the many small requests of consumers must not make the station forget a part.
        self._triggers: OrderedDict[str, _Answered] = OrderedDict()
        self._others: OrderedDict[str, _Answered] = OrderedDict()
        self.socket = _bound(context, endpoint)
        self._anteroom = Anteroom(self.socket, clock)

    @property
    def waits(self) -> bool:
        """Something was read and is not answered yet; the socket need not be readable for it."""
        return self._anteroom.waits

    def read(self) -> None:
        """Read what has come, for some 2 ms at most; once in each cycle of the loop."""
        self._anteroom.read()

    def receive(self) -> Asked | None:
        """
        Return the next request that was read and is to be carried out; None when there is none, or enough was done.

        What is malformed, of another version, or came before is answered here. Whoever calls this in a loop bounds the
        loop: valid requests can be a flood too.
        """
        for _ in range(_AT_ONCE):
            message = self._anteroom.take()
            if message is None:
                return None
            peer, body = _parts(message)
            if len(body) != 1:
                self._refuse(peer, Unreadable("", Refusal.MALFORMED, f"{len(body)} parts: expected one, a JSON object"))
                continue
            request = request_from_frame(body[0])
            if isinstance(request, Unreadable):
                self._refuse(peer, request)
            elif not isinstance(request, ONCE) or self._is_new(peer, request):
                return Asked(peer, request)
        return None

    def answer(
        self,
        asked: Asked,
        answer: AnyAnswer,
        payload: Sequence[bytes] = (),
        renew: Callable[[], AnyAnswer] | None = None,
    ) -> None:
        """
        Send *answer*, its id and time set here; a peer that has gone, or does not read, loses it and may ask again.

        Args:
            asked: as received; the answer goes to whoever repeated it last.
            payload: of a replay, the verdicts.
            renew: asked for the answer when the request comes again; None = it stays what it is.
        """
        id_ = asked.request.id
        answer = msgspec.structs.replace(answer, id=id_)
        entry = self._in_hand.pop(id_, None) if isinstance(asked.request, ONCE) else None
        if entry is not None and not (isinstance(answer, Refused) and answer.code in NOT_YET):
            kept = self._triggers if isinstance(asked.request, (Trigger, Expect)) else self._others
            self._keep(kept, id_, _Answered(entry.digest, answer, renew=renew))
        self._send(asked.peer if entry is None else entry.peer, answer, payload)

    def remember(self, request_id: str, answer: AnyAnswer, names: Names) -> None:
        """Answer a trigger of this id and these names with *answer* from now on: an earlier run carried it out."""
        answered = _Answered(None, msgspec.structs.replace(answer, id=request_id), names)
        self._keep(self._triggers, request_id, answered)

    def heard_us(self, asked: Asked) -> int:
        """Return when a request that is not answered yet was last sent: who repeats it still waits."""
        entry = self._in_hand.get(asked.request.id)
        return 0 if entry is None else entry.heard_us

    def close(self, linger_ms: int) -> None:
        """Close; what still waits for a peer is given so long."""
        self.socket.close(linger_ms)

    def _is_new(self, peer: tuple[bytes, ...], request: AnyRequest) -> bool:
        """Note a request that comes for the first time; answer it when it is not to be carried out."""
        digest = hashlib.sha256(frame_from_request(request)).digest()
        if (waiting := self._in_hand.get(request.id)) is not None:
            if waiting.digest == digest:
                # Its answer is on the way; the sender may have another connection by now.
                waiting.peer, waiting.heard_us = peer, self._clock.now_us()
            else:
                self._refuse(peer, _used(request))
            return False
        if (before := self._triggers.get(request.id) or self._others.get(request.id)) is not None:
            self._answer_again(peer, request, digest, before)
            return False
        if len(self._in_hand) >= _IN_HAND:
            text = f"{_IN_HAND} requests wait for an answer already: repeat it later"
            self._refuse(peer, Unreadable(request.id, Refusal.BUSY, text))
            return False
        self._in_hand[request.id] = _InHand(digest, peer, self._clock.now_us())
        return True

    def _answer_again(self, peer: tuple[bytes, ...], request: AnyRequest, digest: bytes, before: _Answered) -> None:
        if before.digest == digest or (before.digest is None and before.names == _names(request)):
            kept = self._triggers if request.id in self._triggers else self._others
            kept.move_to_end(request.id)
            answer = before.answer if before.renew is None else before.renew()
            self._send(peer, msgspec.structs.replace(answer, id=request.id))
        else:
            self._refuse(peer, _used(request))

    def _keep(self, kept: OrderedDict[str, _Answered], request_id: str, answered: _Answered) -> None:
        kept[request_id] = answered
        kept.move_to_end(request_id)
        if len(kept) > _REMEMBERED:
            kept.popitem(last=False)

    def _refuse(self, peer: tuple[bytes, ...], fault: Unreadable) -> None:
        self._send(peer, Refused(version=VERSION, id=fault.id, now_us=0, code=fault.code, text=fault.text))

    def _send(self, peer: tuple[bytes, ...], answer: AnyAnswer, payload: Sequence[bytes] = ()) -> None:
        # Stamped last, also when it is said again: the asker takes the station's clock from it.
        stamped = msgspec.structs.replace(answer, now_us=self._clock.now_us())
        self.socket.send_multipart([*peer, *frames_from_answer(stamped, payload)], zmq.NOBLOCK)


def _parts(frames: list[bytes]) -> tuple[tuple[bytes, ...], list[bytes]]:
    """Return the way back and what was sent; a REQ socket puts an empty part between them."""
    split = 2 if len(frames) > 2 and not frames[1] else 1
    return tuple(frames[:split]), frames[split:]


def _names(request: AnyRequest) -> Names | None:
    if isinstance(request, Expect):
        return request.part_id, None, None
    return (request.part_id, request.tag, request.counter) if isinstance(request, Trigger) else None


def _used(request: AnyRequest) -> Unreadable:
    return Unreadable(
        request.id,
        Refusal.ID_USED,
        f"id = {request.id}: another request came under it before; give each request an id of its own",
    )


def _bound(context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.ROUTER)
    socket.rcvhwm = 0  # Who would fill it is cut off instead: connections.py.
    socket.sndhwm = _ANSWERS_WAITING
    socket.setsockopt(zmq.MAXMSGSIZE, _LARGEST_PART)
    # Off, and it must stay off: libzmq 4.3.5 aborts the process when a peer whose routing id was taken over sends once
    # more, leaves, and our next heartbeat is due.
    socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
    # A peer that vanished without a word is dropped instead of buffered for ever; also one that never says hello.
    socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5000)
    socket.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    bind(socket, "control", endpoint)
    return socket
