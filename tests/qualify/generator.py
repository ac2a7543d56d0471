"""
A line that forgets no part: ``python -m tests.qualify.generator CONTROL FILE RATE``.

Each trigger's id is in FILE before it is sent, and is sent again, the same, until it is answered, through any downtime
of the station. SIGTERM: no further ones; ends when all are answered. A process of its own, that nobody kills.

    T ID                    is about to be sent
    A ID PART JOURNALED     is answered; JOURNALED = 1: the station will not forget it
    R ID CODE               is refused
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import zmq

from edge.requests import Refusal, Refused, Triggered
from edge.wire import answer_from_frames, frame_from_request
from tests.qualify.driver import trigger

# An answer takes milliseconds; a station that was killed takes a second to come back.
_AGAIN_S = 0.4
_MOST_PENDING = 64
# Nothing was done; the same id is tried again.
_LATER = {Refusal.STOPPING, Refusal.NOT_JOURNALED, Refusal.BUSY, Refusal.NOT_READY}


class Generator:
    """
    Args:
        file: appended to.
        rate_hz: new triggers a second, while no more than 64 are unanswered.
    """

    def __init__(self, control: str, file: Path, rate_hz: float) -> None:
        self._control = control
        self._file = file.open("a", encoding="utf-8", buffering=1)
        self._period_s = 1 / rate_hz
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._connected()
        self._pending: dict[str, tuple[bytes, float]] = {}
        self._given = 0
        self._next_s = time.monotonic()
        self.ending = False

    def run(self) -> None:
        """Trigger until ``ending``, then until nothing is unanswered."""
        while not self.ending or self._pending:
            self._trigger()
            self._repeat()
            self._hear()
        self._context.destroy(linger=0)

    def _trigger(self) -> None:
        now_s = time.monotonic()
        if self.ending or now_s < self._next_s or len(self._pending) >= _MOST_PENDING:
            return
        self._next_s = max(self._next_s + self._period_s, now_s - 1)
        self._given += 1
        id_ = f"part-{self._given}"
        self._note(f"T {id_}")
        frame = frame_from_request(trigger(id_))
        self._pending[id_] = (frame, now_s)
        self._socket.send(frame)

    def _repeat(self) -> None:
        """Ask again for what is overdue, over a new connection: what waits in the old one must not add up."""
        now_s = time.monotonic()
        if all(now_s - sent_s < _AGAIN_S for _, sent_s in self._pending.values()):
            return
        self._socket.close(0)
        self._socket = self._connected()
        for id_, (frame, _) in self._pending.items():
            self._pending[id_] = (frame, now_s)
            self._socket.send(frame)

    def _hear(self) -> None:
        wait_ms = 50 if len(self._pending) >= _MOST_PENDING else round(1000 * (self._next_s - time.monotonic()))
        if not self._socket.poll(min(max(wait_ms, 1), 50)):
            return
        answer = answer_from_frames(self._socket.recv_multipart())
        if answer.id not in self._pending:
            return
        if isinstance(answer, Triggered):
            self._note(f"A {answer.id} {answer.part} {int(answer.journaled)}")
        elif isinstance(answer, Refused) and answer.code in _LATER:
            return
        elif isinstance(answer, Refused):
            self._note(f"R {answer.id} {answer.code.value}")
        del self._pending[answer.id]

    def _note(self, line: str) -> None:
        self._file.write(line + "\n")

    def _connected(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        socket.sndhwm = 0
        socket.connect(self._control)
        return socket


def main() -> None:
    control, file, rate_hz = sys.argv[1:]
    generator = Generator(control, Path(file), float(rate_hz))
    signal.signal(signal.SIGTERM, lambda *_: setattr(generator, "ending", True))
    generator.run()


if __name__ == "__main__":
    main()
