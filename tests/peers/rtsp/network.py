"""A network with a delay, between a client and a server on this machine: nothing is lost, all comes late."""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType

from typing_extensions import Self

_CHUNK = 65536


class Network:
    """
    Forwards TCP connections to a port of this machine.

    Attributes:
        port: where it listens.
        delay_s: what comes from the server arrives so much later; a change holds for what is sent after it.
    """

    def __init__(self, server_port: int) -> None:
        self.delay_s = 0.0
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _close(self._listener)
        for one in self._sockets:
            _close(one)
        for thread in self._threads:
            thread.join(10)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                return
            self._sockets += [client, server]
            way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
            self._start(self._pass_on, client, server)
            self._start(self._take, server, way)
            self._start(self._deliver, way, client)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        while data := _received(client):
            _send(server, data)
        _close(server)

    def _take(self, server: socket.socket, way: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        while True:
            data = _received(server)
            way.put((time.monotonic() + self.delay_s, data))
            if not data:
                return

    def _deliver(self, way: queue.SimpleQueue[tuple[float, bytes]], client: socket.socket) -> None:
        while True:
            due_s, data = way.get()
            time.sleep(max(due_s - time.monotonic(), 0))
            if not data or not _send(client, data):
                _close(client)
                return


def _received(one: socket.socket) -> bytes:
    try:
        return one.recv(_CHUNK)
    except OSError:
        return b""


def _send(one: socket.socket, data: bytes) -> bool:
    try:
        one.sendall(data)
    except OSError:
        return False
    return True


def _close(one: socket.socket) -> None:
    with suppress(OSError):  # It is closed already.
        one.shutdown(socket.SHUT_RDWR)
    one.close()
