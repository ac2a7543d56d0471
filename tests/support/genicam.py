"""Stands in for edge.inspector.camera.aravis: a GenICam camera of which buffers, registers and death are scripted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from edge.errors import CameraError
from edge.inspector.camera.driver import SUCCESS, Device, Grabbed, Key
from edge.inspector.camera.genicam import GenicamCamera
from edge.inspector.camera.hand import Errand, Hand
from edge.inspector.camera.pixels import LAYOUTS
from edge.settings import CameraSettings, GenicamSource
from engines.contract import PixelFormat
from tests.support.station import FakeClock

HEIGHT, WIDTH = 16, 24
DEVICE = Device("Maker-Model-1", "Maker", "Model", "1", "192.168.1.20", "GigEVision")


def grabbed(frame_id: int, at_us: int = 0, **changes: Any) -> Grabbed:
    """Return a good buffer of that id, taken and arrived at *at_us*; its grey value is its id."""
    values: dict[str, Any] = {
        "status": SUCCESS,
        "frame_id": frame_id,
        "stamp_ns": 1000 * at_us + 5_000_000_000,
        "arrived_ns": 1000 * at_us,
        "payload": "image",
        "pixel_format": LAYOUTS["Mono8"].code,
        "width": WIDTH,
        "height": HEIGHT,
        "data": np.full((HEIGHT, WIDTH), frame_id % 256, np.uint8).tobytes(),
    }
    return Grabbed(**{**values, **changes})


class FakeHandle:
    """
    A camera in our control.

    Attributes:
        waiting: buffers that ``pop`` gives, oldest first; without one the clock goes on by the time-out.
        numbers: what its registers hold; limits: what they take; steps: what they round to; others: its marks.
        answers: called by ``fire``; puts what the trigger brings into *waiting*.
        dead: every access of a register fails.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.id = DEVICE.id
        self.clock = clock
        self.lost = self.dead = self.started = self.torn = False
        self.waiting: deque[Grabbed] = deque()
        self.numbers: dict[str, float] = {
            "width": 640, "height": 480, "offset_x": 8, "offset_y": 8,
            "exposure_us": 5000, "gain_db": 0, "rate_hz": 50, "packet_size": 1500,
            "binning_x": 1, "binning_y": 1, "reverse_x": 0,
        }  # fmt: skip
        self.limits: dict[str, tuple[float, float]] = {
            "width": (8, 640), "height": (2, 480), "offset_x": (0, 600), "offset_y": (0, 400),
            "exposure_us": (10, 1e6), "gain_db": (0, 24), "rate_hz": (1, 200), "packet_size": (220, 16384),
            "binning_x": (1, 4), "binning_y": (1, 4), "reverse_x": (0, 1),
        }  # fmt: skip
        self.steps: dict[str, float] = {}
        self.codes = {LAYOUTS[name].code: name for name in ("Mono8", "RGB8", "BayerRG8")}
        self.codes[0x01100007] = "Mono16"
        self.code = LAYOUTS["Mono8"].code
        self.sources = ["Line1", "Software"]
        self.trigger: tuple[str | None, str | None] = (None, None)
        self.deaf = False
        self.others: dict[str, str] = {"ExposureAuto": "Off", "Gamma": "1", "TestPattern": "Off"}
        self.answers: Callable[[], None] = lambda: None
        self.pings = 0
        self.started_with: tuple[int, bool, int] | None = None

    def bounds(self, key: Key) -> tuple[float, float] | None:
        self._access()
        return self.limits.get(key)

    def write(self, key: Key, value: float) -> None:
        self._access()
        step = self.steps.get(key, 0)
        if not self.deaf:
            self.numbers[key] = round(value / step) * step if step else value

    def read(self, key: Key) -> float:
        self._access()
        return self.numbers[key]

    def marks(self) -> dict[str, str]:
        self._access()
        return dict(self.others)

    def formats(self) -> list[str]:
        return list(self.codes.values())

    def write_format(self, code: int) -> None:
        self._access()
        if code not in self.codes:
            raise CameraError("value not found")
        self.code = self.code if self.deaf else code

    def read_format(self) -> tuple[int, str]:
        self._access()
        return self.code, self.codes[self.code]

    def trigger_sources(self) -> list[str]:
        return self.sources

    def write_trigger(self, source: str | None, activation: str | None) -> None:
        self._access()
        self.trigger = self.trigger if self.deaf else (source, activation)

    def read_trigger(self) -> tuple[str | None, str | None]:
        return self.trigger

    def start(self, buffers: int, resend: bool, retention_ms: int) -> None:
        self._access()
        self.started, self.started_with = True, (buffers, resend, retention_ms)

    def pop(self, timeout_s: float) -> Grabbed | None:
        if self.waiting:
            return self.waiting.popleft()
        self.clock.us += round(1e6 * timeout_s)
        return None

    def fire(self) -> None:
        self._access()
        self.answers()

    def ping(self) -> None:
        self._access()
        self.pings += 1

    def tear_down(self) -> None:
        self.torn = True

    def _access(self) -> None:
        if self.dead:
            raise CameraError("write_register timeout")


class PromptHand(Hand):
    """Does at once what it is asked, or with *hangs* never."""

    def __init__(self) -> None:
        self.hangs = False

    def ask(self, work: Callable[[], None]) -> Errand:
        errand = Errand(work)
        if not self.hangs:
            errand.run()
        return errand

    def dismiss(self) -> None: ...

    def ended(self, timeout_s: float) -> bool:
        return not self.hangs


class Rig:
    """A camera of the product on fake handles; a new one at each open."""

    def __init__(
        self, format_: PixelFormat = "mono8", *, convert: bool = False, trigger: str = "free-run", **source: Any
    ) -> None:
        self.clock = FakeClock()
        self.handles: list[FakeHandle] = []
        self.prepare: Callable[[FakeHandle], None] = lambda handle: None
        self.found = [DEVICE]
        settings = CameraSettings.model_validate(
            {
                "name": "cam1",
                "height": HEIGHT,
                "width": WIDTH,
                "trigger": trigger,
                "convert_to": format_ if convert else None,
                "source": {"kind": "genicam", **source},
            }
        )
        assert isinstance(settings.source, GenicamSource)
        self.hand = PromptHand()
        self.camera = GenicamCamera(
            settings, settings.source, format_, lambda: self.found, self._connect, self.clock, lambda name: self.hand
        )

    @property
    def handle(self) -> FakeHandle:
        return self.handles[-1]

    def _connect(self, device: str) -> FakeHandle:
        handle = FakeHandle(self.clock)
        self.prepare(handle)
        self.handles.append(handle)
        return handle

    def give(self, *ids: int, **changes: Any) -> None:
        """Let good buffers of these ids arrive, 10 ms after each other."""
        for frame_id in ids:
            self.clock.us += 10_000
            self.handle.waiting.append(grabbed(frame_id, self.clock.us, **changes))

    def opened(self, resume_from: int = 1) -> FakeHandle:
        """Open and, where that asks for no picture, read once: what waits at the first read is not looked at."""
        self.camera.open(resume_from)
        if self.handle.trigger[0] != "Software":
            assert self.camera.read() is None
        return self.handle
