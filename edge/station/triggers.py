"""What makes a part: a request, or a frame of a camera that triggers by itself; bounces, overruns, gaps with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from edge.clock import Clock
from edge.inspector.link import CameraState, Captured, Fire, ToInspector
from edge.records import AuditEvent, Mode, Reason
from edge.requests import Trigger
from edge.settings import Station
from edge.station.intake import FrameSequence, Intake
from edge.station.parts import Part, unknown
from edge.station.registrar import Registrar
from edge.station.reporter import Reporter
from edge.station.views import Views

SOFTWARE = "software"


@dataclass(frozen=True)
class Announced:
    """
    The next part that a camera sees by itself.

    Attributes:
        request: id of the request that said so.
        cameras: that it comes before: the first frame of one of them.
        since_us: frames that were taken before are of others.
        came: told the part and the journal's ticket of its trigger.
        lost: told why it is announced no more: it may have passed and not been seen.
    """

    request: str
    mode: Mode
    part_id: str | None
    cameras: tuple[str, ...]
    since_us: int
    came: Callable[[Part, int], None]
    lost: Callable[[str], None]

    def is_of(self, message: Captured) -> bool:
        return message.camera in self.cameras and message.t_us >= self.since_us


class Triggers:
    """
    Args:
        order: tells the inspector; False when there is none to tell.

    Attributes:
        fired: names of the cameras that take a picture when a request asks for it.
        intake: joins the frames of the others.
        sees: there are others.
        announced: what the next part of theirs is; None = a product.
    """

    def __init__(
        self,
        station: Station,
        registrar: Registrar,
        views: Views,
        reporter: Reporter,
        clock: Clock,
        order: Callable[[ToInspector], bool],
    ) -> None:
        self._settings = station.parts
        self._registrar = registrar
        self._views = views
        self._reporter = reporter
        self._clock = clock
        self._order = order
        seeing = [camera for camera in station.cameras if camera.trigger != SOFTWARE]
        self.fired = tuple(camera.name for camera in station.cameras if camera.trigger == SOFTWARE)
        self.intake = Intake(station.parts, seeing)
        self.sees = bool(seeing)
        self.announced: Announced | None = None
        self._sequences = {camera.name: FrameSequence(camera) for camera in seeing}

    # ---- by a request ----------------------------------------------------------------------------------------

    def fire(self, request: Trigger, cameras: tuple[str, ...], unable: tuple[Reason, str] | None) -> tuple[Part, int]:
        """
        Open the part of a software trigger; return it and the journal's ticket of its trigger.

        Args:
            unable: why no picture can be taken at present; None = it can.
        """
        now_us = self._clock.now_us()
        overruns = self.intake.overruns(SOFTWARE, now_us)
        part, ticket = self._registrar.open(
            SOFTWARE,
            request.mode,
            cameras,
            now_us,
            tag=request.tag,
            part_id=request.part_id,
            request=request.id,
            counter=request.counter,
        )
        for view in part.views.values():
            view.stage = "trigger"
        self.intake.accept(SOFTWARE, now_us)
        closed = self._registrar.closed_to(part.mode) or unable
        if overruns:
            self._overrun(part)
        elif closed is not None:
            self._registrar.answer(part, unknown(*closed))
        elif not self._order(Fire(part=part.number, cameras=cameras, deadline_us=part.deadline_us)):
            self._registrar.answer(part, unknown(Reason.ENGINE, "the inspector takes no orders"))
        return part, ticket

    def bounces(self) -> bool:
        """Tell whether a software trigger now would be the last one again."""
        return self.intake.bounces(SOFTWARE, self._clock.now_us())

    # ---- by a frame ------------------------------------------------------------------------------------------

    def captured(self, message: Captured) -> int:
        """
        Take note of a frame: it is a view of an open part, or opens one.

        Returns:
            How many parts the frame and the gap before it showed; 0 for one that was asked for, or that bounced.
        """
        if message.part is not None or message.camera in self.fired:
            # A picture that nobody asked for is of no part.
            self._views.see(None if message.part is None else self._registrar.parts.find(message.part), message)
            return 0
        gap = self._sequences[message.camera].gap_before(message)
        if gap.jumped:
            self._reporter.audit(AuditEvent.NUMBERS_JUMPED, None, gap.jumped, None)
        doubt = self._lose(message, "a frame before this one was lost") if gap.numbers or gap.jumped else ""
        missed = sum(self._miss(message, number, gap.since_us) for number in gap.numbers)
        return missed + self._take(message, doubt)

    def opened_camera(self, message: CameraState) -> None:
        """Note that a camera was opened; a part that is announced before it may have passed meanwhile."""
        self.intake.opened_camera(message.camera, message.counts)
        if self.announced is not None and message.camera in self.announced.cameras:
            announced, self.announced = self.announced, None
            announced.lost(f"camera {message.camera} was opened again meanwhile: show the part again")

    def _take(self, message: Captured, doubt: str) -> int:
        part = self.intake.find(message)
        if part is not None:
            part.doubt = part.doubt or doubt
            self._views.see(self._registrar.parts.find(part.number), message)
            return 1
        if self.intake.bounces(message.camera, message.t_us):
            self._lose(message, "a trigger was taken for the last one again")
            self._bounced(message)
            return 0
        overruns = self.intake.overruns(message.camera, message.t_us)
        part = self._open(message, self._announced(message))
        part.doubt = part.doubt or doubt
        self.intake.accept(message.camera, message.t_us)
        if not overruns:
            self._views.see(part, message)
            return 1
        self._views.note(part.views[message.camera], message, self._registrar.inspector)
        self._overrun(part)
        return 1

    def _miss(self, message: Captured, number: int, since_us: int) -> int:
        """Answer for a frame of *message*'s camera that never came, after *since_us*; return 1 if there was a part."""
        name = f"frame {number}" if message.numbered else "a frame, by the time stamps,"
        else_wrong = "" if message.numbered else ", or rate_hz is higher than what the camera sends"
        detail = f"{name} of camera {message.camera} never came{else_wrong}"
        missing = msgspec.structs.replace(
            message, frame_no=number, fault=Reason.MISSED, source=str(number), detail=detail
        )
        if not self.intake.names_frames():
            # Which part it belonged to is not known: that part's window will tell that a view is missing.
            self._reporter.audit(AuditEvent.NUMBERS_JUMPED, None, missing.detail, None)
            return 0
        # Another camera may have shown its part long ago, if many are missing.
        shown = self.intake.find(msgspec.structs.replace(missing, t_us=since_us))
        part = shown or self._open(missing, None)
        if self._registrar.parts.find(part.number) is not None:
            self._views.note(part.views[message.camera], missing, inspector=0)
            self._views.settle(part)
        return 1

    def _open(self, message: Captured, announced: Announced | None) -> Part:
        cameras = self.intake.cameras_of(message.camera)
        crowded = self.intake.crowded(message)
        window_us = self.intake.window_us(message.t_us)
        part, ticket = self._registrar.open(
            message.camera,
            Mode.PRODUCTION if announced is None else announced.mode,
            cameras,
            message.t_us,
            tag=message.tag,
            part_id=None if announced is None else announced.part_id,
            request=None if announced is None else announced.request,
            window_us=window_us,
        )
        if announced is not None:
            announced.came(part, ticket)
        for near in (*crowded, *([part] if crowded else [])):
            window_ms = self._settings.window_ms
            near.doubt = f"parts follow each other within window_ms = {window_ms}: whose view is whose is not known"
        self.intake.opened(message, part)
        return part

    def _announced(self, message: Captured) -> Announced | None:
        """Return what was announced, if this frame is the first since; it is announced no more then."""
        if self.announced is None or not self.announced.is_of(message):
            return None
        announced, self.announced = self.announced, None
        return announced

    def _lose(self, message: Captured, why: str) -> str:
        """Announce no more what may have passed without being seen; return the doubt in the part that came instead."""
        announced = self._announced(message)
        if announced is None:
            return ""
        announced.lost(
            f"camera {message.camera}: {why}: which part is the one that was announced is not known; show it again"
        )
        return f"{why}, while '{announced.part_id}' was expected: this may be it, or a product"

    def _bounced(self, message: Captured) -> None:
        self._registrar.count("bounced", Mode.PRODUCTION)
        text = f"{message.camera}: frame {message.source} within {self._settings.debounce_ms} ms of the last"
        self._reporter.audit(AuditEvent.BOUNCED, None, text, None)
        self._views.discard(message)

    def _overrun(self, part: Part) -> None:
        interval_ms = self._settings.min_interval_ms
        detail = f"{part.source}: a trigger less than {interval_ms} ms after the last"
        self._registrar.answer(part, unknown(Reason.OVERRUN, detail))
