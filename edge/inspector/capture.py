"""One camera, one thread: open, take frames, report each at once, and open again when it fails."""

from __future__ import annotations

import threading

import zmq

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError, SourceEnded
from edge.inspector.camera import Actual, Camera, Frame, Unusable
from edge.inspector.link import CameraState, Captured, send
from edge.inspector.slots import Ring, Slot
from edge.records import CameraStateName, Reason
from edge.settings import CameraSettings, Station

# How often a waiting thread looks whether it should end.
_LOOK_S = 0.2
_LAST_WORD_MS = 1000


class CameraThread(threading.Thread):
    """
    Reports every part that passes its camera, with or without a picture of it.

    A source that is not paced has one slot and is read again when that slot is free, that is, when the verdict is out.
    A paced source never waits: a frame that finds no free slot is reported as overload.
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
    ) -> None:
        super().__init__(name=f"camera-{settings.name}", daemon=True)
        self._settings = settings
        self._camera = camera
        self._ring = ring
        self._context = context
        self._endpoint = endpoint
        self._inspector = inspector
        self._next = resume_from
        self._open_no = 0
        self._retry_s = (station.retry_s, station.retry_limit_s)
        self.begin = threading.Event()
        self.stop = threading.Event()

    def run(self) -> None:
        with self._context.socket(zmq.PUSH) as self._socket:
            # The thread ends on the word that its source has ended: it may still be on its way then.
            self._socket.linger = _LAST_WORD_MS
            self._socket.connect(self._endpoint)
            pause_s = self._retry_s[0]
            while not self.stop.is_set():
                opened = self._open_no
                try:
                    self._open_and_stream()
                except SourceEnded as end:
                    self._say("ended", str(end))
                    return
                except CameraError as error:
                    self._say("failed", str(error))
                finally:
                    self._camera.close()
                # A camera that had opened starts again with the short pause.
                pause_s = self._retry_s[0] if self._open_no > opened else pause_s
                self.stop.wait(pause_s)
                pause_s = min(2 * pause_s, self._retry_s[1])

    def _open_and_stream(self) -> None:
        actual = self._camera.open(self._next)
        self._open_no += 1
        self._say("open", actual.description)
        while not self.begin.wait(_LOOK_S):
            if self.stop.is_set():
                return
        while not self.stop.is_set():
            self._take_one(actual)

    def _take_one(self, actual: Actual) -> None:
        slot = None
        if not self._settings.paced:
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
        self._next = taken.number + 1
        if slot is None:
            slot = self._ring.take(0)
        self._report(taken, slot, actual, started_us)

    def _report(self, taken: Frame | Unusable, slot: Slot | None, actual: Actual, started_us: int) -> None:
        fault: Reason | None = None
        detail = ""
        if isinstance(taken, Unusable):
            fault, detail = taken.reason, taken.detail
        elif slot is None:
            fault, detail = Reason.OVERLOAD, f"all {len(self._ring.slots)} slots of camera {self._settings.name} wait"
        else:
            fault, detail = self._fill(slot, taken, started_us)
        if slot is not None:
            self._ring.hold(slot, self._open_no, taken.number)
        send(
            self._socket,
            Captured(
                inspector=self._inspector,
                camera=self._settings.name,
                open_no=self._open_no,
                frame_no=taken.number,
                t_us=taken.captured_us,
                tag=None,
                source=taken.source,
                numbered=actual.numbered,
                fault=fault,
                detail=detail,
            ),
        )

    def _fill(self, slot: Slot, frame: Frame, started_us: int) -> tuple[Reason | None, str]:
        """Copy the frame into its slot; return what speaks against inspecting it."""
        try:
            slot.canvas.write(frame.image)
        except ValueError as error:
            return Reason.GEOMETRY, f"{frame.source}: {error}; set height and width of camera {self._settings.name}"
        slot.captured_us = SYSTEM_CLOCK.now_us()
        slot.capture_us = slot.captured_us - started_us
        slot.source = frame.source
        return None, ""

    def _say(self, state: CameraStateName, text: str) -> None:
        send(
            self._socket,
            CameraState(inspector=self._inspector, camera=self._settings.name, state=state, text=text),
        )
