"""
A peer that sends what is none of its business: ``python -m tests.qualify.fuzzer CONTROL RESULTS RATE SEED STOCK``.

Requests of the schema with fields exchanged, left out, added or of the wrong type; such JSON with bytes flipped or cut;
raw bytes; messages of many parts; parts too large; subscriptions to garbage; TCP connections that say nothing, half a
greeting, or noise. What would be a good trigger, recipe, pause or the like is not sent: that is no malformed request.

Hypothesis makes a stock of messages, which are damaged further as they are sent. Says ``ready`` when it has them; for
each line on standard input, a number, sends so many and says in one line of JSON how many of each kind.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import sys
import time
from collections import Counter, deque
from typing import Any

import msgspec
import zmq
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from edge.requests import REQUESTS, Expect, Pause, Reload, Selftest, Trigger, UseRecipe
from edge.wire import LARGEST_REQUEST, request_from_frame

Message = tuple[str, list[bytes]]
"""Kind, and the parts to send."""

_DEEDS = (Trigger, Expect, UseRecipe, Reload, Selftest, Pause)
_HALF_OPEN = 30
_RECONNECT_EVERY = 2000
# A greeting of ZMTP 3 and what follows it, to be cut anywhere.
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)

_GOOD: dict[str, Any] = {
    "version": 1,
    "id": "f1",
    "consumer": "fuzz",
    "session": "s",
    "origin": "now",
    "take_over": False,
    "epoch": 1,
    "seq": 1,
    "limit": 10,
    "forget": True,
    "shifts": 1,
    "name": "r",
    "role": "r",
    "reason": "r",
    "minutes": 1.0,
    "bundle": None,
    "part_id": "p",
    "tag": 1,
    "counter": 1,
    "mode": "production",
    "cameras": None,
    "camera": None,
    "seconds": 1.0,
    "by": "r",
    "parts": [{"name": "r", "part": 1}],
}
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**53, 2**63, 2**64, -1, 0])
    | st.floats()
    | st.text(max_size=80)
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request as the schema has it, with some fields that are not."""
    type_ = draw(st.sampled_from(list(REQUESTS)))
    tree: dict[str, Any] = {"request": type_.__struct_config__.tag}
    tree |= {field.encode_name: _GOOD[field.encode_name] for field in msgspec.structs.fields(type_)}
    for name in draw(st.lists(st.sampled_from(sorted(tree)), max_size=3)):
        tree[name] = draw(_values)
    for name in draw(st.lists(st.sampled_from(sorted(tree)), max_size=2)):
        tree.pop(name, None)
    if draw(st.booleans()):
        tree[draw(st.text(max_size=12))] = draw(_values)
    return json.dumps(tree).encode("utf-8", errors="surrogatepass")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Such a request cut short, or with bytes exchanged."""
    whole = bytearray(draw(requests()))
    for _ in range(draw(st.integers(0, 4))):
        whole[draw(st.integers(0, len(whole) - 1))] = draw(st.integers(0, 255))
    return bytes(whole[: draw(st.integers(0, len(whole)))])


_large = (
    st.integers(1, 40 * 1024)
    .map(lambda n: n * 5)
    .map(lambda n: b'{"request":"status","id":"' + b"x" * n if n < LARGEST_REQUEST else b"[" * n)
)
_messages: st.SearchStrategy[Message] = st.one_of(
    st.tuples(st.just("schema"), requests().map(lambda frame: [frame])),
    st.tuples(st.just("schema"), requests().map(lambda frame: [frame])),
    st.tuples(st.just("damaged"), damaged().map(lambda frame: [frame])),
    st.tuples(st.just("bytes"), st.binary(max_size=300).map(lambda frame: [frame])),
    st.tuples(st.just("parts"), st.lists(st.binary(max_size=8) | requests(), min_size=2, max_size=20)),
    st.tuples(st.just("subscription"), st.binary(max_size=60).map(lambda frame: [frame])),
)
_rare: st.SearchStrategy[Message] = st.one_of(
    st.tuples(st.just("large"), _large.map(lambda frame: [frame])),
    st.tuples(st.just("connection"), st.integers(0, len(_GREETING)).map(lambda n: [_GREETING[:n]])),
    st.tuples(st.just("connection"), st.binary(max_size=100).map(lambda frame: [frame])),
)
_batches = st.tuples(st.lists(_messages, min_size=20, max_size=60), st.lists(_rare, max_size=1))


class Fuzzer:
    """
    Args:
        rate: messages a second.
        number: seed.
        stock: so many messages are made before the first is sent.
    """

    def __init__(self, control: str, results: str, rate: float, number: int, stock: int) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._control, self._results = control, results
        self._host, _, port = control.removeprefix("tcp://").rpartition(":")
        self._port = int(port)
        self._half_open: deque[socket.socket] = deque()
        self._period_s = 1 / rate
        self._rng = random.Random(number)
        self._stock = _stock(number, stock)
        self._connect()

    def send(self, count: int) -> Counter[str]:
        """Send so many at the rate; return how many of each kind."""
        sent: Counter[str] = Counter()
        began_s = time.monotonic()
        while (n := sum(sent.values())) < count:
            kind, frames = self._drawn()
            if len(frames) == 1 and isinstance(request_from_frame(frames[0]), _DEEDS):
                continue
            time.sleep(max(0.0, began_s + n * self._period_s - time.monotonic()))
            sent[kind] += 1
            self._send(kind, frames)
            if n % _RECONNECT_EVERY == _RECONNECT_EVERY - 1:
                self._asking.close(0)
                self._subscribing.close(0)
                self._connect()
        return sent

    def _drawn(self) -> Message:
        """A message of the stock, every other one of a single part damaged once more."""
        kind, frames = self._rng.choice(self._stock)
        if len(frames) != 1 or not frames[0] or self._rng.random() < 0.5:
            return kind, frames
        frame = bytearray(frames[0])
        for _ in range(self._rng.randrange(4)):
            frame[self._rng.randrange(len(frame))] = self._rng.randrange(256)
        return kind, [bytes(frame[: self._rng.randint(1, 2 * len(frame))])]

    def _send(self, kind: str, frames: list[bytes]) -> None:
        if kind == "connection":
            self._open_half(frames[0])
            return
        # A full pipe: the station is not reading this peer, which is its right.
        with contextlib.suppress(zmq.Again):
            (self._subscribing if kind == "subscription" else self._asking).send_multipart(frames, zmq.NOBLOCK)

    def close(self) -> None:
        for one in self._half_open:
            one.close()
        self._context.destroy(linger=1000)

    def _connect(self) -> None:
        self._asking = self._context.socket(zmq.DEALER)
        self._asking.connect(self._control)
        # Whatever is sent on it goes out as it is: a first byte of 1 subscribes, of 0 ends that, others are noise.
        self._subscribing = self._context.socket(zmq.XSUB)
        self._subscribing.connect(self._results)

    def _open_half(self, said: bytes) -> None:
        connection = socket.create_connection((self._host, self._port), timeout=2.0)
        # Reset by the station while we speak: it has had enough, and may.
        with contextlib.suppress(ConnectionError):
            connection.sendall(said)
        self._half_open.append(connection)
        if len(self._half_open) > _HALF_OPEN:
            self._half_open.popleft().close()


def _stock(number: int, size: int) -> list[Message]:
    stock: list[Message] = []

    @seed(number)
    @settings(
        max_examples=max(1, size // 40),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_batches)
    def put(batch: tuple[list[Message], list[Message]]) -> None:
        stock.extend([*batch[0], *batch[1]])

    put()
    return stock


def main() -> None:
    control, results, rate, number, stock = sys.argv[1:]
    fuzzer = Fuzzer(control, results, float(rate), int(number), int(stock))
    _say("ready")
    for line in sys.stdin:
        _say(json.dumps(fuzzer.send(int(line))))
    fuzzer.close()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
