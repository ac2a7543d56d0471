"""
A network camera: /usr/bin/python3 server.py PORT serves rtsp://127.0.0.1:PORT/cam (H.264, key frames each second).

It needs the system's Python, with PyGObject and gst-rtsp-server; it says "up" when it listens.
"""

from __future__ import annotations

import argparse
import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")

import numpy as np  # noqa: E402 - the versions come first
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402
from scene import picture_at, plate  # noqa: E402 - beside this file, which is started by its path


class Camera(GstRtspServer.RTSPMediaFactory):
    """One sensor, whoever looks: all clients see the same pictures."""

    def __init__(self, width: int, height: int, rate: int, bitrate: int, transports: object) -> None:
        super().__init__()
        self.set_shared(True)
        self._background = plate(height, width)
        self._chroma = np.full(height * width // 2, 128, np.uint8).tobytes()
        self._period_ms = 1000 / rate
        self._transports = transports
        self._running: set[object] = set()
        # One picture waits for the encoder at most: what is sent is never older than that.
        self._pipeline = (
            "( appsrc name=sensor is-live=true format=time do-timestamp=true max-buffers=1 leaky-type=downstream "
            f"caps=video/x-raw,format=I420,width={width},height={height},framerate={rate}/1 "
            f"! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={rate} bitrate={bitrate} "
            "! rtph264pay name=pay0 pt=96 config-interval=1 )"
        )

    def do_create_element(self, url: object) -> object:
        return Gst.parse_launch(self._pipeline)

    def do_configure(self, media: object) -> None:
        media.set_protocols(self._transports)
        sensor = media.get_element().get_child_by_name("sensor")
        media.connect("unprepared", lambda _: self._running.discard(sensor))
        self._running.add(sensor)
        GLib.timeout_add(0, self._expose, sensor, _now_ms())

    def _expose(self, sensor: object, due_ms: float) -> bool:
        if sensor not in self._running:
            return GLib.SOURCE_REMOVE
        # Without a clock a picture gets no time stamp, and the pipeline waits for ever for its time to come.
        if sensor.get_clock() is not None:
            grey = picture_at(int(_now_ms()), self._background)
            # As video has it: 16 is black, 235 white.
            picture = (16 + grey.astype(np.uint16) * 219 // 255).astype(np.uint8).tobytes() + self._chroma
            sensor.emit("push-buffer", Gst.Buffer.new_wrapped(picture))
        # A process that was stopped does not make up for what it did not see.
        due_ms = max(due_ms + self._period_ms, _now_ms())
        GLib.timeout_add(max(0, round(due_ms - _now_ms())), self._expose, sensor, due_ms)
        return GLib.SOURCE_REMOVE


def guarded(server: object, factory: object, user: str, password: str) -> None:
    """Ask who looks: Digest, as most network cameras do."""
    auth = GstRtspServer.RTSPAuth.new()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    viewer = GstRtspServer.RTSPToken.new()
    viewer.set_string("media.factory.role", "viewer")
    auth.add_digest(user, password, viewer)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions.new()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)


def _now_ms() -> float:
    return time.monotonic_ns() / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--bitrate", type=int, default=4000, help="kbit/s")
    parser.add_argument("--udp", action="store_true", help="refuse RTSP over TCP")
    parser.add_argument("--login", help="USER:PASSWORD that is asked for; none = everybody may look")
    options = parser.parse_args()
    if options.width % 8 or options.height % 2:
        parser.error(f"expected a width in steps of 8 and an even height, not {options.width}x{options.height}")
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    transports = GstRtsp.RTSPLowerTrans.UDP if options.udp else GstRtsp.RTSPLowerTrans.TCP
    camera = Camera(options.width, options.height, options.rate, options.bitrate, transports)
    server.get_mount_points().add_factory("/cam", camera)
    if options.login:
        guarded(server, camera, *options.login.split(":", 1))
    if server.attach(None) == 0:
        sys.exit(f"port {options.port} cannot be listened on")
    print("up", flush=True)  # noqa: T201 - whoever started it waits for that
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
