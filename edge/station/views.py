"""The views of open parts: taken, inspected, and settled as soon as they decide or when their time is over."""

from __future__ import annotations

from collections.abc import Callable

from edge.clock import Clock, Stopwatch
from edge.inspector.link import Captured, Discard, FrameOf, Inspect, Progress, ToInspector, ViewResult
from edge.records import AuditEvent, Outcome, Reason
from edge.settings import Station
from edge.station.parts import Part, PartView, decision_from_views, holder_of, unknown
from edge.station.registrar import Registrar
from edge.station.reporter import Reporter


class Views:
    """
    Args:
        order: tells the inspector; False when there is none to tell.
    """

    def __init__(
        self,
        station: Station,
        registrar: Registrar,
        reporter: Reporter,
        clock: Clock,
        order: Callable[[ToInspector], bool],
    ) -> None:
        self._budget_ms = station.budget_ms
        self._window_ms = station.parts.window_ms
        self._registrar = registrar
        self._parts = registrar.parts
        self._reporter = reporter
        self._clock = clock
        self._order = order

    # ---- frames ----------------------------------------------------------------------------------------------

    def see(self, part: Part | None, message: Captured) -> None:
        """Take a frame as a view of *part*; None = the part has its verdict already."""
        view = None if part is None else part.views.get(message.camera)
        if part is None or view is None or view.outcome is not None or view.frame is not None:
            text = f"{message.camera}: frame {message.source} came after its part's verdict or window"
            self._reporter.audit(AuditEvent.LATE_VIEW, message.part, text, None)
            self.discard(message)
            return
        self.note(view, message, self._registrar.inspector)
        closed = self._registrar.closed_to(part.mode)
        if view.reason is None and closed is not None:
            self._registrar.answer(part, unknown(*closed))
            return
        if view.reason is None:
            self._inspect(part, view)
        self.settle(part)

    def note(self, view: PartView, message: Captured, inspector: int) -> None:
        """Note what is known of a view; nothing is ordered. inspector: who holds the frame, 0 = there is none."""
        view.frame = FrameOf(camera=message.camera, open_no=message.open_no, frame_no=message.frame_no)
        view.source, view.stage, view.inspector = message.source, "wait", inspector
        view.reason, view.detail = message.fault, message.detail

    def discard(self, message: Captured) -> None:
        """Give a frame's slot back: it is of no part that waits for it."""
        frame = FrameOf(camera=message.camera, open_no=message.open_no, frame_no=message.frame_no)
        self._order(Discard(frame=frame))

    def _inspect(self, part: Part, view: PartView) -> None:
        assert view.frame is not None
        order = Inspect(
            part=part.number,
            camera=view.camera,
            open_no=view.frame.open_no,
            frame_no=view.frame.frame_no,
            deadline_us=part.deadline_us,
            recipe_hash="" if part.recipe is None else part.recipe.hash,
        )
        if not self._order(order):
            view.reason, view.detail = Reason.ENGINE, "the inspector takes no orders"

    # ---- results ---------------------------------------------------------------------------------------------

    def progress(self, message: Progress) -> None:
        """Note which stage has a view now: if its time runs out there, the verdict says so."""
        part = None if message.part is None else self._parts.find(message.part)
        if part is not None and message.camera in part.views:
            part.views[message.camera].stage = message.stage

    def result(self, message: ViewResult) -> bool:
        """Take what the inspector found; return whether it was in time and is a proof of its health."""
        watch = Stopwatch(self._clock)
        watch.stages_us["handover"] = self._clock.now_us() - message.sent_us
        part = self._parts.find(message.part)
        if part is not None and self._parts.is_late(part, self._clock.now_us()):
            self._late(part)
            part = None
        view = None if part is None else part.views.get(message.camera)
        if part is None or view is None or view.outcome is not None or not _is_of(message, view):
            text = f"{message.camera}: result after the verdict"
            self._reporter.audit(AuditEvent.LATE_RESULT, message.part, text, message.outcome)
            return False
        if message.outcome is not Outcome.UNKNOWN and message.bundle_hash != part.bundle_hash:
            view.reason, view.detail = Reason.RECIPE, "another bundle was active when the part was triggered"
        else:
            view.result = message
        self.settle(part, watch)
        return message.outcome is not Outcome.UNKNOWN

    def settle(self, part: Part, watch: Stopwatch | None = None) -> None:
        """Answer when the views known so far decide."""
        decision = decision_from_views(part)
        if decision is not None:
            self._registrar.answer(part, decision, watch)

    # ---- time ------------------------------------------------------------------------------------------------

    def answer_due(self) -> None:
        """Answer the parts whose time is over, and those whose missing views are not waited for any longer."""
        now_us = self._clock.now_us()
        for part in self._parts.due(now_us):
            if self._parts.is_late(part, now_us):
                self._late(part)
            else:
                self._close_window(part)

    def _close_window(self, part: Part) -> None:
        for view in part.views.values():
            if view.frame is None and view.outcome is None:
                view.reason = Reason.CAMERA
                view.detail = f"no view of camera {view.camera} within {self._window_ms} ms"
        self.settle(part)

    def _late(self, part: Part) -> None:
        detail = f"no result within {self._budget_ms} ms of the trigger"
        holder = holder_of(part)
        if holder is not None:
            detail += f": camera {holder.camera} in stage '{holder.stage}'"
        self._registrar.answer(part, unknown(Reason.LATE, detail, None if holder is None else holder.stage))


def _is_of(result: ViewResult, view: PartView) -> bool:
    """Tell whether a result is of the very frame that was ordered: of another it would prove nothing."""
    return view.frame is not None and (view.frame.open_no, view.frame.frame_no) == (result.open_no, result.frame_no)
