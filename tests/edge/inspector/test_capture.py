"""The camera's thread over a real socket: each part is reported once, with or without a picture."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError, CameraHangs, SourceEnded
from edge.inspector.camera import Actual, Frame, Unusable
from edge.inspector.capture import CameraThread
from edge.inspector.drift import Measures
from edge.inspector.link import CameraState, Captured, Fire, ToStation, receive_from_inspector
from edge.inspector.slots import Ring, make_ring
from edge.records import Reason
from edge.settings import CameraSettings, Station
from edge.tiles import Grid
from tests.support.engines import Clock
from tests.support.records import TILE

PATIENCE_MS = 20_000
Step = Callable[[], Frame | Unusable | None]


def frame(number: int, value: int = 1, height: int = 20, width: int = 30, tag: int | None = None) -> Step:
    image = np.full((height, width), value, np.uint8)
    return lambda: Frame(image, number, 1000 * number, f"{number}.png", tag)


def unreadable(number: int) -> Step:
    return lambda: Unusable(number, 1000 * number, f"{number}.png", Reason.CAMERA, "cannot be read")


def failure(error: Exception) -> Step:
    def step() -> Frame | Unusable:
        raise error

    return step


def nothing() -> None:
    """No part came within the source's time-out."""


class Scripted:
    """A camera that plays one list of steps an open, then ends; notes where it was resumed."""

    def __init__(self, *opens: list[Step] | CameraError) -> None:
        self.triggerable = self.numbered = True
        self._opens = list(opens)
        self._steps: list[Step] = []
        self.resumed: list[int] = []
        self.closed = 0
        self.reads = 0

    def open(self, resume_from: int) -> Actual:
        self.resumed.append(resume_from)
        steps = self._opens.pop(0) if self._opens else []
        if isinstance(steps, CameraError):
            raise steps
        self._steps = list(steps)
        return Actual(
            numbered=self.numbered, triggerable=self.triggerable, counts=False, format="mono8", description="scripted"
        )

    def read(self) -> Frame | Unusable | None:
        self.reads += 1
        if not self._steps:
            raise SourceEnded("scripted: no further step")
        return self._steps.pop(0)()

    def close(self) -> None:
        self.closed += 1


class Stage:
    """A station's end of the link, and the thread under test."""

    def __init__(
        self,
        camera: Scripted,
        folder: Path,
        *,
        paced: bool,
        slots: int,
        resume_from: int = 1,
        trigger: str = "free-run",
        max_delay_ms: int = 60_000,
        overload: str | None = None,
        source: dict[str, Any] | None = None,
        place: dict[str, Any] | None = None,
        **retry: float,
    ) -> None:
        source = source or {"kind": "replay", "path": ".", "rate_hz": 1000 if paced else None}
        settings = CameraSettings.model_validate(
            {
                "name": "cam1",
                "source": source,
                "height": 20,
                "width": 30,
                "trigger": trigger,
                "max_trigger_delay_ms": max_delay_ms,
                "overload": overload,
                **(place or {}),
            }
        )
        station = Station.model_validate({"station": "line1", "cameras": [settings], "retry_s": 0.01, **retry})
        self.camera = camera
        self.ring: Ring = make_ring(Grid(20, 30, TILE), 1, 7, slots)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._folder = folder
        self.given_up: list[CameraHangs] = []
        address = f"ipc://{folder}/up"
        self.thread = CameraThread(
            settings, station, camera, self.ring, self._context, address, 3, resume_from, self.given_up.append
        )
        self.inbox: zmq.Socket[bytes] = self._context.socket(zmq.PULL)

    def bind(self) -> None:
        self.inbox.bind(f"ipc://{self._folder}/up")

    def start(self) -> None:
        self.bind()
        self.thread.begin.set()
        self.thread.start()

    def fire(self, part: int, in_us: int = 10**9) -> None:
        self.thread.fire(Fire(part=part, cameras=("cam1",), deadline_us=SYSTEM_CLOCK.now_us() + in_us))

    def next(self) -> ToStation:
        assert self.inbox.poll(PATIENCE_MS), "nothing was reported"
        return receive_from_inspector(self.inbox)

    def captured(self) -> Captured:
        message = self.next()
        assert isinstance(message, Captured), message
        return message

    def state(self) -> str:
        message = self.next()
        assert isinstance(message, CameraState), message
        return f"{message.state}: {message.text}"

    def finish(self) -> None:
        self.thread.stop.set()
        if self.thread.ident is not None:
            self.thread.join(PATIENCE_MS / 1000)
            assert not self.thread.is_alive()

    def close(self) -> None:
        self.finish()
        self._context.destroy(linger=0)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Return a maker of stages; each is closed at the end, its thread included."""
    made: list[Stage] = []

    def make(*opens: list[Step] | CameraError, paced: bool = False, slots: int = 1, **more: Any) -> Stage:
        made.append(Stage(Scripted(*opens), tmp_path, paced=paced, slots=slots, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_frame_is_reported_with_everything_the_station_needs(stage: Callable[..., Stage]) -> None:
    """Camera, open number, frame number, time, tag, source; the picture waits in its slot."""
    one = stage([frame(1, 9, tag=65535)])
    one.start()
    assert one.state() == "open: scripted"
    assert one.captured() == Captured(
        inspector=3,
        camera="cam1",
        part=None,
        open_no=1,
        frame_no=1,
        t_us=1000,
        tag=65535,
        source="1.png",
        numbered=True,
        fault=None,
        detail="",
    )
    slot = one.ring.find(1, 1)
    assert slot is not None
    assert (slot.canvas.picture == 9).all()
    assert slot.source == "1.png"
    assert slot.captured_us > 0
    assert slot.measures == Measures(9.0, 0.0)
    assert slot.trigger_us is None


def test_as_consumed_the_next_frame_is_taken_when_the_last_ones_slot_is_free(stage: Callable[..., Stage]) -> None:
    """The camera is not even read while the verdict is out."""
    one = stage([frame(1), frame(2)])
    one.start()
    one.state()
    assert one.captured().frame_no == 1
    assert not one.inbox.poll(300)
    assert one.camera.reads == 1
    one.ring.release(1, 1)
    assert one.captured().frame_no == 2


def test_a_paced_source_never_waits(stage: Callable[..., Stage]) -> None:
    """With two slots and no verdict, the third frame is a part too: overload, without a slot."""
    one = stage([frame(1), frame(2), frame(3), frame(4)], paced=True, slots=2)
    one.start()
    one.state()
    found = [one.captured() for _ in range(4)]
    assert [message.fault for message in found] == [None, None, Reason.OVERLOAD, Reason.OVERLOAD]
    assert "2 slots" in found[2].detail
    assert one.ring.find(1, 3) is None


def test_a_paced_source_that_is_to_show_every_frame_is_held(stage: Callable[..., Stage]) -> None:
    """It fills its slots, and is not read any further until one is free: nothing is lost."""
    one = stage([frame(1), frame(2), frame(3)], paced=True, slots=2, overload="every")
    one.start()
    one.state()
    assert [one.captured().frame_no for _ in range(2)] == [1, 2]
    assert not one.inbox.poll(300)
    assert one.camera.reads == 2
    one.ring.release(1, 1)
    third = one.captured()
    assert (third.frame_no, third.fault) == (3, None)


def test_the_latest_frame_takes_the_slots_of_those_that_wait(stage: Callable[..., Stage]) -> None:
    """All slots are taken: what nobody has begun with is skipped, what has begun keeps its picture."""
    one = stage([frame(n, n) for n in range(1, 5)], paced=True, slots=3, overload="latest")
    one.bind()
    begun = one.ring.take(0)
    assert begun is not None
    one.ring.hold(begun, 7, 7)
    assert one.ring.begin(7, 7) is begun
    one.thread.begin.set()
    one.thread.start()
    one.state()
    found = [one.captured() for _ in range(4)]
    assert [(message.frame_no, message.fault) for message in found] == [(n, None) for n in range(1, 5)]
    assert [one.ring.was_skipped(1, n) for n in range(1, 5)] == [True, True, False, False]
    newest = one.ring.begin(1, 4)
    assert newest is not None
    assert (newest.canvas.picture == 4).all()
    assert one.ring.find(7, 7) is begun


def test_the_latest_frame_is_overload_where_nothing_waits(stage: Callable[..., Stage]) -> None:
    """Every slot has begun: there is nothing to skip, and the verdict says what was."""
    one = stage([frame(1)], paced=True, slots=1, overload="latest")
    begun = one.ring.take(0)
    assert begun is not None
    one.ring.hold(begun, 7, 7)
    one.ring.begin(7, 7)
    one.start()
    one.state()
    assert one.captured().fault is Reason.OVERLOAD


@pytest.mark.parametrize("paced", [False, True])
def test_a_part_without_a_picture_is_reported_and_frees_its_slot(stage: Callable[..., Stage], paced: bool) -> None:
    """Unreadable: fault camera; its slot holds no picture of the part before, and goes back with the verdict."""
    one = stage([frame(1), unreadable(2), frame(3)], paced=paced)
    one.start()
    one.state()
    assert one.captured().fault is None
    one.ring.release(1, 1)
    second = one.captured()
    assert (second.frame_no, second.fault, second.detail) == (2, Reason.CAMERA, "cannot be read")
    slot = one.ring.find(1, 2)
    assert slot is None or slot.captured_us == 0
    one.ring.release(1, 2)
    assert one.captured().frame_no == 3


def test_a_picture_larger_than_the_canvas_is_a_geometry_fault(stage: Callable[..., Stage]) -> None:
    """The message names file, both sizes and the keys; the camera goes on."""
    one = stage([frame(1), frame(2, height=21), frame(3)])
    one.start()
    one.state()
    one.captured()
    one.ring.release(1, 1)
    second = one.captured()
    assert second.fault is Reason.GEOMETRY
    for part in ("2.png", "21x30", "20x30", "cam1"):
        assert part in second.detail
    slot = one.ring.find(1, 2)
    assert slot is not None
    assert slot.captured_us == 0
    one.ring.release(1, 2)
    assert one.captured().fault is None


@pytest.mark.parametrize(
    "place",
    [{"mm_per_px": 0.1}, {"ignore": [{"name": "clamp", "box": [0, 0, 5, 5]}]}],
    ids=lambda place: next(iter(place)),
)
@pytest.mark.parametrize(("height", "width"), [(20, 29), (10, 15), (21, 30)])
def test_what_was_measured_at_a_place_holds_for_one_size(
    stage: Callable[..., Stage], place: dict[str, Any], height: int, width: int
) -> None:
    """A picture of half the size is of another scale, and its zones lie elsewhere: not inspected by either."""
    one = stage([frame(1, height=height, width=width), frame(2)], place=place)
    one.start()
    one.state()
    first = one.captured()
    assert first.fault is Reason.GEOMETRY
    for part in ("1.png", f"{height}x{width}", "20x30", "cam1"):
        assert part in first.detail
    slot = one.ring.find(1, 1)
    assert slot is not None
    assert slot.captured_us == 0
    one.ring.release(1, 1)
    assert one.captured().fault is None


def test_without_a_scale_a_smaller_picture_is_inspected(stage: Callable[..., Stage]) -> None:
    """It is padded: a folder may hold pieces of every size."""
    one = stage([frame(1, height=10)])
    one.start()
    one.state()
    assert one.captured().fault is None


def test_a_failed_camera_is_opened_again_where_it_stopped(stage: Callable[..., Stage]) -> None:
    """It says so, closes, opens with the next number under a new open number, and no slot is lost."""
    one = stage([frame(1), failure(CameraError("unplugged"))], CameraError("still gone"), [frame(2)])
    one.start()
    assert one.state() == "open: scripted"
    assert one.captured().frame_no == 1
    one.ring.release(1, 1)
    assert one.state() == "failed: unplugged"
    assert one.state() == "failed: still gone"
    assert one.state() == "open: scripted"
    again = one.captured()
    assert (again.open_no, again.frame_no) == (2, 2)
    assert one.camera.resumed == [1, 2, 2]
    assert one.camera.closed == 2


class Impatient(threading.Event):
    """Notes how long it should have waited, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses_s: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses_s.append(timeout)
        return self.is_set()


def test_the_pause_doubles_up_to_its_limit_and_begins_anew(stage: Callable[..., Stage]) -> None:
    """retry_s, twice that, ..., retry_limit_s; after an open that worked, retry_s again."""
    gone = CameraError("gone")
    one = stage(gone, gone, gone, gone, [failure(gone)], gone, retry_s=1.0, retry_limit_s=4.0)
    one.thread.stop = impatient = Impatient()
    one.start()
    while "ended" not in one.state():
        pass
    assert impatient.pauses_s == [1.0, 2.0, 4.0, 4.0, 1.0, 2.0]


def test_a_new_inspector_resumes_where_it_is_told(stage: Callable[..., Stage]) -> None:
    """The first open asks for the first number no earlier inspector has reported."""
    one = stage([frame(8)], resume_from=8)
    one.start()
    one.state()
    assert one.captured().frame_no == 8
    assert one.camera.resumed == [8]


def test_a_camera_that_no_open_brings_back_is_given_up(stage: Callable[..., Stage]) -> None:
    """The station is told why first; any other failure is tried again."""
    hangs = CameraHangs("camera 'cam1': its driver hangs")
    one = stage(CameraError("not there"), hangs)
    one.start()
    assert one.state() == "failed: not there"
    assert one.state() == f"failed: {hangs}"
    one.finish()
    assert one.given_up == [hangs]


def test_the_end_is_told_once_and_is_no_failure(stage: Callable[..., Stage]) -> None:
    """After the last frame: ended, closed, and the thread is over."""
    one = stage([frame(1)])
    one.start()
    one.state()
    one.captured()
    one.ring.release(1, 1)
    assert one.state() == "ended: scripted: no further step"
    one.thread.join(PATIENCE_MS / 1000)
    assert not one.thread.is_alive()
    assert one.camera.closed == 1
    assert one.camera.resumed == [1]


def test_the_last_word_is_not_lost_when_the_thread_ends_first(stage: Callable[..., Stage]) -> None:
    """A station that reads late still hears that the source has ended: it would wait for it for ever."""
    one = stage([])
    one.thread.begin.set()
    one.thread.start()
    one.thread.join(PATIENCE_MS / 1000)
    one.bind()
    assert one.state() == "open: scripted"
    assert one.state() == "ended: scripted: no further step"


def test_nothing_is_read_before_begin(stage: Callable[..., Stage]) -> None:
    """The camera is opened, and waits."""
    one = stage([frame(1)])
    one.bind()
    one.thread.start()
    assert one.state() == "open: scripted"
    assert not one.inbox.poll(300)
    assert one.camera.reads == 0
    one.thread.begin.set()
    assert one.captured().frame_no == 1


@pytest.mark.parametrize("begun", [False, True])
def test_it_stops_when_told(stage: Callable[..., Stage], begun: bool) -> None:
    """While it waits for its beginning, and while it waits for a slot; the camera is closed."""
    one = stage([frame(1), frame(2)])
    one.bind()
    if begun:
        one.thread.begin.set()
    one.thread.start()
    one.state()
    if begun:
        one.captured()
    one.thread.stop.set()
    one.thread.join(PATIENCE_MS / 1000)
    assert not one.thread.is_alive()
    assert one.camera.closed == 1


def test_a_fired_camera_takes_one_picture_for_each_part(stage: Callable[..., Stage]) -> None:
    """Nothing is read unasked; several parts may wait; the picture's slot knows how long the trigger took."""
    one = stage([frame(1), frame(2), frame(3)], slots=4, trigger="software")
    one.start()
    one.state()
    assert not one.inbox.poll(300)
    assert one.camera.reads == 0
    for part in (41, 42):
        one.fire(part)
    found = [one.captured() for _ in range(2)]
    assert [(m.part, m.frame_no, m.fault, m.t_us) for m in found] == [(41, 1, None, 1000), (42, 2, None, 2000)]
    slot = one.ring.find(1, 2)
    assert slot is not None
    assert slot.trigger_us is not None
    assert slot.trigger_us >= 0


def test_a_part_that_is_late_already_is_not_looked_at(stage: Callable[..., Stage]) -> None:
    """The station has answered it; what stands before the camera by now is another part."""
    one = stage([frame(1), frame(2)], trigger="software")
    one.start()
    one.state()
    one.fire(1, in_us=-1)
    one.fire(2)
    assert (one.captured().part, one.camera.reads) == (2, 1)


def test_a_fired_camera_waits_for_its_beginning(stage: Callable[..., Stage]) -> None:
    """A part that comes before is looked at then."""
    one = stage([frame(1)], trigger="software")
    one.bind()
    one.thread.start()
    one.state()
    one.fire(1)
    assert not one.inbox.poll(300)
    one.thread.begin.set()
    assert one.captured().part == 1


def test_a_fired_part_without_a_free_slot_is_overload(stage: Callable[..., Stage]) -> None:
    """It is answered at once, and the next one has the freed slot."""
    one = stage([frame(1), frame(2), frame(3)], trigger="software")
    one.start()
    one.state()
    for part in (1, 2):
        one.fire(part)
    found = [one.captured() for _ in range(2)]
    assert [m.fault for m in found] == [None, Reason.OVERLOAD]
    one.ring.release(1, 2)
    one.ring.release(1, 1)
    one.fire(3)
    assert (one.captured().fault, one.ring.find(1, 3) is not None) == (None, True)


def test_a_source_that_has_ended_answers_every_further_part(stage: Callable[..., Stage]) -> None:
    """At once, as a fault of the camera; it says once that it has ended, and is closed."""
    one = stage([frame(1)], trigger="software")
    one.start()
    one.state()
    for part in (1, 2, 3):
        one.fire(part)
    assert one.captured().fault is None
    second = one.captured()
    assert (second.part, second.fault) == (2, Reason.CAMERA)
    assert "the source has ended" in second.detail
    assert one.state() == "ended: scripted: no further step"
    third = one.captured()
    assert (third.part, third.fault) == (3, Reason.CAMERA)
    assert one.camera.closed == 1
    assert one.ring.find(1, third.frame_no) is None
    one.fire(4)
    assert one.captured().part == 4


def test_parts_are_answered_while_a_fired_camera_is_closed(stage: Callable[..., Stage]) -> None:
    """The part whose picture failed, and those until the camera is open again."""
    one = stage([failure(CameraError("unplugged"))], CameraError("still gone"), trigger="software", retry_s=5.0)
    one.start()
    one.state()
    one.fire(1)
    first = one.captured()
    assert (first.part, first.fault, first.detail) == (1, Reason.CAMERA, "unplugged")
    assert one.state() == "failed: unplugged"
    one.fire(2)
    second = one.captured()
    assert (second.part, second.fault, second.detail) == (2, Reason.CAMERA, "unplugged")


def test_a_shot_that_would_come_too_late_is_not_taken(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a slow read the next part may stand there: overload with the delay, and no frame is used up."""
    clock = Clock()
    monkeypatch.setattr("edge.inspector.capture.SYSTEM_CLOCK", clock)

    def slow() -> Frame | Unusable:
        clock.us += 51_000
        return frame(1)()

    one = stage([slow, frame(2)], slots=4, trigger="software", max_delay_ms=50)
    for part in (1, 2):
        one.fire(part)
    one.start()
    one.state()
    assert one.captured().fault is None
    late = one.captured()
    assert (late.part, late.fault, one.camera.reads) == (2, Reason.OVERLOAD, 1)
    assert late.detail.startswith("fired 51.0 ms late, expected 50 ms or less")
    one.fire(3)
    third = one.captured()
    assert (third.part, third.frame_no, third.fault) == (3, 2, None)
    one.ring.release(late.open_no, late.frame_no)
    assert one.ring.find(1, 2) is not None


def test_a_picture_that_a_live_camera_took_late_is_not_inspected(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost trigger is repeated after half a second: the request was in time, the picture shows the next part."""
    clock = Clock()
    monkeypatch.setattr("edge.inspector.capture.SYSTEM_CLOCK", clock)
    clock.us, image = 10**6, np.full((20, 30), 1, np.uint8)

    def taken_after(number: int, us: int) -> Step:
        return lambda: Frame(image, number, clock.us + us, str(number))

    steps = [taken_after(1, 50_000), taken_after(2, 50_001), taken_after(3, 620_000), taken_after(4, 20_000)]
    one = stage(steps, slots=4, trigger="software", max_delay_ms=50, source={"kind": "genicam"})
    for part in (1, 2, 3, 4):
        one.fire(part)
    one.start()
    one.state()
    found = [one.captured() for _ in range(4)]
    assert [(m.part, m.fault) for m in found] == [(1, None), (2, Reason.CAMERA), (3, Reason.CAMERA), (4, None)]
    assert "frame 3: taken up to 620.0 ms after the request, expected max_trigger_delay_ms = 50" in found[2].detail
    slots = [one.ring.find(1, n) for n in (1, 2, 3, 4)]
    assert [slot is not None and slot.captured_us > 0 for slot in slots] == [True, False, False, True]


def test_a_file_has_no_time_of_its_own(stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes to decode it, it is the picture that was asked for."""
    clock = Clock()
    monkeypatch.setattr("edge.inspector.capture.SYSTEM_CLOCK", clock)
    image = np.full((20, 30), 1, np.uint8)
    one = stage([lambda: Frame(image, 1, clock.us + 90_000, "1")], trigger="software", max_delay_ms=50)
    one.fire(1)
    one.start()
    one.state()
    assert one.captured().fault is None


def test_a_frame_number_that_comes_again_takes_nobodys_slot(stage: Callable[..., Stage]) -> None:
    """The first frame keeps its picture; the other is a fault of the camera, and its slot is free for the next."""
    one = stage([frame(1, 5), frame(1, 6), unreadable(1), frame(2)], paced=True, slots=2)
    one.start()
    one.state()
    first, *again = (one.captured() for _ in range(3))
    assert first.fault is None
    for message in again:
        assert (message.fault, message.open_no) == (Reason.CAMERA, 0)
        assert "frame number 1 came again" in message.detail
        one.ring.release(message.open_no, message.frame_no)
    slot = one.ring.find(1, 1)
    assert slot is not None
    assert (slot.canvas.picture == 5).all()
    assert one.captured().fault is None
    assert one.ring.find(1, 2) is not None


def test_a_fired_camera_says_that_it_can_be(stage: Callable[..., Stage]) -> None:
    """Whoever reads its state sees who triggers it."""
    one = stage([], trigger="software")
    one.start()
    assert one.state() == "open: scripted, triggered by request"


@pytest.mark.parametrize(("trigger", "lacks"), [("software", "triggerable"), ("camera", "numbered")])
def test_a_source_that_cannot_do_it_is_refused(stage: Callable[..., Stage], trigger: str, lacks: str) -> None:
    """Older pictures for a software trigger, unnumbered ones for the camera's: the text says what to do."""
    one = stage([frame(1)], trigger=trigger, retry_s=5.0)
    setattr(one.camera, lacks, False)
    one.start()
    told = one.state()
    assert told.startswith("failed: camera 'cam1': trigger")
    assert "free-run" in told
    one.finish()  # the camera is closed after it was told
    assert (one.camera.closed, one.camera.reads) == (1, 0)


def test_a_line_that_stands_is_no_fault(stage: Callable[..., Stage]) -> None:
    """A source that waits for its parts and sees none is read again; no slot is lost on the way."""
    one = stage([nothing, nothing, frame(1), nothing, frame(2)])
    one.start()
    one.state()
    assert one.captured().frame_no == 1
    one.ring.release(1, 1)
    assert one.captured().frame_no == 2


def test_a_fired_camera_without_a_picture_answers_its_part(stage: Callable[..., Stage]) -> None:
    """The part that was asked for is UNKNOWN(camera), and the next one is taken."""
    one = stage([nothing, frame(1)], trigger="software")
    one.start()
    one.state()
    one.fire(7)
    said = one.captured()
    assert (said.part, said.fault) == (7, Reason.CAMERA)
    one.fire(8)
    assert (one.captured().part, one.camera.reads) == (8, 2)


class Guarded(Scripted):
    """A camera that can tell that it is gone although nobody reads it."""

    gone = False

    def check(self) -> None:
        if self.gone:
            self.gone = False
            raise CameraError("unplugged")


def test_a_fired_camera_that_goes_away_is_told_before_the_next_part(tmp_path: Path) -> None:
    """The station is to know it while no part is asked for, and not by the part that it costs."""
    camera = Guarded([], [frame(1)])
    with closing(Stage(camera, tmp_path, paced=False, slots=1, trigger="software")) as one:
        one.start()
        assert one.state() == "open: scripted, triggered by request"
        camera.gone = True
        assert [one.state(), one.state()] == ["failed: unplugged", "open: scripted, triggered by request"]
        one.fire(7)
        assert (one.captured().part, camera.reads) == (7, 1)
