"""What an RTSP server sends, on its way to the decoder: a packet that is missing is noticed before what follows."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from edge.inspector.camera.relay import Numbers, Relay

ANSWER = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 5\r\n\r\n$3456"


def packet(number: int, *, channel: int = 0, source: int = 7, kind: int = 96) -> bytes:
    rtp = struct.pack(">BBHII", 0x80, kind, number & 0xFFFF, 0, source) + b"picture"
    return struct.pack(">cBH", b"$", channel, len(rtp)) + rtp


def test_numbers_without_a_gap_are_good() -> None:
    """They come round, several streams are counted apart, reports have none, and answers stand between."""
    numbers = Numbers()
    for number in range(65530, 65540):
        assert numbers.see(packet(number) + packet(3 * number, channel=2, source=number))
        assert numbers.see(ANSWER + packet(17, channel=1, kind=200))
    assert numbers.lost == 0


@pytest.mark.parametrize("number", [12, 10, 9, 500])
def test_a_gap_is_counted(number: int) -> None:
    """One missing, one twice, one too late, many missing."""
    numbers = Numbers()
    numbers.see(packet(9) + packet(10) + packet(number))
    assert numbers.lost == 1


def test_bytes_may_come_one_by_one() -> None:
    """TCP knows no packets."""
    numbers = Numbers()
    for byte in ANSWER + packet(1) + packet(2) + ANSWER + packet(4):
        assert numbers.see(bytes([byte]))
    assert numbers.lost == 1


def test_what_is_no_rtsp_ends() -> None:
    """A megabyte without a head is none."""
    numbers = Numbers()
    assert numbers.see(b"x" * 1000)
    assert not numbers.see(b"x" * (1 << 20))


def test_a_relay_passes_on_what_it_has_looked_at() -> None:
    """Both ways, byte by byte the same; when the camera hangs up, the client learns it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Relay("127.0.0.1", listener.getsockname()[1])
        with socket.create_connection(("127.0.0.1", relay.port), 10) as client:
            camera, _ = listener.accept()
            with camera:
                client.sendall(b"OPTIONS *")
                assert camera.recv(100) == b"OPTIONS *"
                sent = ANSWER + packet(1) + packet(3)
                camera.sendall(sent)
                assert client.recv(1000) == sent
                assert relay.lost == 1
            assert client.recv(1) == b""
        relay.close()


def test_a_camera_that_is_not_there_ends_the_connection() -> None:
    """As it would end without a relay; and one that nobody used ends its thread."""
    relay = Relay("127.0.0.1", 9)
    with socket.create_connection(("127.0.0.1", relay.port), 10) as client:
        assert client.recv(1) == b""
    unused = Relay("127.0.0.1", 9)
    unused.close()
    for thread in threading.enumerate():
        if thread.name.startswith("relay-"):
            thread.join(10)
            assert not thread.is_alive()
