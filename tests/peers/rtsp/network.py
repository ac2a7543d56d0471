"""A network between a client and a server on this machine: all may come late, and RTP packets may be lost."""

from __future__ import annotations

import queue
import re
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType

from typing_extensions import Self

_CHUNK = 65536


class Loss:
    """
    A camera whose send buffer is full, of one connection: drops interleaved RTP packets, over TCP.

    Attributes:
        packets: so many are dropped, each from within a picture.
        pictures: so many whole pictures are dropped.
        dropped: packets that were.
    """

    def __init__(self) -> None:
        self.packets = self.pictures = self.dropped = 0
        self._data = bytearray()
        self._place = 0
        self._whole = False

    def of(self, data: bytes) -> bytes:
        """Return what is left of what the server has sent next; half a packet waits for the rest."""
        self._data += data
        left = bytearray()
        while (length := self._length()) is not None and length <= len(self._data):
            one = bytes(self._data[:length])
            del self._data[:length]
            if self._is_dropped(one):
                self.dropped += 1
            else:
                left += one
        return bytes(left)

    def _length(self) -> int | None:
        if self._data[:1] == b"$":
            return None if len(self._data) < 4 else 4 + int.from_bytes(self._data[2:4], "big")
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return None
        found = re.search(rb"content-length: *(\d+)", self._data[:end], re.IGNORECASE)
        return end + 4 + (0 if found is None else int(found[1]))

    def _is_dropped(self, one: bytes) -> bool:
        if one[:2] != b"$\0" or len(one) < 16:
            return False
        place, last = self._place, bool(one[5] & 0x80)
        self._place = 0 if last else place + 1
        if self.pictures:
            # From its first packet on.
            dropped = self._whole = self._whole or place == 0
            if dropped and last:
                self.pictures -= 1
                self._whole = False
            return dropped
        if self.packets and place >= 1 and not last:
            self.packets -= 1
            return True
        return False


class Network:
    """
    Forwards TCP connections to a port of this machine.

    Attributes:
        port: where it listens.
        delay_s: what comes from the server arrives so much later; a change holds for what is sent after it.
        loss: what becomes of the RTP packets of an RTSP connection.
    """

    def __init__(self, server_port: int) -> None:
        self.delay_s = 0.0
        self.loss = Loss()
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
            # The end of the connection has to arrive, too.
            if data and not (data := self.loss.of(data)):
                continue
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
