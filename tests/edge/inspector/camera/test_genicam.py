"""GenICam cameras: a buffer is a frame, or what is wrong with it; one that is gone is noticed without blocking."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import CameraError, CameraHangs
from edge.inspector.camera import Frame, Unusable, Watched
from edge.inspector.camera.driver import Device
from edge.inspector.camera.numbers import UNKNOWN_STEP
from edge.records import Reason
from tests.support.genicam import HEIGHT, WIDTH, FakeHandle, Rig, grabbed


def taken(rig: Rig) -> Frame | Unusable:
    found = rig.camera.read()
    assert found is not None
    return found


def frame(rig: Rig) -> Frame:
    found = taken(rig)
    assert isinstance(found, Frame), found
    return found


def unusable(rig: Rig) -> Unusable:
    found = taken(rig)
    assert isinstance(found, Unusable)
    assert "\n" not in found.detail
    assert "camera 'cam1': frame" in found.detail
    return found


# ---- frames ------------------------------------------------------------------------------------------------------


def test_a_good_buffer_is_a_frame() -> None:
    """Picture, number and the time when it was taken; it numbers its frames, and the count begins anew at each open."""
    rig = Rig()
    actual = rig.camera.open(1)
    assert (actual.numbered, actual.triggerable, actual.counts, actual.format) == (True, False, False, "mono8")
    assert actual.description == "Maker-Model-1, 24x16 Mono8, free-run, 50 Hz, 5000 us exposure, 0 dB"
    assert rig.camera.read() is None
    rig.give(9)
    at_us = rig.clock.us
    rig.clock.us += 700
    found = frame(rig)
    assert (found.number, found.source, found.captured_us) == (1, "1", at_us)
    assert found.image.shape == (HEIGHT, WIDTH)
    assert (found.image == 9).all()


def test_numbers_grow_over_the_round_of_the_ids_and_keep_their_gaps() -> None:
    """GigE Vision counts 1..65535: the frame after 65535 is 1, and one that is missing there is missing by number."""
    rig = Rig()
    rig.opened(resume_from=100)
    rig.give(65534, 65535, 1, 2, 5)
    assert [frame(rig).number for _ in range(5)] == [100, 101, 102, 103, 106]


@pytest.mark.parametrize("second", [40, 41, 7])
def test_ids_that_run_back_are_a_fault(second: int) -> None:
    """The part is UNKNOWN, and the numbers jump so far that nobody takes the distance for missing parts."""
    rig = Rig()
    rig.opened()
    rig.give(41, second, second + 1)
    assert frame(rig).number == 1
    fault = unusable(rig)
    assert (fault.number, fault.reason) == (1 + UNKNOWN_STEP, Reason.CAMERA)
    assert f"frame id {second} follows 41" in fault.detail
    assert frame(rig).number == 2 + UNKNOWN_STEP


@pytest.mark.parametrize("status", ["timeout", "missing-packets", "size-mismatch", "unheard-of"])
def test_a_buffer_without_success_is_never_inspected(status: str) -> None:
    """Its status is told; the number goes on, and so does the camera."""
    rig = Rig()
    rig.opened()
    rig.give(1)
    rig.give(2, status=status, payload="", data=b"")
    rig.give(3)
    assert frame(rig).number == 1
    fault = unusable(rig)
    assert (fault.number, fault.reason) == (2, Reason.CAMERA)
    assert status in fault.detail
    assert frame(rig).number == 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"width": WIDTH - 8}, "16x16 px, expected 24x16"),
        ({"left": 8, "top": 2}, r"region at (8, 2), expected (0, 0): it was moved"),
        ({"pixel_format": 0x01080009}, "0x01080009, expected 0x01080001"),
        ({"data": b"\0" * (WIDTH * HEIGHT - 1)}, "383 bytes, expected 384"),
        ({"payload": "multipart"}, "multipart, expected an image"),
    ],
)
def test_a_buffer_of_another_layout_is_unusable(changes: dict[str, object], told: str) -> None:
    """Somebody changed the camera meanwhile: its picture would be read wrongly."""
    rig = Rig()
    rig.opened()
    rig.give(1, **changes)
    fault = unusable(rig)
    assert fault.reason is Reason.GEOMETRY
    assert told in fault.detail


def test_a_region_that_was_moved_is_noticed() -> None:
    """Of a camera that tells where it begins; many say that it is at the corner whatever it is."""
    rig = Rig(offset_x=16)
    rig.opened()
    rig.give(1, left=16)
    assert frame(rig).number == 1
    for number, left in ((2, 24), (3, 0)):
        rig.give(number, left=left)
        fault = unusable(rig)
        assert fault.reason is Reason.GEOMETRY
        assert f"region at ({left}, 0), expected (16, 0)" in fault.detail
    silent = Rig(offset_x=16)
    silent.opened()
    silent.give(1)
    assert frame(silent).number == 1
    silent.give(2, left=24)
    assert "region at (24, 0), expected (0, 0)" in unusable(silent).detail


def test_a_clock_that_runs_back_costs_one_frame() -> None:
    """When that picture was taken is not known; the next ones are placed anew."""
    rig = Rig()
    rig.opened()
    for frame_id, stamp_ns in ((1, 9_000_000), (2, 4_000_000), (3, 24_000_000)):
        rig.give(frame_id, stamp_ns=stamp_ns)
        rig.clock.us += 20_000
    assert frame(rig).number == 1
    fault = unusable(rig)
    assert (fault.number, fault.reason) == (2, Reason.CAMERA)
    assert "not monotonic" in fault.detail
    assert frame(rig).number == 3


def test_a_picture_that_was_held_back_is_not_inspected() -> None:
    """What it shows has left the camera long ago: it is UNKNOWN(camera), whenever it came."""
    rig = Rig()
    rig.opened()
    rig.give(1)
    rig.clock.us += 30_000_000
    rig.handle.waiting.append(grabbed(2, rig.clock.us, stamp_ns=5_020_000_000 + 1000 * (rig.clock.us - 30_000_000)))
    rig.give(3)
    assert frame(rig).number == 1
    assert "taken 30.0 s before it came" in unusable(rig).detail
    assert frame(rig).number == 3


def test_the_hosts_clock_can_be_chosen() -> None:
    """Of a camera whose clock is of no use the arrival counts, whatever its stamps say."""
    rig = Rig(timestamps="host")
    rig.opened()
    rig.give(1, stamp_ns=9)
    rig.give(2, stamp_ns=3)
    assert [frame(rig).captured_us for _ in range(2)] == [rig.clock.us - 10_000, rig.clock.us]


def test_what_came_before_the_first_read_is_not_given() -> None:
    """It shows what stood there before the station was ready."""
    rig = Rig()
    rig.camera.open(1)
    rig.give(1, 2)
    assert rig.camera.read() is None
    rig.give(3)
    assert frame(rig).image[0, 0] == 3


def test_colours_are_swapped_and_mosaics_resolved() -> None:
    """RGB8 and Bayer become bgr8; with convert_to they become grey."""
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[..., 0] = 200
    changes = {"pixel_format": 0x02180014, "data": red.tobytes()}
    rig = Rig("bgr8", pixel_format="RGB8")
    rig.opened()
    rig.give(1, **changes)
    assert frame(rig).image[4, 4].tolist() == [0, 0, 200]
    grey = Rig("mono8", convert=True, pixel_format="RGB8")
    grey.opened()
    grey.give(1, **changes)
    assert frame(grey).image.shape == (HEIGHT, WIDTH)


# ---- is it there? ------------------------------------------------------------------------------------------------


def silent_for_us(rig: Rig) -> int:
    """Read until the camera is found gone; return how long that took [us]."""
    started_us = rig.clock.us
    with pytest.raises(CameraError, match=r"cam1.*Maker-Model-1.*will be reopened"):
        read_until_gone(rig)
    return rig.clock.us - started_us


def read_until_gone(rig: Rig) -> None:
    for _ in range(10_000):
        assert rig.camera.read() is None


def test_a_camera_that_runs_free_is_lost_after_some_periods() -> None:
    """No register is accessed for it: that would block. The first frame may take longer."""
    rig = Rig(rate_hz=10.0, silent_periods=3)
    handle = rig.opened()
    rig.give(1)
    frame(rig)
    handle.dead = True
    assert 300_000 < silent_for_us(rig) < 400_000
    late = Rig(rate_hz=10.0, silent_periods=3, read_timeout_ms=2000)
    late.opened()
    assert 1_900_000 < silent_for_us(late) < 2_200_000


def test_a_long_exposure_is_no_silence() -> None:
    """Exposed for a second, frames come once a second, whatever the rate says."""
    rig = Rig(rate_hz=50.0, exposure_us=1e6, silent_periods=2)
    rig.opened()
    rig.give(1)
    frame(rig)
    assert silent_for_us(rig) > 2_000_000


def test_a_triggered_camera_may_be_silent_for_hours() -> None:
    """It is asked once a second whether it is there; that it does not answer is noticed, and never waited for."""
    rig = Rig(trigger="camera")
    handle = rig.opened()
    assert handle.trigger == ("Line1", "RisingEdge")
    for _ in range(36_000):
        assert rig.camera.read() is None
    assert 3000 < handle.pings < 3700
    handle.dead = True
    assert silent_for_us(rig) <= 1_200_000
    hung = Rig(trigger="camera")
    hung.opened()
    hung.hand.hangs = True
    assert silent_for_us(hung) <= 2_700_000


@pytest.mark.parametrize("trigger", ["free-run", "camera", "software"])
def test_lost_control_is_noticed(trigger: str) -> None:
    """By the next read, or where none is due by the look that is taken meanwhile."""
    rig = Rig(trigger=trigger)
    handle = rig.opened()
    assert isinstance(rig.camera, Watched)
    rig.camera.check()
    handle.lost = True
    with pytest.raises(CameraError, match="control of it is lost"):
        rig.camera.read()
    with pytest.raises(CameraError, match="control of it is lost"):
        rig.camera.check()


@pytest.mark.parametrize("trigger", ["free-run", "camera"])
def test_lost_control_is_noticed_while_frames_come(trigger: str) -> None:
    """Whoever controls it now may have set it to anything: what it sends is not inspected."""
    rig = Rig(trigger=trigger)
    handle = rig.opened()
    rig.give(1, 2)
    assert frame(rig).number == 1
    handle.lost = True
    with pytest.raises(CameraError, match="control of it is lost"):
        rig.camera.read()


def test_a_later_open_takes_no_other_camera() -> None:
    """Without a name it is the only one there is, and then that one: another in its place has other settings."""
    rig = Rig()
    rig.opened()
    rig.camera.close()
    first, rig.found = rig.found, [Device("Maker-Model-2", "Maker", "Model", "2", "192.168.1.21", "GigEVision")]
    with pytest.raises(
        CameraError, match=r"^camera 'cam1': expected Maker-Model-1 as at first, found Maker-Model-2; "
    ) as caught:
        rig.camera.open(1)
    assert "restart the station" in str(caught.value)
    rig.found += first
    rig.camera.open(1)
    assert rig.handle.id == "Maker-Model-1"


def test_one_hand_at_a_time_waits_for_a_camera_that_hangs() -> None:
    """Each open would leave one more behind: it is not opened before the last one's has come back."""
    rig = Rig(trigger="camera")
    handle = rig.opened()
    handle.lost = rig.hand.hangs = True
    with pytest.raises(CameraError):
        rig.camera.read()
    rig.camera.close()
    for _ in range(5):
        with pytest.raises(CameraError, match=r"^camera 'cam1': what closes it has not come back yet"):
            rig.camera.open(1)
    assert len(rig.handles) == 1
    rig.hand.hangs = False
    rig.opened()


def test_a_camera_whose_hand_never_comes_back_is_given_up() -> None:
    """No open of this process would bring it back: a new one has to."""
    rig = Rig(trigger="camera")
    handle = rig.opened()
    handle.lost = rig.hand.hangs = True
    rig.camera.close()
    rig.clock.us += 60_000_000
    with pytest.raises(CameraError, match="tried again") as still:
        rig.camera.open(1)
    assert not isinstance(still.value, CameraHangs)
    rig.clock.us += 1
    with pytest.raises(CameraHangs, match=r"^camera 'cam1': what closes it has not come back for 60 s: its driver h"):
        rig.camera.open(1)


def test_closing_tears_it_down_and_opening_begins_anew() -> None:
    """A new handle each time; numbers go on where they were told to."""
    rig = Rig()
    first = rig.opened()
    rig.camera.close()
    rig.camera.close()
    assert first.torn
    with pytest.raises(CameraError, match="before open"):
        rig.camera.read()
    second = rig.opened(resume_from=8)
    assert second is not first
    rig.give(30_000)
    assert frame(rig).number == 8


def test_a_camera_that_is_gone_is_not_waited_for() -> None:
    """Its teardown hangs for seconds: it is left to the hand."""
    rig = Rig(trigger="camera")
    handle = rig.opened()
    handle.lost = True
    rig.hand.hangs = True
    with pytest.raises(CameraError):
        rig.camera.read()
    rig.camera.close()
    assert not handle.torn


# ---- by request --------------------------------------------------------------------------------------------------


def answering(rig: Rig, *ids: int, after_us: int = 3000) -> None:
    """Let the next trigger bring these frames, taken *after_us* after it."""

    def answer() -> None:
        rig.handle.waiting += [grabbed(frame_id, rig.clock.us + after_us) for frame_id in ids]

    rig.handle.answers = answer


def test_each_request_fires_once_and_takes_what_comes_after_it() -> None:
    """Numbers are our own; what lay there before is passed over."""
    rig = Rig(trigger="software")
    actual = rig.camera.open(5)
    assert (actual.triggerable, actual.numbered) == (True, False)
    for number, frame_id in ((5, 70), (6, 71)):
        rig.give(200)
        answering(rig, frame_id)
        found = frame(rig)
        assert (found.number, found.image[0, 0]) == (number, frame_id)


def test_a_late_picture_of_an_older_request_answers_no_newer_one() -> None:
    """By the camera's clock it was taken before the trigger, although it comes after it."""
    rig = Rig(trigger="software")
    handle = rig.opened()
    answering(rig, 1)
    assert frame(rig).number == 1
    answering(rig)
    fault = unusable(rig)
    assert (fault.number, fault.reason) == (2, Reason.CAMERA)
    assert "read_timeout_ms = 1000" in fault.detail
    old_us = rig.clock.us - 900_000

    def answer() -> None:
        now_us = rig.clock.us
        handle.waiting += [grabbed(2, old_us, arrived_ns=1000 * now_us), grabbed(3, now_us + 3000)]

    handle.answers = answer
    found = frame(rig)
    assert (found.number, found.image[0, 0]) == (3, 3)


@pytest.mark.parametrize("timestamps", ["camera", "host"])
def test_a_camera_that_does_not_answer_is_opened_again(timestamps: str) -> None:
    """At the second time; at the first one where nothing would tell a late picture from the next one."""
    rig = Rig(trigger="software", timestamps=timestamps)
    rig.opened()
    answering(rig, 1)
    frame(rig)
    answering(rig)
    if timestamps == "camera":
        unusable(rig)
    with pytest.raises(CameraError, match="no picture within read_timeout_ms"):
        rig.camera.read()


def test_a_trigger_that_cannot_be_given_is_told_at_once() -> None:
    """A dead camera: the register access fails, or hangs until the time-out and is not waited for any longer."""
    rig = Rig(trigger="software")
    rig.opened().dead = True
    with pytest.raises(CameraError, match="write_register timeout"):
        rig.camera.read()
    hung = Rig(trigger="software")
    hung.opened()
    hung.hand.hangs = True
    started_us = hung.clock.us
    with pytest.raises(CameraError, match="no picture"):
        hung.camera.read()
    assert hung.clock.us - started_us <= 1_000_000


@pytest.mark.parametrize("timestamps", ["camera", "host"])
@pytest.mark.parametrize("comes", [True, False])
def test_a_trigger_that_was_repeated_costs_an_open(timestamps: str, comes: bool) -> None:
    """A lost one is given again after half a second; lost on the way back it is given twice, with two pictures."""
    rig = Rig(trigger="software", timestamps=timestamps)
    handle = rig.opened()
    answering(rig, 1)
    assert frame(rig).number == 1

    def answer() -> None:
        rig.clock.us += 600_000
        if comes:
            handle.waiting.append(grabbed(2, rig.clock.us + 3000))

    handle.answers = answer
    with pytest.raises(CameraError, match="the software trigger took 600 ms, expected 400 or less"):
        rig.camera.read()


@pytest.mark.parametrize("pause_us", [3600 * 10**6, 60 * 3600 * 10**6])
def test_a_request_after_a_weekend_is_answered(pause_us: int) -> None:
    """The clocks have drifted apart meanwhile, but nothing from before can be on its way."""
    rig = Rig(trigger="software")
    rig.opened()
    answering(rig, 1)
    frame(rig)
    rig.clock.us += pause_us
    drift_us = round(50e-6 * pause_us)

    def answer() -> None:
        at_us = rig.clock.us + 3000
        rig.handle.waiting.append(grabbed(2, at_us - drift_us, arrived_ns=1000 * at_us))

    rig.handle.answers = answer
    assert frame(rig).number == 2


def test_an_incomplete_picture_answers_its_request() -> None:
    """The part is UNKNOWN(camera), and the next one is taken."""
    rig = Rig(trigger="software")
    handle = rig.opened()
    handle.answers = lambda: handle.waiting.append(grabbed(1, rig.clock.us, status="timeout"))
    assert "timeout" in unusable(rig).detail
    answering(rig, 2)
    assert frame(rig).number == 2


def test_what_fails_at_the_open_is_told_with_the_cameras_name() -> None:
    """One line, and the handle is torn down."""
    rig = Rig(exposure_us=5e6)
    with pytest.raises(CameraError, match=r"^camera 'cam1': exposure_us requested 5e\+06, actual 5000; it takes 10 to"):
        rig.camera.open(1)
    assert rig.handle.torn
    nobody = Rig()
    nobody.found = []
    with pytest.raises(CameraError, match=r"^camera 'cam1': expected a GenICam camera; found none; check cable"):
        nobody.camera.open(1)


def test_a_camera_that_dies_while_it_is_opened_does_not_open() -> None:
    """As Aravis says it: a register access that nobody answers."""
    rig = Rig()

    def dead(handle: FakeHandle) -> None:
        handle.dead = True

    rig.prepare = dead
    with pytest.raises(CameraError, match="write_register timeout"):
        rig.camera.open(1)
