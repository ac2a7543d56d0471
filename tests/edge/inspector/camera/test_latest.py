"""A live source: the latest picture, each lost one told, and nothing that hangs holds up who waits for it."""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np
import pytest

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError
from edge.inspector.camera import Frame, Unusable, latest
from edge.inspector.camera.handle import Read
from edge.inspector.camera.opencv import OpenCVCamera
from edge.records import Reason
from edge.settings import OpenCVSource
from tests.support.live import RATE_HZ, SETTLED, Live, noise, stand_in


def camera(**source: Any) -> OpenCVCamera:
    return OpenCVCamera(
        OpenCVSource.model_validate({"kind": "opencv", "device": 0, "rate_hz": RATE_HZ, **source}), "mono8", (48, 64)
    )


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Live:
    return stand_in(monkeypatch, Live({cv2.CAP_PROP_FPS: RATE_HZ}))


def opened(live: Live, **source: Any) -> OpenCVCamera:
    one = camera(**source)
    live.give_many(SETTLED)
    one.open(1)
    return one


def closed(one: OpenCVCamera, live: Live) -> None:
    """Close; the reader hangs in a read until something comes."""
    live.end()
    one.close()
    assert live.released.wait(10)


def test_an_open_gives_no_picture_of_before(live: Live) -> None:
    """The second that FFmpeg probed comes at once, then those that are waited for; the first read is one after it."""
    one = camera()
    live.give_many(30, after_s=0.001)
    live.give_many(SETTLED - 1)
    one.open(7)
    frame = live.first(one.read, noise(1000))
    assert isinstance(frame, Frame)
    assert frame.number == 7
    assert np.array_equal(frame.image, noise(1000))
    assert frame.captured_us == live.clock.us
    closed(one, live)


def test_a_slow_reader_gets_the_latest_and_is_told_of_the_others(live: Live) -> None:
    """Each overwritten picture is a part of its own, UNKNOWN(overload): our count has no gap."""
    one = opened(live)
    assert isinstance(live.first(one.read), Frame)
    for seed in (1001, 1002, 1003):
        live.give(noise(seed))
    live.end()
    join_reader()
    found = [one.read() for _ in range(3)]
    assert [f.number for f in found] == [2, 3, 4]
    for lost in found[:2]:
        assert isinstance(lost, Unusable)
        assert (lost.reason, "newer picture" in lost.detail) == (Reason.OVERLOAD, True)
    assert isinstance(found[2], Frame)
    assert np.array_equal(found[2].image, noise(1003))
    assert [found[n + 1].captured_us - found[n].captured_us for n in range(2)] == [100_000] * 2
    with pytest.raises(CameraError, match="no frame"):
        one.read()
    one.close()


def join_reader() -> None:
    """Wait until the reader has read all that was given, and an end."""
    for thread in threading.enumerate():
        if thread.name.startswith("reader-"):
            thread.join(10)


def test_a_slow_picture_is_never_given_as_good(live: Live) -> None:
    """It and those out of the queue behind it are UNKNOWN(camera), until pictures are waited for again."""
    one = opened(live)
    assert isinstance(live.first(one.read), Frame)
    live.give(after_s=1.0)
    live.give_many(3, after_s=0.001)
    found = [one.read() for _ in range(4)]
    for lost in found:
        assert isinstance(lost, Unusable)
        assert lost.reason is Reason.CAMERA
    assert "came 1000 ms after the one before" in found[0].detail
    assert "out of a queue" in found[1].detail
    live.give_many(SETTLED)
    # Some of them show that the queue is empty; which of the fresh ones is read depends on who is faster.
    assert [type(one.read()) for _ in range(SETTLED - 2)] == [Unusable] * (SETTLED - 2)
    closed(one, live)


def test_a_read_that_hit_its_time_out_is_the_handle_s_last(live: Live) -> None:
    """OpenCV returns it as good; what follows on that handle is nothing."""
    # Not gone before, for being silent.
    one = opened(live, silent_periods=1000.0)
    assert isinstance(live.first(one.read), Frame)
    live.give(after_s=1.95)
    live.give_many(5)
    assert isinstance(one.read(), Unusable)
    with pytest.raises(CameraError, match=r"read for 1950 ms: timed out; will be reopened"):
        one.read()
    one.close()
    assert live.released.is_set()


def test_doubtful_pictures_alone_end_an_open(live: Live) -> None:
    """A camera that is slower than it was set to is opened again, and says why."""
    one = opened(live, read_timeout_ms=1000)
    assert isinstance(live.first(one.read), Frame)
    live.give_many(10, after_s=0.5)
    assert [type(one.read()) for _ in range(6)] == [Unusable] * 6
    with pytest.raises(CameraError, match=r"no frame that is surely fresh; the last came 500 ms after the one before"):
        one.read()
    one.close()


def test_a_camera_that_gives_nothing_fresh_does_not_open(live: Live) -> None:
    """Its back-off goes on doubling: an open that succeeds would begin it anew."""
    live.give_many(100, after_s=0.05)
    with pytest.raises(CameraError, match="faster than rate_hz"):
        camera(rate_hz=RATE_HZ).open(1)
    assert live.released.is_set()


def test_what_opencv_raises_is_told(live: Live) -> None:
    """The camera is opened again; its thread does not end the inspector."""
    one = opened(live)
    assert isinstance(live.first(one.read), Frame)
    live.fail(cv2.error("bad\n"))
    with pytest.raises(CameraError, match="OpenCV fails: bad; will be reopened"):
        one.read()
    one.close()


def test_frames_that_nobody_takes_end_an_open(live: Live) -> None:
    """A thousand parts wait: the station does not answer any more, and memory has an end."""
    one = opened(live)
    assert isinstance(live.first(one.read), Frame)
    live.give_many(1100)
    join_reader()
    assert [type(one.read()) for _ in range(1000)] == [Unusable] * 1000
    one.read()
    with pytest.raises(CameraError, match="1000 frames were not taken"):
        one.read()
    one.close()


# ---- what hangs --------------------------------------------------------------------------------------------------


def test_a_silent_camera_is_gone_after_some_periods(live: Live) -> None:
    """The read still hangs then; nobody waits for it, also not for its release, and no second handle is opened."""
    one = opened(live, silent_periods=3.0, open_timeout_ms=100)
    assert isinstance(live.first(one.read), Frame)
    live.clock.pace_us = 100_000
    with pytest.raises(CameraError, match=r"no frame for 300 ms \(unplugged, or it hangs\); will be reopened"):
        one.read()
    one.close()
    assert not live.released.is_set()
    with pytest.raises(CameraError, match="the handle that was closed still hangs"):
        one.open(1)
    live.end()
    assert live.released.wait(10)


def test_an_open_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver or a name server may not hold up the camera's thread; the handle is released when it comes back."""
    live, back = Live(), threading.Event()

    def hang(*_: Any) -> Live:
        back.wait()
        return live

    monkeypatch.setattr(cv2, "VideoCapture", hang)
    one = camera(open_timeout_ms=100)
    began_us = SYSTEM_CLOCK.now_us()
    with pytest.raises(CameraError, match="does not open within open_timeout_ms = 100"):
        one.open(1)
    assert SYSTEM_CLOCK.now_us() - began_us < 3_000_000
    back.set()
    assert live.released.wait(10)


# ---- what only a live source can be -------------------------------------------------------------------------------


def test_another_camera_under_the_same_number_does_not_open(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two were plugged in again, and have changed places: the part would be inspected with the other one's zones."""
    port = ["left at usb-1"]
    monkeypatch.setattr(latest, "port_of", lambda _: port[0])
    one = opened(live)
    closed(one, live)
    port[0] = "right at usb-2"
    live.give_many(SETTLED)
    with pytest.raises(CameraError, match="is right at usb-2 now, expected left at usb-1 as at the first open"):
        one.open(1)
    live.end()
    port[0] = "left at usb-1"
    live.give_many(SETTLED)
    one.open(1)
    closed(one, live)


def test_predicted_video_is_not_given_until_a_key_frame(live: Live) -> None:
    """A picture is missing by the time stamps: what follows is UNKNOWN(camera), until an I picture comes."""
    one = camera(device="rtsp://camera/1")
    live.give_many(SETTLED)
    one.open(1)
    assert isinstance(live.first(one.read, noise(1000)), Frame)
    live.properties[cv2.CAP_PROP_FRAME_TYPE] = float(ord("P"))
    live.give(after_s=0.2)
    live.give()
    found = [one.read() for _ in range(2)]
    live.properties[cv2.CAP_PROP_FRAME_TYPE] = float(ord("I"))
    live.give()
    assert isinstance(one.read(), Frame)
    for lost in found:
        assert isinstance(lost, Unusable)
        assert lost.reason is Reason.CAMERA
        assert "across a gap of 200 ms" in lost.detail
    closed(one, live)


class Parts:
    """Stands in for a stream over HTTP: pictures without time stamps."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def __call__(self, _: Any) -> Parts:
        return self

    def read(self) -> Read | None:
        good, picture = self._live.read()
        return Read(picture) if good else None

    def described(self, _: float | None) -> str:
        return "parts"

    def release(self) -> None:
        self._live.release()


def test_a_gap_without_a_burst_ends_a_stream_without_time_stamps(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures may be late from then on, each in its rhythm: nothing but a new connection can tell."""
    monkeypatch.setattr(latest, "MultipartJpeg", Parts(live))
    one = camera(device="http://camera/1")
    live.give_many(SETTLED)
    one.open(1)
    assert isinstance(live.first(one.read), Frame)
    live.give(after_s=1.0)
    live.give_many(SETTLED + 10)
    # The late one, and those behind it until they come at their pace.
    assert [type(one.read()) for _ in range(SETTLED)] == [Unusable] * SETTLED
    with pytest.raises(CameraError, match="comes after 9 that did not come after a gap: they are lost, or all are"):
        one.read()
    closed(one, live)
