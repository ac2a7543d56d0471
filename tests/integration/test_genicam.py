"""GenICam cameras through Aravis against Debian's fake GigE Vision camera: real GVCP and GVSP over UDP."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.client import Event
from edge.control import Requester, new_id
from edge.errors import CameraError
from edge.inspector.camera import Actual, Camera, Frame, Unusable, Watched, make_camera
from edge.records import VERSION, Mode, Outcome, Reason, Status, Verdict
from edge.requests import Trigger, Triggered
from edge.rig import Rig, bundle_table
from edge.settings import CameraSettings
from tests.peers.gige.fake import FakeCamera

PATIENCE_S = 30.0
RATE_HZ = 50.0
# A camera that is read looks around ten times a second; two cores run all tests.
SLACK_S = 0.6
HOLDER = """
import sys, time
from edge.inspector.camera.aravis import open_handle
handle = open_handle(sys.argv[1])
print("held", flush=True)
time.sleep(600)
"""


def make(trigger: str = "free-run", *, size: int = 128, name: str = "cam1", **source: Any) -> Camera:
    table = {"kind": "genicam", "exposure_us": 1000.0, "rate_hz": RATE_HZ, **source}
    tree = {"name": name, "height": size, "width": size, "trigger": trigger, "source": table}
    return make_camera(CameraSettings.model_validate(tree), "mono8")


@pytest.fixture
def opened() -> Iterator[Callable[..., Camera]]:
    """Return what opens cameras; each is closed at the end."""
    cameras: list[Camera] = []

    def open_(*args: Any, **options: Any) -> Camera:
        cameras.append(make(*args, **options))
        cameras[-1].open(1)
        return cameras[-1]

    yield open_
    for camera in cameras:
        camera.close()


@pytest.fixture
def fake() -> Iterator[FakeCamera]:
    with FakeCamera() as fake:
        yield fake


def next_of(camera: Camera) -> Frame | Unusable:
    until = time.monotonic() + PATIENCE_S
    while (taken := camera.read()) is None:
        assert time.monotonic() < until, "nothing came"
    return taken


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


def test_frames_come_at_their_rate_and_over_the_round_of_their_ids(
    fake: FakeCamera, opened: Callable[..., Camera]
) -> None:
    """The fake begins with 65401: without loss every number is one more than the last, also after 65535."""
    camera = opened(rate_hz=100.0)
    frames = [next_of(camera) for _ in range(200)]
    assert [frame.number for frame in frames] == list(range(1, 201))
    assert all(isinstance(frame, Frame) and frame.image.shape == (128, 128) for frame in frames)
    times_us = [frame.captured_us for frame in frames]
    assert times_us == sorted(times_us)
    assert (times_us[-1] - times_us[0]) / 199 == pytest.approx(10_000, rel=0.1)


def test_what_was_set_is_what_the_camera_does(fake: FakeCamera) -> None:
    """In one line, as read back."""
    camera = make(size=256, gain_db=3.0, offset_x=8, packet_size=1200)
    actual = camera.open(1)
    camera.close()
    assert isinstance(actual, Actual)
    assert actual.description == f"{fake.id}, 256x256 Mono8, free-run, 50 Hz, 1000 us exposure, 3 dB"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"size": 4096}, "width requested 4096, actual 512; it takes 1 to 2048"),
        ({"gain_db": 24.0}, "gain_db requested 24, actual 0; it takes 0 to 10"),
        ({"exposure_us": 1.0}, "exposure_us requested 1, actual 10000; it takes 10 to 1e\\+07"),
        ({"pixel_format": "BGR8"}, "pixel_format requested BGR8, actual Mono8; it has BayerBG8, .*Mono16"),
        ({"pixel_format": "RGB8"}, 'RGB8 gives bgr8, the bundle takes mono8; .*convert_to = "mono8"'),
        ({"trigger": "camera", "trigger_line": "Line7"}, "trigger requested Line7, actual off; it has Line0, Software"),
        ({"device": "Aravis-Fake-GV99"}, r"GV99 is not there; found Aravis-Fake-GV01 \(serial GV01, 127.0.0.1\)"),
    ],
)
def test_what_the_camera_cannot_do_is_refused(fake: FakeCamera, changes: dict[str, Any], told: str) -> None:
    """Requested and actual in one line, and the camera is free for the next try."""
    camera = make(**changes)
    with pytest.raises(CameraError, match=f"^camera 'cam1': .*{told}") as caught:
        camera.open(1)
    assert "\n" not in str(caught.value)
    good = make(pixel_format="Mono8")
    good.open(1)
    good.close()


def test_without_a_camera_one_line_tells_what_to_look_at() -> None:
    """None was found."""
    with pytest.raises(CameraError, match="found none; check cable, power"):
        make().open(1)


def test_each_request_gives_exactly_one_frame(fake: FakeCamera, opened: Callable[..., Camera]) -> None:
    """Taken after it; and none comes that nobody asked for."""
    camera = opened("software", rate_hz=500.0)
    for number in range(1, 41):
        asked_us = time.monotonic_ns() // 1000
        frame = next_of(camera)
        assert isinstance(frame, Frame)
        assert frame.number == number
        assert frame.captured_us >= asked_us
    handle = camera._opened.handle  # type: ignore[attr-defined]
    assert handle.pop(0.3) is None


def test_incomplete_frames_are_never_inspected_and_gaps_are_counted(opened: Callable[..., Camera]) -> None:
    """Of a network that loses packets: frames, unusable ones and gaps together are all there were."""
    with FakeCamera(lost=5):
        camera = opened(size=512)
        taken = [next_of(camera) for _ in range(100)]
        camera.close()
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
    camera = opened()
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
    assert back_s < 8


def test_a_camera_that_hangs_is_noticed_and_goes_on(fake: FakeCamera, opened: Callable[..., Camera]) -> None:
    """Stopped for longer than its heartbeat: what it gives after that are new frames."""
    camera = opened()
    next_of(camera)
    fake.hang()
    assert gone(camera, camera.read)[1] < 0.25 + SLACK_S
    camera.close()
    time.sleep(4)
    fake.go_on()
    went_on_us = time.monotonic_ns() // 1000
    frame, back_s = reopened(camera)
    assert frame.captured_us > went_on_us
    assert back_s < 10


@pytest.mark.parametrize("trigger", ["camera", "software"])
def test_a_triggered_camera_that_is_killed_is_noticed_without_a_trigger(
    fake: FakeCamera, opened: Callable[..., Camera], trigger: str
) -> None:
    """Its silence says nothing: it is asked, by a thread that may block; no look takes long."""
    camera = opened(trigger, trigger_line="Line0")
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
        with pytest.raises(CameraError, match=r"^camera 'cam1': .*in use by another.*or gone.*cable") as caught:
            camera.open(1)
        assert "\n" not in str(caught.value)
        assert listed() == [(fake.id, "in use")]
        holder.kill()
    reopened(camera)
    camera.close()
    assert listed() == [(fake.id, "free")]


def listed() -> list[tuple[str, str]]:
    from edge.inspector.camera.aravis import devices

    return [(device.id, device.state) for device in devices()]


def test_features_are_shown_with_their_bounds(fake: FakeCamera) -> None:
    """What an engineer needs to fill in the settings."""
    from edge.inspector.camera.aravis import features

    told = features(fake.id)
    assert told["width [px]"] == "512 (1 to 2048)"
    assert told["trigger sources"] == "Line0, Software"
    assert "Mono8" in told["pixel formats"]
    assert told["state"] == "free"


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
        first, second = opened(name="cam1", device="GV01"), opened(name="cam2", device=other.id)
        for _ in range(10):
            next_of(first), next_of(second)
        ends = threading.Thread(target=lambda: (gone(second, second.read), second.close()))
        other.kill()
        ends.start()
        frames = [next_of(first) for _ in range(100)]
        ends.join(PATIENCE_S)
    numbers = [frame.number for frame in frames]
    assert numbers == list(range(numbers[0], numbers[0] + 100))
    assert all(isinstance(frame, Frame) for frame in frames)


def _second_interface() -> str | None:
    for path in sorted(Path("/sys/class/net").iterdir()):
        if path.name != "lo" and (path / "operstate").read_text().strip() == "up":
            return path.name
    return None


# ---- the station ---------------------------------------------------------------------------------------------------


class Line:
    """A station that listens to itself: what it said, until it is ready, and until it is not."""

    def __init__(self, rig: Rig) -> None:
        self._events = rig.events(PATIENCE_S)
        self.verdicts: list[Verdict] = []

    def until(self, holds: Callable[[Event], bool]) -> float:
        """Return how long it took until the station said such a thing [s]."""
        began = time.monotonic()
        for event in self._events:
            if isinstance(event, Verdict):
                self.verdicts.append(event)
            if holds(event):
                return time.monotonic() - began
        raise AssertionError("the station has stopped")


def ready(event: Event) -> bool:
    return isinstance(event, Status) and event.ready


def failed(event: Event) -> bool:
    return isinstance(event, Status) and not event.ready and event.cameras[0].state == "failed"


def station(bundle: Path, **camera: Any) -> dict[str, Any]:
    source = {"kind": "genicam", "exposure_us": 1000.0, **camera.pop("source")}
    return {
        "station": "line1",
        "budget_ms": 1000,
        "retry_s": 0.2,
        "start": "wait",
        "backend": {"threads": 1},
        "bundle": bundle_table(bundle),
        "cameras": [{"name": "cam1", "height": 192, "width": 256, "source": source, **camera}],
    }


def test_the_station_inspects_what_the_camera_sees_and_outlives_it(tiny_bundle: Path) -> None:
    """Sound and bad parts are told apart; the camera is killed: not ready; it is back: ready, and verdicts go on."""
    tree = station(tiny_bundle, source={"rate_hz": 10.0})
    with FakeCamera(scene=True) as fake, Rig(tree, flags=()) as rig:
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
        line.until(lambda event: len(line.verdicts) >= before + 20)
        assert {verdict.outcome for verdict in line.verdicts[before:]} >= {Outcome.PASS, Outcome.REJECT}
        rig.process.terminate()
        with pytest.raises(AssertionError, match="has stopped"):
            line.until(lambda event: False)
    assert [verdict.seq for verdict in line.verdicts] == list(range(1, len(line.verdicts) + 1))


def test_each_trigger_of_the_station_has_its_verdict(tiny_bundle: Path) -> None:
    """One picture for each; of a camera that is gone UNKNOWN(camera), and that is told before the next trigger."""
    # The fake looks for its trigger now and then only: 30 ms, on a busy machine 90.
    tree = station(tiny_bundle, source={"rate_hz": 200.0}, trigger="software", max_trigger_delay_ms=300)
    with FakeCamera(scene=True) as fake, Rig(tree, flags=()) as rig, Requester(rig.control) as line_plc:
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
    assert len(line.verdicts) == 21
