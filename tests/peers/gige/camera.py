"""
A GigE Vision camera with pictures of our own: /usr/bin/python3 camera.py serves the scene of ../rtsp/scene.py.

Aravis' fake camera, of which the buffer is filled by us: real GVCP and GVSP over UDP, every picture with the time of
its exposure as a barcode. It needs the system's Python with PyGObject, NumPy and gir1.2-aravis-0.8; it says "up" when
it listens. A client sets region, rate and trigger; what is not Mono8 stays black.
"""

from __future__ import annotations

import argparse
import ctypes
import signal
import sys
import time
from pathlib import Path

import gi

gi.require_version("Aravis", "0.8")

import numpy as np  # noqa: E402 - the version comes first
from gi.repository import Aravis  # noqa: E402

sys.path.append(str(Path(__file__).parents[1] / "rtsp"))
from scene import picture_at, plate  # noqa: E402 - beside this file's folder

_FILL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)
_MONO8 = 0x01080001


class Sensor:
    """Fills the buffers of a fake camera. Through ctypes: the binding hands out copies of a buffer's data only."""

    def __init__(self, camera: object) -> None:
        self._camera = camera
        self._background = plate(64, 64)
        library = ctypes.CDLL("libaravis-0.8.so.0")
        self._data = library.arv_buffer_get_data
        self._data.restype, self._data.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p]
        # Kept: the camera calls it for as long as it lives.
        self._callback = _FILL(self._expose)
        set_fill_pattern = library.arv_fake_camera_set_fill_pattern
        set_fill_pattern.restype, set_fill_pattern.argtypes = None, [ctypes.c_void_p, _FILL, ctypes.c_void_p]
        # The hash of a GObject is its address.
        set_fill_pattern(hash(camera), self._callback, None)

    def _expose(self, buffer: int, data: int, exposure_us: int, gain: int, pixel_format: int) -> None:
        now_ms = time.monotonic_ns() // 1_000_000
        _, width = self._camera.read_register(Aravis.FAKE_CAMERA_REGISTER_WIDTH)
        _, height = self._camera.read_register(Aravis.FAKE_CAMERA_REGISTER_HEIGHT)
        pixels = np.ctypeslib.as_array(
            ctypes.cast(self._data(buffer, None), ctypes.POINTER(ctypes.c_uint8)), (self._camera.get_payload(),)
        )
        if pixel_format != _MONO8 or pixels.size != height * width:
            pixels[:] = 0
            return
        if self._background.shape != (height, width):
            self._background = plate(height, width)
        pixels.reshape(height, width)[...] = picture_at(now_ms, self._background)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", "--interface", default="127.0.0.1", help="name or address of the interface to listen on")
    parser.add_argument("-s", "--serial", default="GV01", help="serial number; the id is Aravis-Fake-SERIAL")
    parser.add_argument("-r", "--lost", type=float, default=0, help="packets lost, per thousand")
    parser.add_argument("--lost-later", type=float, default=0, help="the same, from SIGUSR1 to SIGUSR2")
    options = parser.parse_args()
    camera = Aravis.GvFakeCamera.new(options.interface, options.serial)
    if not camera.is_running():
        sys.exit(f"interface {options.interface} cannot be listened on")

    def lose(per_thousand: float) -> None:
        camera.set_property("gvsp-lost-ratio", per_thousand / 1000)

    lose(options.lost)
    signal.signal(signal.SIGUSR1, lambda *_: lose(options.lost_later))
    signal.signal(signal.SIGUSR2, lambda *_: lose(options.lost))
    sensor = Sensor(camera.get_fake_camera())  # noqa: F841 - lives as long as the camera
    print("up", flush=True)  # noqa: T201 - whoever started it waits for that
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
