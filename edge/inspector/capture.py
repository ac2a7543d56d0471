"""One camera, one thread: open, take frames, report each at once, and open again when it fails."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import zmq

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError, CameraHangs, SourceEnded
from edge.inspector.camera import Actual, Camera, Frame, Unusable, Watched
from edge.inspector.drift import measures_from_picture
from edge.inspector.link import CameraState, Captured, Fire, send
from edge.inspector.slots import Ring, Slot
from edge.records import CameraStateName, Reason
from edge.settings import CameraSettings, Station

# How often a waiting thread looks whether it should end.
_LOOK_S = 0.2
_LAST_WORD_MS = 1000
# Of a part without a frame: the number of no open, so that no slot is ever taken for its own.
_NO_OPEN = 0


@dataclass(frozen=True)
class _Shot:
    """A part that this camera was told to take a picture of."""

    part: int
    deadline_us: int
    told_us: int


class CameraThread(threading.Thread):
    """
    Reports every part that passes its camera, or that it is told to look at, with or without a picture of it.

    A source that is not paced has one slot and is read again when that slot is free, that is, when the verdict is out;
    so is, with more slots, a paced one that can be held and is to show every frame. Any other paced source never waits:
    a frame that finds no free slot is reported as overload, or is the latest and takes those that wait. A camera with a
    software trigger reads one frame for each Fire, and answers every one whose deadline has not passed: also while it
    is closed, fails, or has ended.

    Args:
        give_up: takes a camera that no open in this process will bring back; must not block.
    """

    def __init__(
        self,
        settings: CameraSettings,
        station: Station,
        camera: Camera,
        ring: Ring,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        inspector: int,
        resume_from: int,
        give_up: Callable[[CameraHangs], None],
    ) -> None:
        super().__init__(name=f"camera-{settings.name}", daemon=True)
        self._settings = settings
        self._fired = settings.trigger == "software"
        self._most_late_us = 1000 * settings.max_trigger_delay_ms
        # Areas in mm2 and ignore zones hold for a place and size of the picture alone.
        self._exact = settings.mm_per_px is not None or bool(settings.ignore)
        self._camera = camera
        self._ring = ring
        self._context = context
        self._endpoint = endpoint
        self._inspector = inspector
        self._next = resume_from
        self._give_up = give_up
        self._open_no = 0
        self._actual: Actual | None = None
        self._retry_s = (station.retry_s, station.retry_limit_s)
        self._shots: queue.SimpleQueue[_Shot] = queue.SimpleQueue()
        self.begin = threading.Event()
        self.stop = threading.Event()

    def fire(self, order: Fire) -> None:
        """Have a picture taken of that part; for the thread that hears the station. Never blocks."""
        self._shots.put(_Shot(order.part, order.deadline_us, SYSTEM_CLOCK.now_us()))

    def run(self) -> None:
        with self._context.socket(zmq.PUSH) as self._socket:
            # The thread ends on the word that its source has ended: it may still be on its way then.
            self._socket.linger = _LAST_WORD_MS
            self._socket.connect(self._endpoint)
            pause_s = self._retry_s[0]
            fault, ended = "", False
            while not self.stop.is_set():
                opened = self._open_no
                try:
                    self._open_and_stream()
                except SourceEnded as end:
                    fault, ended = f"the source has ended: {end}", True
                    self._say("ended", str(end))
                except CameraError as error:
                    fault = str(error)
                    self._say("failed", fault)
                    if isinstance(error, CameraHangs):
                        self._give_up(error)
                finally:
                    self._camera.close()
                if ended:
                    self._refuse_shots(fault, None)
                    return
                # A camera that had opened starts again with the short pause.
                pause_s = self._retry_s[0] if self._open_no > opened else pause_s
                self._pause(pause_s, fault)
                pause_s = min(2 * pause_s, self._retry_s[1])

    def _open_and_stream(self) -> None:
        actual = self._actual = self._camera.open(self._next)
        self._refuse_unfit(actual)
        self._open_no += 1
        self._say("open", f"{actual.description}, triggered by request" if self._fired else actual.description)
        while not self.begin.wait(_LOOK_S):
            if self.stop.is_set():
                return
        while not self.stop.is_set():
            if self._fired:
                self._take_fired(actual)
            else:
                self._take_one(actual)

    def _refuse_unfit(self, actual: Actual) -> None:
        name = self._settings.name
        if self._fired and not actual.triggerable:
            raise CameraError(
                f"camera '{name}': trigger = \"software\", but {actual.description} gives pictures that were taken "
                'before they were asked for; use trigger = "free-run", or a source that can be triggered'
            )
        if self._settings.trigger == "camera" and not actual.numbered:
            raise CameraError(
                f"camera '{name}': trigger = \"camera\", but {actual.description} does not number its frames, so that "
                'a lost one would not be noticed; use trigger = "free-run", or a camera that numbers them'
            )

    # ---- parts it sees by itself -----------------------------------------------------------------------------

    def _take_one(self, actual: Actual) -> None:
        slot = None
        if self._settings.held:
            slot = self._ring.take(_LOOK_S)
            if slot is None:
                return
        started_us = SYSTEM_CLOCK.now_us()
        try:
            taken = self._camera.read()
        except CameraError:
            if slot is not None:
                self._ring.give_back(slot)
            raise
        if taken is None:
            if slot is not None:
                self._ring.give_back(slot)
            return
        self._next = taken.number + 1
        if slot is None:
            slot = self._ring.take(0)
        if slot is None and self._settings.overload == "latest" and isinstance(taken, Frame) and self._ring.skip():
            slot = self._ring.take(0)
        self._report(taken, slot, actual, started_us, None)

    # ---- parts it is told of ---------------------------------------------------------------------------------

    def _take_fired(self, actual: Actual) -> None:
        shot = self._next_shot(_LOOK_S)
        if shot is None:
            if isinstance(self._camera, Watched):
                self._camera.check()
            return
        started_us = SYSTEM_CLOCK.now_us()
        late_us = started_us - shot.told_us
        if late_us > self._most_late_us:
            # What stands before the camera by now may be the next part.
            limit_ms, name = self._settings.max_trigger_delay_ms, self._settings.name
            text = f"fired {late_us / 1000:.1f} ms late, expected {limit_ms} ms or less: camera {name} was busy"
            self._refuse(shot, Reason.OVERLOAD, text)
            return
        try:
            taken = self._camera.read()
        except CameraError as error:
            ended = isinstance(error, SourceEnded)
            self._refuse(shot, Reason.CAMERA, f"the source has ended: {error}" if ended else str(error))
            raise
        if taken is None:
            self._refuse(shot, Reason.CAMERA, "the camera was asked for a picture and gave none in time")
            return
        self._next = taken.number + 1
        self._report(self._in_time(taken, shot), self._ring.take(0), actual, started_us, shot)

    def _in_time(self, taken: Frame | Unusable, shot: _Shot) -> Frame | Unusable:
        """Refuse what a live camera took late: its trigger may have been repeated, or waited. A file has no time."""
        late_us = taken.captured_us - shot.told_us
        source = self._settings.source
        if not (source.live and source.paced) or isinstance(taken, Unusable) or late_us <= self._most_late_us:
            return taken
        limit_ms, name = self._settings.max_trigger_delay_ms, self._settings.name
        text = (
            f"camera '{name}': frame {taken.number}: taken up to {late_us / 1000:.1f} ms after the request, expected "
            f"max_trigger_delay_ms = {limit_ms} or less; exposure and the picture's way count"
        )
        return Unusable(taken.number, taken.captured_us, taken.source, Reason.CAMERA, text, taken.tag)

    def _next_shot(self, timeout_s: float) -> _Shot | None:
        """Return the next part to look at; None when there is none, or when its deadline has passed already."""
        try:
            shot = self._shots.get(timeout=timeout_s)
        except queue.Empty:
            return None
        # The station has answered a late part; and what passes the camera by now is another one.
        return shot if SYSTEM_CLOCK.now_us() < shot.deadline_us else None

    def _pause(self, seconds: float, fault: str) -> None:
        if self._fired:
            self._refuse_shots(fault, time.monotonic() + seconds)
        else:
            self.stop.wait(seconds)

    def _refuse_shots(self, fault: str, until_s: float | None) -> None:
        """Answer parts that no picture can be taken of, until then (monotonic) or until told to stop."""
        while self._fired and not self.stop.is_set():
            left_s = _LOOK_S if until_s is None else until_s - time.monotonic()
            if left_s <= 0:
                return
            shot = self._next_shot(min(left_s, _LOOK_S))
            if shot is not None:
                self._refuse(shot, Reason.CAMERA, fault)

    def _refuse(self, shot: _Shot, reason: Reason, fault: str) -> None:
        """Answer a part that no picture was taken of."""
        nothing = Unusable(self._next, SYSTEM_CLOCK.now_us(), str(self._next), reason, fault)
        self._tell(nothing, _NO_OPEN, shot, reason, fault)

    # ---- what is said ----------------------------------------------------------------------------------------

    def _report(
        self, taken: Frame | Unusable, slot: Slot | None, actual: Actual, started_us: int, shot: _Shot | None
    ) -> None:
        if self._ring.find(self._open_no, taken.number) is not None:
            self._refuse_repeated(taken, slot, shot)
            return
        fault: Reason | None = None
        detail = ""
        if isinstance(taken, Unusable):
            fault, detail = taken.reason, taken.detail
        elif slot is None:
            fault, detail = Reason.OVERLOAD, f"all {len(self._ring.slots)} slots of camera {self._settings.name} wait"
        else:
            fault, detail = self._fill(slot, taken, started_us, shot)
        if slot is not None:
            self._ring.hold(slot, self._open_no, taken.number)
        self._tell(taken, self._open_no, shot, fault, detail)

    def _refuse_repeated(self, taken: Frame | Unusable, slot: Slot | None, shot: _Shot | None) -> None:
        """Answer a frame whose number another one has that still waits: its picture would be taken for the other's."""
        if slot is not None:
            self._ring.give_back(slot)
        text = f"frame number {taken.number} came again while the first of it waits; look at the camera's counter"
        self._tell(taken, _NO_OPEN, shot, Reason.CAMERA, text)

    def _fill(self, slot: Slot, frame: Frame, started_us: int, shot: _Shot | None) -> tuple[Reason | None, str]:
        """Copy the frame into its slot; return what speaks against inspecting it."""
        (height, width), name = frame.image.shape[:2], self._settings.name
        if self._exact and (height, width) != (self._settings.height, self._settings.width):
            expected = f"{self._settings.height}x{self._settings.width}, the canvas (height x width)"
            text = f"picture {height}x{width}, expected {expected}: mm_per_px and ignore zones hold for no other size"
            return Reason.GEOMETRY, f"{frame.source}: {text}; set the source, or height and width of camera {name}"
        try:
            slot.canvas.write(frame.image)
        except ValueError as error:
            return Reason.GEOMETRY, f"{frame.source}: {error}; set height and width of camera {name}"
        slot.measures = measures_from_picture(slot.canvas.picture)
        slot.trigger_us = None if shot is None else started_us - shot.told_us
        slot.captured_us = SYSTEM_CLOCK.now_us()
        slot.capture_us = slot.captured_us - started_us
        slot.source = frame.source
        return None, ""

    def _tell(
        self, taken: Frame | Unusable, open_no: int, shot: _Shot | None, fault: Reason | None, detail: str
    ) -> None:
        send(
            self._socket,
            Captured(
                inspector=self._inspector,
                camera=self._settings.name,
                part=None if shot is None else shot.part,
                open_no=open_no,
                frame_no=taken.number,
                t_us=taken.captured_us,
                tag=taken.tag,
                source=taken.source,
                numbered=self._actual is not None and self._actual.numbered,
                fault=fault,
                detail=detail,
            ),
        )

    def _say(self, state: CameraStateName, text: str) -> None:
        send(
            self._socket,
            CameraState(
                inspector=self._inspector,
                camera=self._settings.name,
                state=state,
                text=text,
                numbered=self._actual is not None and self._actual.numbered,
                counts=self._actual is not None and self._actual.counts,
            ),
        )
