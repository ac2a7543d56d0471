"""An ear at a station: all that it says of itself, through its deaths and starts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import zmq
from typing_extensions import Self

from edge.records import Audit, PictureHeader, Status, Verdict
from edge.wire import message_from_frames

T = TypeVar("T")

_LOOK_MS = 50
_LOOK_S = 0.02


class Ear(threading.Thread):
    """
    Attributes:
        statuses, verdicts, audits: in the order in which they came.
        pictures: each with its JPEG.
    """

    def __init__(self, results: str, pictures: str) -> None:
        super().__init__(name="ear", daemon=True)
        self._addresses = {results: (b"status/", b"verdict/", b"audit/"), pictures: (b"picture/",)}
        self._ending = threading.Event()
        self.statuses: list[Status] = []
        self.verdicts: list[Verdict] = []
        self.audits: list[Audit] = []
        self.pictures: list[tuple[PictureHeader, bytes]] = []

    def run(self) -> None:
        with zmq.Context() as context:
            sockets = [self._listening(context, *of) for of in self._addresses.items()]
            poller = zmq.Poller()
            for socket in sockets:
                poller.register(socket, zmq.POLLIN)
            while not self._ending.is_set():
                for socket, _ in poller.poll(_LOOK_MS):
                    self._take(socket.recv_multipart())
            for socket in sockets:
                socket.close(0)

    def status(self, what: Callable[[Status], bool], timeout_s: float) -> Status | None:
        """Return the first status so far, or to come within so long, of which *what* holds; None = there is none."""
        return _first(self.statuses, what, timeout_s)

    def verdict(self, what: Callable[[Verdict], bool], timeout_s: float) -> Verdict | None:
        """Return the first verdict so far, or to come within so long, of which *what* holds; None = there is none."""
        return _first(self.verdicts, what, timeout_s)

    def close(self) -> None:
        self._ending.set()
        self.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _listening(
        self, context: zmq.Context[zmq.Socket[bytes]], address: str, topics: tuple[bytes, ...]
    ) -> zmq.Socket[bytes]:
        socket = context.socket(zmq.SUB)
        socket.rcvhwm = 0
        for topic in topics:
            socket.subscribe(topic)
        socket.connect(address)
        return socket

    def _take(self, frames: list[bytes]) -> None:
        match message_from_frames(frames):
            case Status() as status:
                self.statuses.append(status)
            case Verdict() as verdict:
                self.verdicts.append(verdict)
            case Audit() as audit:
                self.audits.append(audit)
            case PictureHeader() as header:
                self.pictures.append((header, frames[2]))


def _first(heard: list[T], what: Callable[[T], bool], timeout_s: float) -> T | None:
    give_up = time.monotonic() + timeout_s
    seen = 0
    while True:
        for one in heard[seen:]:
            seen += 1
            if what(one):
                return one
        if time.monotonic() >= give_up:
            return None
        time.sleep(_LOOK_S)
