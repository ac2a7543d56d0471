"""
Listen to a station: verdicts, masks, pictures, status; with gaps told and every message checked.

    with Subscriber("tcp://127.0.0.1:5556", masks="tcp://127.0.0.1:5557") as subscriber:
        while (event := subscriber.receive(timeout_s=5.0)) is not None:
            ...

What to do with a verdict is the caller's business. Runs on Linux and macOS.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

import numpy as np
import zmq
from numpy.typing import NDArray
from typing_extensions import Self

from edge.errors import ConfigurationError, WireError
from edge.records import Audit, MaskHeader, PictureHeader, Status, Verdict
from edge.wire import labels_from_payload, message_from_frames, sha256


@dataclass(frozen=True)
class Mask:
    """A mask that matched its hash. labels: (height, width) uint8, 0 = sound, k = header.class_names[k - 1]."""

    header: MaskHeader
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    header: PictureHeader
    jpeg: bytes


@dataclass(frozen=True)
class Gap:
    """Verdicts first..last were published, the last of them in *epoch*, and never reached this subscriber."""

    epoch: int
    first: int
    last: int


Event: TypeAlias = Verdict | Status | Audit | Mask | Picture | Gap


class Subscriber:
    """
    One reader of one or more endpoints of a station.

    Args:
        results: endpoint of verdicts, status and audit.
        masks, pictures: their endpoints; None = not wanted.
        station: name of the station; empty = whichever speaks there.
        verdicts: False = only what belongs to them: somebody else reads the verdicts themselves.

    Gaps are told, not filled, and at the start of an epoch some cannot be told; ``edge.subscribe`` has none. When masks
    are wanted, verdicts are subscribed to after the masks endpoint has answered: a station that waits for its first
    subscriber then cannot send a mask that nobody is subscribed to yet.

    Raises:
        ConfigurationError: an endpoint is no address.
    """

    def __init__(
        self,
        results: str,
        masks: str | None = None,
        pictures: str | None = None,
        station: str = "",
        *,
        verdicts: bool = True,
    ) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._prefix = f"{station}/" if station else ""
        self._poller = zmq.Poller()
        self._events: deque[Event] = deque()
        self._epoch: int | None = None
        self._seq = 0
        self._results = self._connected(results, ["status/", "audit/"])
        self._masks = None if masks is None else self._connected(masks, ["mask/", "status/"])
        if pictures is not None:
            self._connected(pictures, ["picture/"])
        self._waits_for_masks = masks is not None
        self._wants_verdicts = verdicts
        if masks is None:
            self._subscribe_to_verdicts()

    def receive(self, timeout_s: float) -> Event | None:
        """
        Return the next event, None when none comes for *timeout_s*.

        Raises:
            WireError: a message is not what the protocol says, or a payload does not match its hash.
        """
        give_up = time.monotonic() + timeout_s
        while not self._events:
            left_s = give_up - time.monotonic()
            ready = dict(self._poller.poll(round(max(left_s, 0) * 1000)))
            if not ready:
                return None
            for socket in ready:
                self._take(socket, socket.recv_multipart())
        return self._events.popleft()

    def close(self) -> None:
        self._context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connected(self, endpoint: str, kinds: list[str]) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.SUB)
        socket.rcvhwm = 0  # What the station has sent is not dropped here: the process that listens reads it all.
        for kind in kinds:
            socket.subscribe(f"{kind}{self._prefix}")
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigurationError(
                f"endpoint '{endpoint}': {error.strerror}; expected an address like tcp://127.0.0.1:5556"
            ) from error
        self._poller.register(socket, zmq.POLLIN)
        return socket

    @property
    def hears_masks(self) -> bool:
        """The masks endpoint has answered, if one was named: verdicts may be asked for."""
        return not self._waits_for_masks

    def _subscribe_to_verdicts(self) -> None:
        self._waits_for_masks = False
        if self._wants_verdicts:
            self._results.subscribe(f"verdict/{self._prefix}")

    def _take(self, socket: zmq.Socket[bytes], frames: list[bytes]) -> None:
        message = message_from_frames(frames)
        if isinstance(message, Verdict):
            self._note_position(message.epoch, message.seq - 1)
            if message.seq > self._seq:  # Else it was given already.
                self._seq = message.seq
                self._events.append(message)
        elif isinstance(message, MaskHeader):
            self._events.append(_mask(message, frames))
        elif isinstance(message, PictureHeader):
            self._events.append(Picture(message, _payload(frames)))
        elif isinstance(message, Status) and socket is self._masks:
            if self._waits_for_masks:
                self._subscribe_to_verdicts()
        else:
            if isinstance(message, Status) and self._wants_verdicts:
                self._note_position(message.epoch, message.seq)
            self._events.append(message)

    def _note_position(self, epoch: int, last: int) -> None:
        """Tell a gap when verdicts up to *last* have been published that never arrived here."""
        if self._epoch is None:
            # What was said before we came is history, not loss.
            self._epoch, self._seq = epoch, last
        elif epoch != self._epoch:
            # Numbers go on over epochs, but those that were not journaled are given anew.
            self._epoch, self._seq = epoch, min(self._seq, last)
        if last > self._seq:
            self._events.append(Gap(epoch, self._seq + 1, last))
            self._seq = last


def _mask(header: MaskHeader, frames: list[bytes]) -> Mask:
    payload = _payload(frames)
    if sha256(payload) != header.sha256:
        raise WireError(
            f"mask {header.seq} of camera {header.camera}: payload does not match its sha256; do not use it"
        )
    labels = labels_from_payload(header.encoding, payload, header.height, header.width)
    highest = int(labels.max())
    if highest > len(header.class_names):
        raise WireError(
            f"mask {header.seq} of camera {header.camera}: label {highest}, but the header names "
            f"{len(header.class_names)} classes; do not use it"
        )
    return Mask(header, labels)


def _payload(frames: list[bytes]) -> bytes:
    if len(frames) != 3:
        raise WireError(f"message under '{frames[0].decode(errors='replace')}' has {len(frames)} parts, expected 3")
    return frames[2]
