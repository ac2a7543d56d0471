"""GenICam cameras through Aravis against Debian's fake GigE Vision camera: real GVCP and GVSP over UDP."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edge.control import Requester, new_id
from edge.errors import CameraError
from edge.inspector.camera import Actual, Camera, Frame, Unusable, Watched
from edge.inspector.camera.driver import Device
from edge.records import VERSION, Mode, Outcome, Reason, Verdict
from edge.requests import Trigger, Triggered
from edge.rig import Rig
from tests.peers.gige.fake import FakeCamera
from tests.support.gige import (
    PATIENCE_S,
    Line,
    exposed_us,
    failed,
    gone,
    leave,
    listed,
    make,
    make_known,
    next_of,
    ready,
    reopened,
    station,
)

# A camera that is read looks around ten times a second; two cores run all tests.
SLACK_S = 0.6
HOLDER = """
import sys, time
from edge.inspector.camera.aravis import open_handle
handle = open_handle(sys.argv[1])
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def peer() -> Iterator[FakeCamera]:
    """Give the one camera of this file: it loses packets when it is told to."""
    with FakeCamera(scene=True, lost_later=5) as peer:
        yield peer


@pytest.fixture(scope="module")
def known(peer: FakeCamera) -> list[Device]:
    """Return what is found when it is looked for."""
    from edge.inspector.camera.aravis import found

    return found()


@pytest.fixture
def fake(peer: FakeCamera, known: list[Device]) -> FakeCamera:
    """Return the camera, running; what it is set to is nobody's business."""
    if not peer.runs:
        peer.start()
    return peer


@pytest.fixture
def fresh(fake: FakeCamera) -> FakeCamera:
    """Return the camera as it is after its power-on."""
    fake.kill()
    fake.start()
    return fake


@pytest.fixture
def opened(fake: FakeCamera, known: list[Device]) -> Iterator[Callable[..., Camera]]:
    """Return what opens cameras without looking for them; each is closed at the end."""
    cameras: list[Camera] = []

    def open_(*args: Any, **options: Any) -> Camera:
        cameras.append(make_known(known, *args, **options))
        cameras[-1].open(1)
        return cameras[-1]

    yield open_
    for camera in cameras:
        camera.close()


def test_frames_come_at_their_rate_and_over_the_round_of_their_ids(
    fresh: FakeCamera, opened: Callable[..., Camera]
) -> None:
    """The fake begins with 65401: without loss every number is one more than the last, also after 65535."""
    camera = opened(rate_hz=100.0)
    frames = [next_of(camera) for _ in range(200)]
    assert [frame.number for frame in frames] == list(range(1, 201))
    assert all(frame.captured_us - exposed_us(frame) < SLACK_S * 1e6 for frame in frames)
    times_us = [frame.captured_us for frame in frames]
    assert times_us == sorted(times_us)
    assert (times_us[-1] - times_us[0]) / 199 == pytest.approx(10_000, rel=0.1)


def test_what_was_set_is_what_the_camera_does(fake: FakeCamera) -> None:
    """In one line, as read back; it was looked for, as the station does."""
    camera = make(size=256, gain_db=3.0, offset_x=8, packet_size=1200)
    actual = camera.open(1)
    camera.close()
    assert isinstance(actual, Actual)
    assert actual.description == f"{fake.id}, 256x256 Mono8, free-run, 50 Hz, 1000 us exposure, 3 dB"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"size": 4096}, "width requested 4096, actual \\d+; it takes 1 to 2048"),
        ({"gain_db": 24.0}, "gain_db requested 24, actual \\d+; it takes 0 to 10"),
        ({"exposure_us": 1.0}, "exposure_us requested 1, actual \\d+; it takes 10 to 1e\\+07"),
        ({"pixel_format": "BGR8"}, "pixel_format requested BGR8, actual Mono8; it has BayerBG8, .*Mono16"),
        ({"pixel_format": "RGB8"}, 'RGB8 gives bgr8, the bundle takes mono8; .*convert_to = "mono8"'),
        ({"trigger": "camera", "trigger_line": "Line7"}, "trigger requested Line7, actual off; it has Line0, Software"),
        ({"device": "Aravis-Fake-GV99"}, r"GV99 is not there; found Aravis-Fake-GV01 \(serial GV01, 127.0.0.1\)"),
    ],
)
def test_what_the_camera_cannot_do_is_refused(
    fake: FakeCamera, known: list[Device], changes: dict[str, Any], told: str
) -> None:
    """Requested and actual in one line, and the camera is free for the next try."""
    camera = make_known(known, **changes)
    with pytest.raises(CameraError, match=f"^camera 'cam1': .*{told}") as caught:
        camera.open(1)
    assert "\n" not in str(caught.value)
    good = make_known(known, pixel_format="Mono8")
    good.open(1)
    good.close()


def test_what_another_program_left_is_refused(fresh: FakeCamera, opened: Callable[..., Camera]) -> None:
    """Pixels that are joined show another part of the world in the same canvas; asked for, they are set."""
    leave(fresh, "binning_x", 2)
    with pytest.raises(CameraError, match="binning_x is 2, expected 1: set in the camera by somebody"):
        opened()
    opened(binning=1).close()
    camera = opened()
    camera.close()
    leave(fresh, "gain_db", 6)
    with pytest.raises(CameraError, match="changed since its first open: gain_db 6, at first 0"):
        camera.open(1)
    leave(fresh, "gain_db", 0)
    camera.open(1)


def test_a_region_that_is_moved_while_frames_come_is_noticed(opened: Callable[..., Camera]) -> None:
    """The picture has its size all the same, but its scale, zones and defects lie elsewhere."""
    camera = opened(size=256)
    exposed_us(next_of(camera))
    camera._opened.handle.write("offset_x", 16)  # type: ignore[attr-defined]
    until = time.monotonic() + PATIENCE_S
    while isinstance(moved := next_of(camera), Frame):
        assert time.monotonic() < until, "it was not noticed"
    assert moved.reason is Reason.GEOMETRY
    assert "region at (16, 0), expected (0, 0): it was moved" in moved.detail


def test_without_a_camera_one_line_tells_what_to_look_at(fake: FakeCamera) -> None:
    """None was found."""
    fake.kill()
    with pytest.raises(CameraError, match="found none; check cable, power"):
        make().open(1)


def test_each_request_gives_exactly_one_frame(fake: FakeCamera, opened: Callable[..., Camera]) -> None:
    """Taken after it; and none comes that nobody asked for."""
    camera = opened("software", rate_hz=500.0)
    for number in range(1, 41):
        asked_us = time.monotonic_ns() // 1000
        frame = next_of(camera)
        assert frame.number == number
        assert exposed_us(frame) >= asked_us
    handle = camera._opened.handle  # type: ignore[attr-defined]
    assert handle.pop(0.3) is None


def test_incomplete_frames_are_never_inspected_and_gaps_are_counted(
    fake: FakeCamera, opened: Callable[..., Camera]
) -> None:
    """Of a network that loses packets: frames, unusable ones and gaps together are all there were."""
    camera = opened(size=512)
    fake.lose()
    try:
        taken = [next_of(camera) for _ in range(100)]
    finally:
        fake.lose_no_more()
    camera.close()
    for one in taken:
        if isinstance(one, Frame):
            exposed_us(one)
    numbers = [one.number for one in taken]
    assert numbers == sorted(set(numbers))
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    incomplete = [one for one in taken if isinstance(one, Unusable)]
    assert len(incomplete) >= 20
    assert missing <= 20
    assert {one.reason for one in incomplete} == {Reason.CAMERA}
    assert all("timeout" in one.detail or "missing-packets" in one.detail for one in incomplete)


def test_a_camera_that_is_killed_is_noticed_and_comes_back(fake: FakeCamera, opened: Callable[..., Camera]) -> None:
    """Within some periods, without a blocking call; then it gives frames by a new handle."""
    camera = opened(gain_db=0.0)
    for _ in range(10):
        next_of(camera)
    fake.kill()
    told, took_s, longest_s = gone(camera, camera.read)
    assert "no frame for" in told
    assert took_s < 0.25 + SLACK_S
    assert longest_s < SLACK_S
    began = time.monotonic()
    camera.close()
    assert time.monotonic() - began < SLACK_S
    fake.start()
    frame, back_s = reopened(camera)
    assert frame.number == 1000
    exposed_us(frame)
    assert back_s < 8


def test_a_camera_that_hangs_is_noticed_and_goes_on(fake: FakeCamera, opened: Callable[..., Camera]) -> None:
    """Stopped for longer than its heartbeat: what it gives after that are new frames."""
    camera = opened(gain_db=0.0)
    next_of(camera)
    fake.hang()
    assert gone(camera, camera.read)[1] < 0.25 + SLACK_S
    camera.close()
    time.sleep(4)
    fake.go_on()
    went_on_us = time.monotonic_ns() // 1000
    frame, back_s = reopened(camera)
    assert exposed_us(frame) > went_on_us
    assert back_s < 10


@pytest.mark.parametrize("trigger", ["camera", "software"])
def test_a_triggered_camera_that_is_killed_is_noticed_without_a_trigger(
    fake: FakeCamera, opened: Callable[..., Camera], trigger: str
) -> None:
    """Its silence says nothing: it is asked, by a thread that may block; no look takes long."""
    camera = opened(trigger, trigger_line="Line0", gain_db=0.0)
    assert isinstance(camera, Watched)
    look = camera.read if trigger == "camera" else camera.check
    for _ in range(3):
        look()
        time.sleep(0.1)
    fake.kill()
    _, took_s, longest_s = gone(camera, lambda: (look(), time.sleep(0.05)))
    assert took_s < 2.5 + SLACK_S
    assert longest_s < SLACK_S
    fake.start()
    camera.close()
    camera.open(1)


def test_a_camera_in_use_is_told_and_free_when_its_holder_is_dead(fake: FakeCamera) -> None:
    """Aravis reports it like a dead one: both are said, in one line. Its holder's heartbeat ends after 3 s."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, fake.id], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        camera = make()
        with ThreadPoolExecutor(1) as other:
            # The fake does not answer those who do not control it: each access takes 2.5 s to fail.
            seen = other.submit(listed)
            with pytest.raises(CameraError, match=r"^camera 'cam1': .*in use by another.*or gone.*cable") as caught:
                camera.open(1)
        assert "\n" not in str(caught.value)
        assert seen.result() == [(fake.id, "in use")]
        holder.kill()
    reopened(camera)
    camera.close()
    assert listed() == [(fake.id, "free")]


def test_features_are_shown_with_their_bounds(fresh: FakeCamera) -> None:
    """What an engineer needs to fill in the settings."""
    from edge.inspector.camera.aravis import features

    told = features(fresh.id)
    assert told["width [px]"] == "512 (1 to 2048)"
    assert told["trigger sources"] == "Line0, Software"
    assert "Mono8" in told["pixel formats"]
    assert told["state"] == "free"
    assert told["binning, x"] == "1 (1 to 16)"
    assert told["without a setting"] == "GainAuto Off"


def test_a_camera_that_waits_does_not_hold_the_interpreter(fake: FakeCamera, opened: Callable[..., Camera]) -> None:
    """While one thread is blocked in Aravis' pop, another one goes on: no verdict waits for a camera."""
    handle = opened("software")._opened.handle
    turns = 0
    popped = threading.Thread(target=lambda: handle.pop(1.0))
    popped.start()
    while popped.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 300


def test_two_cameras_do_not_disturb_each_other(fake: FakeCamera, opened: Callable[..., Camera]) -> None:
    """One is killed and torn down: the other one's frames come without a gap."""
    interface = _second_interface()
    if interface is None:
        pytest.skip("a second fake camera needs a network interface beside the loopback")
    with FakeCamera("GV02", interface) as other:
        first, second = opened(name="cam1", device="GV01"), make(name="cam2", device=other.id)
        second.open(1)
        for _ in range(10):
            next_of(first), next_of(second)
        ends = threading.Thread(target=lambda: (gone(second, second.read), second.close()))
        other.kill()
        ends.start()
        frames = [next_of(first) for _ in range(100)]
        ends.join(PATIENCE_S)
    numbers = [frame.number for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + 100))
    assert all(exposed_us(frame) for frame in frames)


def _second_interface() -> str | None:
    for path in sorted(Path("/sys/class/net").iterdir()):
        if path.name != "lo" and (path / "operstate").read_text().strip() == "up":
            return path.name
    return None


# ---- the station ---------------------------------------------------------------------------------------------------


def test_the_station_inspects_what_the_camera_sees_and_outlives_it(fake: FakeCamera, tiny_bundle: Path) -> None:
    """
    Sound and bad parts are told apart, each by what it shows; the camera is killed: not ready; it is back: ready, and
    verdicts go on.
    """
    tree = station(tiny_bundle, source={"rate_hz": 20.0, "gain_db": 0.0})
    with Rig(tree, flags=()) as rig:
        line = Line(rig)
        line.until(ready)
        line.until(lambda event: len(line.verdicts) >= 40)
        outcomes = [verdict.outcome for verdict in line.verdicts]
        assert {Outcome.PASS, Outcome.REJECT} <= set(outcomes)
        assert outcomes.count(Outcome.UNKNOWN) <= 5
        fake.kill()
        assert line.until(failed) < 5
        fake.start()
        assert line.until(ready) < 15
        before = len(line.verdicts)
        line.until(lambda event: len(line.verdicts) >= before + 30)
        assert {verdict.outcome for verdict in line.verdicts[before:]} >= {Outcome.PASS, Outcome.REJECT}
        rig.process.terminate()
        with pytest.raises(AssertionError, match="has stopped"):
            line.until(lambda event: False)
    line.require_true(fired=False)
    assert [verdict.seq for verdict in line.verdicts] == list(range(1, len(line.verdicts) + 1))


def test_each_trigger_of_the_station_has_its_verdict(fake: FakeCamera, tiny_bundle: Path) -> None:
    """
    One picture for each, taken after it, and judged by what it shows; of a camera that is gone UNKNOWN(camera), and
    that is told before the next trigger.
    """
    # The fake looks for its trigger now and then only: 30 ms, on a busy machine 90.
    source = {"rate_hz": 200.0, "gain_db": 0.0}
    tree = station(tiny_bundle, source=source, trigger="software", max_trigger_delay_ms=300)
    with Rig(tree, flags=()) as rig, Requester(rig.control) as line_plc:
        line = Line(rig)
        line.until(ready)

        def trigger() -> Verdict:
            asked = Trigger(
                version=VERSION, id=new_id(), part_id=None, tag=None, counter=None, mode=Mode.PRODUCTION, cameras=None
            )
            part = line_plc.demand(asked, Triggered).part
            line.until(lambda event: isinstance(event, Verdict) and event.part == part)
            return line.verdicts[-1]

        assert all(trigger().outcome in (Outcome.PASS, Outcome.REJECT) for _ in range(10))
        fake.kill()
        assert line.until(failed) < 6
        lost = trigger()
        assert (lost.outcome, lost.reason) == (Outcome.UNKNOWN, Reason.CAMERA)
        fake.start()
        line.until(ready)
        assert all(trigger().outcome in (Outcome.PASS, Outcome.REJECT) for _ in range(10))
    line.require_true(fired=True)
    assert len(line.verdicts) == 21
