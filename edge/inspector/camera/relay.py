"""
RTSP over TCP by way of this process, which looks at the numbers of the packets on their way to the decoder.

A camera whose send buffer is full drops packets, over TCP too. FFmpeg does not say so: it paints over what is missing.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from contextlib import suppress

_CHUNK = 65_536
_CONNECT_S = 3.0
_MOST_TEXT = 1 << 20
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,7})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_PACKET, _RTP_HEADER = 0x24, 12
# Reports of RTCP, by the second byte without its mark.
_REPORTS = range(72, 77)


class Numbers:
    """
    Reads what a server sends. Pure.

    Attributes:
        lost: so many times packets were missing, or the stream could not be understood.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._data = bytearray()
        # By channel and source.
        self._next: dict[tuple[int, bytes], int] = {}

    def see(self, data: bytes) -> bool:
        """Look at what came next; False = it is no RTSP."""
        self._data += data
        while self._data:
            length = self._length()
            if length is None:
                return len(self._data) <= _MOST_TEXT
            if len(self._data) < length:
                return True
            if self._data[0] == _PACKET:
                self._see_packet(self._data[1], bytes(self._data[4:length]))
            del self._data[:length]
        return True

    def _length(self) -> int | None:
        """Return how long what begins here is; None = its head is not there yet."""
        if self._data[0] == _PACKET:
            return None if len(self._data) < 4 else 4 + int(struct.unpack_from(">H", self._data, 2)[0])
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return None
        found = _LENGTH.search(self._data, 0, end + 2)
        return end + 4 + (0 if found is None else int(found[1]))

    def _see_packet(self, channel: int, packet: bytes) -> None:
        if len(packet) < _RTP_HEADER or packet[1] & 0x7F in _REPORTS:
            return
        (number,) = struct.unpack_from(">H", packet, 2)
        stream = (channel, packet[8:12])
        if self._next.get(stream, number) != number:
            self.lost += 1
        self._next[stream] = (number + 1) & 0xFFFF


class Relay:
    """
    Passes one connection on, from a port of this machine to a camera. What cannot be passed on ends it: its client
    learns that as it would of the camera's.
    """

    def __init__(self, host: str, port: int) -> None:
        self._camera_address = (host, port)
        self._numbers = Numbers()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._closed = False
        threading.Thread(target=self._accept, name=f"relay-{host}", daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def lost(self) -> int:
        """So many times packets were missing; counted before what follows is passed on."""
        return self._numbers.lost

    def close(self) -> None:
        self._closed = True
        for one in self._sockets:
            _close(one)

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
            self._sockets.append(client)
            camera = socket.create_connection(self._camera_address, _CONNECT_S)
        except OSError:
            self.close()
            return
        camera.settimeout(None)
        self._sockets.append(camera)
        if self._closed:
            self.close()
        for one in (client, camera):
            with suppress(OSError):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._ask, args=(client, camera), name="relay-asks", daemon=True).start()
        self._answer(camera, client)

    def _ask(self, client: socket.socket, camera: socket.socket) -> None:
        try:
            while data := client.recv(_CHUNK):
                camera.sendall(data)
        except OSError:
            pass
        self.close()

    def _answer(self, camera: socket.socket, client: socket.socket) -> None:
        try:
            while (data := camera.recv(_CHUNK)) and self._numbers.see(data):
                client.sendall(data)
        except OSError:
            pass
        self.close()


def _close(one: socket.socket) -> None:
    with suppress(OSError):  # It is closed already.
        one.shutdown(socket.SHUT_RDWR)
    one.close()
