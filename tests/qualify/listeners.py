"""
Some subscribers in one process: ``python -m tests.qualify.listeners RESULTS COUNT IDLE FILE``.

Says ``ready`` when each of them hears the station; at SIGTERM writes for each how long its verdicts took from published
to received [us] into FILE, as JSON. IDLE more subscribe and never read.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import zmq

from edge.clock import SYSTEM_CLOCK

_FIELD = b'"published_us":'


class Listeners:
    """*count* connections that read, *idle* that do not."""

    def __init__(self, results: str, count: int, idle: int) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets = [self._connected(results) for _ in range(count)]
        self._idle = [self._connected(results) for _ in range(idle)]
        self._poller = zmq.Poller()
        for socket in self._sockets:
            self._poller.register(socket, zmq.POLLIN)
        self._took_us: dict[zmq.Socket[bytes], list[int]] = {socket: [] for socket in self._sockets}
        self._heard: set[zmq.Socket[bytes]] = set()
        self.ending = False

    @property
    def complete(self) -> bool:
        return len(self._heard) == len(self._sockets)

    def turn(self) -> None:
        """Take what has come, the verdict's time by the bytes: decoding would be measured too."""
        for socket, _ in self._poller.poll(200):
            topic, header = socket.recv_multipart()[:2]
            received_us = SYSTEM_CLOCK.now_us()
            self._heard.add(socket)
            if topic.startswith(b"verdict/"):
                at = header.rindex(_FIELD) + len(_FIELD)
                self._took_us[socket].append(received_us - int(header[at : header.index(b",", at)]))

    def took_us(self) -> list[list[int]]:
        return list(self._took_us.values())

    def _connected(self, results: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.SUB)
        socket.subscribe(b"")
        socket.connect(results)
        return socket


def main() -> None:
    results, count, idle, file = sys.argv[1:]
    listeners = Listeners(results, int(count), int(idle))
    signal.signal(signal.SIGTERM, lambda *_: setattr(listeners, "ending", True))
    while not listeners.complete:
        listeners.turn()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not listeners.ending:
        listeners.turn()
    Path(file).write_text(json.dumps(listeners.took_us()), encoding="utf-8")


if __name__ == "__main__":
    main()
