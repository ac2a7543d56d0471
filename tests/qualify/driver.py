"""
The outside of a station under load: triggers at an even pace, and every verdict with the moment it was seen.

One thread, raw sockets: the time is taken right behind the receive call, decoding waits until the run is over.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import zmq
from typing_extensions import Self

from edge.clock import SYSTEM_CLOCK
from edge.records import Mode, Status, Verdict
from edge.requests import Trigger
from edge.wire import frame_from_request, message_from_frames, verdict_from_header
from tests.qualify.inspector import Plan
from tests.qualify.process import StationProcess

_PATIENCE_S = 20.0
_CONNECTIONS = 8
_RUN = itertools.count()


@dataclass(frozen=True)
class Seen:
    """A verdict, and when this process had it [us, CLOCK_MONOTONIC like all times in it]."""

    verdict: Verdict
    received_us: int

    @property
    def seen_us(self) -> int:
        """From published to seen."""
        return self.received_us - self.verdict.published_us


class Driver:
    """
    Args:
        results, control: endpoints of a station that is ready.
    """

    def __init__(self, results: str, control: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._askers = [self._asker(control) for _ in range(_CONNECTIONS)]
        self._asking = self._askers[0]
        self._results = self._context.socket(zmq.SUB)
        self._results.rcvhwm = 0
        for topic in (b"verdict/", b"status/"):
            self._results.subscribe(topic)
        self._results.connect(results)
        self._poller = zmq.Poller()
        for socket in (self._results, *self._askers):
            self._poller.register(socket, zmq.POLLIN)
        self._heard: list[tuple[int, bytes]] = []
        self.acknowledged = 0
        self.status = self._first_status()

    def run(self, rate_hz: float, seconds: float, at_end_s: float = _PATIENCE_S) -> list[Seen]:
        """
        Send triggers for so long, wait until each has its verdict, and return these.

        Raises:
            TimeoutError: a verdict is missing *at_end_s* after the last trigger.
        """
        frames = self._triggers(round(rate_hz * seconds))
        began, sent = time.monotonic(), 0
        while sent < len(frames):
            behind = min(len(frames), int((time.monotonic() - began) * rate_hz) + 1)
            for frame in frames[sent:behind]:
                self._asking.send(frame)
            sent = behind
            self._listen(began + sent / rate_hz)
        return self._rest(len(frames), at_end_s)

    def pipelined(self, count: int, in_hand: int) -> tuple[float, list[Seen]]:
        """
        Send triggers with so many unanswered at a time; return the seconds it took and the verdicts.

        Over several connections: the station hears no more than 2000 requests a second from each.
        """
        frames = self._triggers(count)
        began, sent, self.acknowledged = time.monotonic(), 0, 0
        give_up = began + _PATIENCE_S + count / 50
        while len(self._heard) < count and time.monotonic() < give_up:
            for frame in frames[sent : min(count, self.acknowledged + in_hand)]:
                self._askers[sent % _CONNECTIONS].send(frame)
                sent += 1
            self._listen(time.monotonic() + 0.02)
        took_s = time.monotonic() - began
        return took_s, self._rest(count, 0.0)

    def listen(self, seconds: float) -> list[Seen]:
        """Return the verdicts that come within so long; who triggers them is not our business."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            self._listen(give_up)
        return self._taken()

    def trigger(self, count: int) -> None:
        """Send so many triggers at once; wait for nothing."""
        for frame in self._triggers(count):
            self._asking.send(frame)

    def close(self) -> None:
        self._context.destroy(linger=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _asker(self, control: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.sndhwm = socket.rcvhwm = 0
        socket.connect(control)
        return socket

    def _triggers(self, count: int) -> list[bytes]:
        run = f"{time.monotonic_ns():x}-{next(_RUN)}"
        return [frame_from_request(trigger(f"{run}-{i}")) for i in range(count)]

    def _rest(self, count: int, timeout_s: float) -> list[Seen]:
        give_up = time.monotonic() + timeout_s
        while len(self._heard) < count and time.monotonic() < give_up:
            self._listen(time.monotonic() + 0.05)
        if len(self._heard) < count:
            raise TimeoutError(f"{len(self._heard)} verdicts for {count} triggers")
        return self._taken()

    def _taken(self) -> list[Seen]:
        heard, self._heard = self._heard, []
        return [Seen(verdict_from_header(header), received_us) for received_us, header in heard]

    def _listen(self, until_s: float) -> None:
        """Take what has come, or wait for something until then."""
        wait_ms = max(0, round(1000 * (until_s - time.monotonic()) + 0.5))
        ready = dict(self._poller.poll(wait_ms))
        if self._results in ready:
            while self._results.poll(0):
                frames = self._results.recv_multipart()
                received_us = SYSTEM_CLOCK.now_us()
                if frames[0].startswith(b"verdict/"):
                    self._heard.append((received_us, frames[1]))
        for asker in self._askers:
            while asker in ready and asker.poll(0):
                asker.recv_multipart()
                self.acknowledged += 1

    def _first_status(self) -> Status:
        """The heartbeat that answers our subscription: from now on nothing is lost."""
        while self._results.poll(round(1000 * _PATIENCE_S)):
            message = message_from_frames(self._results.recv_multipart())
            if isinstance(message, Status):
                return message
        raise TimeoutError(f"no word from the station in {_PATIENCE_S:g} s")


@contextlib.contextmanager
def driven(settings: Mapping[str, Any], plan: Plan | None) -> Iterator[tuple[StationProcess, Driver]]:
    """Yield a station of its own that is ready, and its driver; *plan*: as StationProcess."""
    with (
        tempfile.TemporaryDirectory(prefix="edge-q-") as folder,
        StationProcess(Path(folder), settings, plan) as station,
    ):
        station.wait_ready()
        with Driver(station.results, station.control) as driver:
            yield station, driver


def trigger(id_: str, cameras: Sequence[str] | None = None) -> Trigger:
    """Return the trigger of a production part whose name is its request's id."""
    return Trigger(
        version=1,
        id=id_,
        part_id=id_,
        tag=None,
        counter=None,
        mode=Mode.PRODUCTION,
        cameras=None if cameras is None else tuple(cameras),
    )
