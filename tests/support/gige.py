"""A GigE Vision camera whose pictures tell the truth about themselves, and a station that says what it sees of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.client import Event, Picture
from edge.errors import CameraError
from edge.inspector.camera import Camera, Frame, Unusable, make_camera
from edge.inspector.camera.driver import Device
from edge.inspector.camera.genicam import GenicamCamera
from edge.records import Outcome, Status, Verdict
from edge.rig import Rig, bundle_table
from edge.settings import CameraSettings, GenicamSource
from tests.peers.gige.fake import FakeCamera
from tests.peers.rtsp.scene import SIDE, picture_at, plate, read_barcode, square_at

PATIENCE_S = 30.0
RATE_HZ = 50.0
# A barcode counts whole milliseconds.
_BARCODE_US = 1000
# The fake takes its time stamp, and exposes when its Python is called: some ms later on a busy machine.
_STAMP_US = 50_000
_plate = lru_cache(plate)


def settings_of(
    trigger: str = "free-run", *, size: int = 128, name: str = "cam1", **source: Any
) -> tuple[CameraSettings, GenicamSource]:
    table = {"kind": "genicam", "exposure_us": 1000.0, "rate_hz": RATE_HZ, **source}
    tree = {"name": name, "height": size, "width": size, "trigger": trigger, "source": table}
    settings = CameraSettings.model_validate(tree)
    assert isinstance(settings.source, GenicamSource)
    return settings, settings.source


def make(*args: Any, **options: Any) -> Camera:
    """Return a camera as the station makes it: looking for it takes a second at each open."""
    return make_camera(settings_of(*args, **options)[0], "mono8")


def make_known(found: list[Device], *args: Any, **options: Any) -> Camera:
    """Return the same camera, but that nobody looks for it."""
    from edge.inspector.camera.aravis import open_handle

    return GenicamCamera(*settings_of(*args, **options), "mono8", lambda: found, open_handle)


def next_of(camera: Camera) -> Frame | Unusable:
    until = time.monotonic() + PATIENCE_S
    while (taken := camera.read()) is None:
        assert time.monotonic() < until, "nothing came"
    return taken


def exposed_us(frame: Frame | Unusable) -> int:
    """Return when a frame was exposed, by its barcode; each pixel of it must be what stood there then."""
    assert isinstance(frame, Frame), frame
    ms = read_barcode(frame.image)
    assert np.array_equal(frame.image, picture_at(ms, _plate(*frame.image.shape)))
    assert 1000 * ms <= frame.captured_us + _STAMP_US
    return 1000 * ms + _BARCODE_US


def gone(camera: Camera, look: Callable[[], object]) -> tuple[str, float, float]:
    """Look until the camera is found gone; return the error, how long that took, and the longest look [s]."""
    started, longest = time.monotonic(), 0.0
    while time.monotonic() < started + PATIENCE_S:
        began = time.monotonic()
        try:
            look()
        except CameraError as error:
            return str(error), time.monotonic() - started, max(longest, time.monotonic() - began)
        longest = max(longest, time.monotonic() - began)
    raise AssertionError("it was not noticed")


def reopened(camera: Camera) -> tuple[Frame, float]:
    """Close and open until it opens, and take a frame; return how long that took [s]."""
    started = time.monotonic()
    while True:
        camera.close()
        try:
            camera.open(1000)
            break
        except CameraError:
            assert time.monotonic() < started + PATIENCE_S, "it does not open again"
    frame = next_of(camera)
    assert isinstance(frame, Frame)
    return frame, time.monotonic() - started


def leave(fake: FakeCamera, key: Any, value: float) -> None:
    """Set something as another program would, and give the camera free."""
    from edge.inspector.camera.aravis import open_handle

    handle = open_handle(fake.id)
    handle.write(key, value)
    handle.tear_down()


def listed() -> list[tuple[str, str]]:
    from edge.inspector.camera.aravis import devices

    return [(device.id, device.state) for device in devices()]


class Line:
    """A station that listens to itself: what it said and showed, until it is ready, and until it is not."""

    def __init__(self, rig: Rig) -> None:
        self._events = rig.events(PATIENCE_S)
        self.verdicts: list[Verdict] = []
        self._shown: dict[int, bytes] = {}

    def until(self, holds: Callable[[Event], bool]) -> float:
        """Return how long it took until the station said such a thing [s]."""
        began = time.monotonic()
        for event in self._events:
            if isinstance(event, Verdict):
                self.verdicts.append(event)
            elif isinstance(event, Picture):
                self._shown[event.header.seq] = event.jpeg
            if holds(event):
                return time.monotonic() - began
        raise AssertionError("the station has stopped")

    def require_true(self, *, fired: bool) -> None:
        """
        Each PASS is of a picture without a square, each REJECT of one with that square, and each of its own time.

        By the barcode of the picture as the station shows it. Few may be without one: the station drops them when it
        is late.
        """
        judged = [verdict for verdict in self.verdicts if verdict.outcome is not Outcome.UNKNOWN]
        shown = [(verdict, _decoded(self._shown[verdict.seq])) for verdict in judged if verdict.seq in self._shown]
        assert len(shown) >= 0.8 * len(judged)
        for verdict, image in shown:
            _require_true(verdict, image, fired=fired)


def _require_true(verdict: Verdict, image: NDArray[np.uint8], *, fired: bool) -> None:
    ms = read_barcode(image)
    square = square_at(ms, *image.shape)
    defects = [defect for defect in verdict.views[0].defects if defect.counts]
    if square is None:
        assert (verdict.outcome, defects) == (Outcome.PASS, []), f"taken at {ms} ms, without a defect"
    else:
        assert verdict.outcome is Outcome.REJECT, f"taken at {ms} ms, with {square}"
        found = [(d.class_id, d.centroid) for d in defects]
        middle = (square.left + SIDE / 2, square.top + SIDE / 2)
        assert any(i == square.class_id and _near(centre, middle) for i, centre in found), f"{square}, found {found}"
    # Fired, it is taken after its trigger; else its trigger is when it was taken.
    early_us, late_us = verdict.trigger_us - 1000 * ms, verdict.published_us - 1000 * ms
    assert early_us <= _BARCODE_US if fired else early_us >= -_STAMP_US
    assert late_us <= verdict.deadline_us - verdict.trigger_us + _BARCODE_US


def _near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) < SIDE / 4


def _decoded(jpeg: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)


def station(bundle: Path, **camera: Any) -> dict[str, Any]:
    source = {"kind": "genicam", "exposure_us": 1000.0, **camera.pop("source")}
    return {
        "station": "line1",
        "budget_ms": 1000,
        "picture_rate_hz": 100.0,
        "retry_s": 0.2,
        "start": "wait",
        "backend": {"threads": 1},
        "bundle": bundle_table(bundle),
        "cameras": [{"name": "cam1", "height": 192, "width": 256, "source": source, **camera}],
    }


def ready(event: Event) -> bool:
    return isinstance(event, Status) and event.ready


def failed(event: Event) -> bool:
    return isinstance(event, Status) and not event.ready and event.cameras[0].state == "failed"
