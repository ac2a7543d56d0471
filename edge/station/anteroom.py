"""
Where requests wait: what has come is read at once and counted, so that a flood is known before libzmq holds much of it.

libzmq itself holds back nothing (connections.py says why), so who sends more than is ever meant is cut off: too many
messages in a second, too many that wait for their turn, the most of all that wait, or a message of many parts.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

import zmq

from edge.clock import Clock
from edge.station.connections import Connections, Way

# Messages of one connection in a second, twice what a station can answer; a large one counts once more for each KiB.
A_SECOND = 10_000
# Messages of one connection that wait, and bytes: as many as may be in hand, and a page of the largest.
MOST_WAITING = 1000
MOST_BYTES = 4_000_000
# Of all connections together. When so much waits, who has the most of it is cut off.
ALL_WAITING = 8000
ALL_BYTES = 32_000_000
# Who has fewer messages waiting, and no more bytes than one request may have, is not cut off for what others send.
FEW = 16
FEW_BYTES = 64 * 1024
# The sender, the empty part of a REQ socket, the request; some parts more are a mistake that is answered.
_MOST_PARTS = 64
# For reading in one cycle of the loop, which has deadlines to keep.
_READING_US = 2000
_PARTS_A_CYCLE = 4000


@dataclass
class _Sender:
    way: Way | None
    messages: deque[list[bytes]] = field(default_factory=deque)
    bytes: int = 0


class Anteroom:
    """
    Messages of a ROUTER, read ahead; each sender has its turn.

    Args:
        router: bound, without a limit on what waits in it.
    """

    def __init__(self, router: zmq.Socket[bytes], clock: Clock) -> None:
        self._router = router
        self._clock = clock
        self._connections = Connections(router, A_SECOND, clock)
        self._senders: OrderedDict[bytes, _Sender] = OrderedDict()
        self._messages = self._bytes = 0
        self._partly: list[bytes] = []
        self._skipping = False

    @property
    def waits(self) -> bool:
        """Something was read and not taken yet; the socket need not be readable for it."""
        return bool(self._senders)

    def read(self) -> None:
        """Read what has come, for some 2 ms at most; what is left is read by the next call."""
        until_us = self._clock.now_us() + _READING_US
        for _ in range(_PARTS_A_CYCLE):
            if not self._partly and not self._skipping and not int(self._router.get(zmq.EVENTS)) & zmq.POLLIN:
                self._connections.none_waits()
                return
            self._read_part()
            if self._clock.now_us() >= until_us:
                return

    def take(self) -> list[bytes] | None:
        """Return the next message, the sender first; None when none waits."""
        if not self._senders:
            return None
        name, sender = self._senders.popitem(last=False)
        message = sender.messages.popleft()
        size = sum(map(len, message))
        self._messages, self._bytes, sender.bytes = self._messages - 1, self._bytes - size, sender.bytes - size
        if sender.messages:
            self._senders[name] = sender
        return [name, *message]

    def _read_part(self) -> None:
        """Read one part; where a message has too many, the rest is skipped, in as many cycles as it takes."""
        if len(self._partly) == 1 and not self._connections.knows(self._partly[0]):
            frame = self._router.recv(copy=False)  # slower, and says by which way it came
            self._connections.note(self._partly[0], frame)
            part = frame.bytes
        else:
            part = self._router.recv()
        more = bool(self._router.get(zmq.RCVMORE))
        if not self._skipping:
            self._partly.append(part)
            if len(self._partly) > _MOST_PARTS:
                self._cut(self._partly[0])
                self._skipping = True
        if not more:
            message, skipped = self._partly, self._skipping
            self._partly, self._skipping = [], False
            if not skipped:
                self._admit(message[0], message[1:])

    def _admit(self, name: bytes, body: list[bytes]) -> None:
        size = sum(map(len, body))
        if self._connections.is_flood(name, 1 + size // 1024):
            self._forget(name)
            return
        sender = self._senders.get(name) or _Sender(self._connections.way(name))
        if len(sender.messages) >= MOST_WAITING or sender.bytes >= MOST_BYTES:
            self._cut(name)
            return
        if (self._messages >= ALL_WAITING or self._bytes >= ALL_BYTES) and not self._finds_room(name, sender):
            return
        self._senders[name] = sender
        sender.messages.append(body)
        self._messages, self._bytes, sender.bytes = self._messages + 1, self._bytes + size, sender.bytes + size

    def _finds_room(self, name: bytes, sender: _Sender) -> bool:
        """
        Cut off who fills the room, and tell whether there is room for this sender's message then.

        Where many fill it with few messages each nobody is cut off; who has one waiting is not heard for now.
        """
        by_bytes = self._bytes >= ALL_BYTES
        many = {n: s for n, s in self._senders.items() if len(s.messages) >= FEW or s.bytes > FEW_BYTES}
        if not many:
            return not sender.messages
        largest = max(many, key=lambda n: many[n].bytes if by_bytes else len(many[n].messages))
        self._cut(largest)
        return largest != name

    def _cut(self, name: bytes) -> None:
        sender = self._senders.get(name)
        self._connections.cut(name, None if sender is None else sender.way)
        self._forget(name)

    def _forget(self, name: bytes) -> None:
        """Drop what waits of a connection that is cut off: nobody is there for the answers."""
        sender = self._senders.pop(name, None)
        if sender is not None:
            self._messages, self._bytes = self._messages - len(sender.messages), self._bytes - sender.bytes
