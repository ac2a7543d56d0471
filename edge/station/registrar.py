"""
Parts from their trigger to their verdict. Every way in which a part can end goes through ``_claim``.

Order of things: a trigger is handed to the journal before any work for it is ordered; a verdict is handed to the
journal before it is published; the outbox waits for the journal, but never beyond the deadline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from edge.clock import Clock, Stopwatch
from edge.inspector.link import (
    Answered,
    Captured,
    Discard,
    Fire,
    FrameOf,
    Inspect,
    Progress,
    ToInspector,
    ViewResult,
)
from edge.records import AuditEvent, Mode, Outcome, Reason, RecipeMark, Verdict
from edge.requests import Trigger
from edge.settings import Station
from edge.station.entries import TriggerEntry, VerdictEntry
from edge.station.intake import FrameSequence, Intake
from edge.station.ledger import shift_from_utc
from edge.station.nojournal import Records
from edge.station.outbox import Outbox, Waiting
from edge.station.parts import Claim, Decision, Part, Parts, PartView, decision_from_views, holder_of
from edge.station.publisher import Publisher
from edge.station.reporter import Reporter
from edge.station.verdicts import Identity, masks_from_claim, verdict_from_claim

# Parts answered while no inspector ran wait for the next one, which writes the archive.
_UNKEPT = 1000
SOFTWARE = "software"
# From a timer to the socket.
_WAKE_UP_US = 500


class Registrar:
    """
    Opens parts, joins their views, claims, and hands verdicts over.

    Args:
        order: tells the inspector; False when there is none to tell.

    Attributes:
        recipe: what parts triggered from now on are judged by; None before an inspector was ready.
        bundle_hash, class_names: of the bundle in use.
        closed: why new parts are not inspected at present: reason and one line; None = they are.
        mode: counts every new part as this; None = as the trigger says.
        inspector: number of the process that holds the frames reported now.
    """

    def __init__(
        self,
        station: Station,
        identity: Identity,
        journal: Records,
        publisher: Publisher,
        reporter: Reporter,
        clock: Clock,
        order: Callable[[ToInspector], bool],
    ) -> None:
        self._station = station
        self._identity = identity
        self._journal = journal
        self._reporter = reporter
        self._clock = clock
        self._order = order
        self._budget_us = 1000 * station.budget_ms
        # Never more than a quarter of a short budget.
        self._reserve_us = min(1000 * station.journal.commit_reserve_ms, self._budget_us // 4)
        self.parts = Parts(last=journal.part, seq=journal.seq, reserve_us=self._reserve_us)
        self.outbox = Outbox(journal, publisher, clock, journal.seq)
        fired = [camera for camera in station.cameras if camera.trigger == SOFTWARE]
        seeing = [camera for camera in station.cameras if camera.trigger != SOFTWARE]
        self.fired = tuple(camera.name for camera in fired)
        self._intake = Intake(station.parts, seeing)
        self._sequences = {camera.name: FrameSequence(camera) for camera in seeing}
        self._unkept: deque[Answered] = deque(maxlen=_UNKEPT)
        self.recipe: RecipeMark | None = None
        self.bundle_hash = ""
        self.class_names: tuple[str, ...] = ()
        self.closed: tuple[Reason, str] | None = None
        self.mode: Mode | None = None
        self.inspector = 0

    # ---- triggers --------------------------------------------------------------------------------------------

    def fire(self, request: Trigger, cameras: tuple[str, ...], unable: tuple[Reason, str] | None) -> tuple[Part, int]:
        """
        Open the part of a software trigger; return it and the journal's ticket of its trigger.

        Args:
            unable: why no picture can be taken at present; None = it can.
        """
        now_us = self._clock.now_us()
        overruns = self._intake.overruns(SOFTWARE, now_us)
        part = self._open(SOFTWARE, request.mode, cameras, now_us, request.part_id, request.tag)
        for view in part.views.values():
            view.stage = "trigger"
        ticket = self._journal.trigger(self._entry(part, request.id, request.counter))
        self._intake.accept(SOFTWARE, now_us)
        if overruns:
            self._overrun(part)
        elif not self._answer_closed(part, unable) and not self._order(
            Fire(part=part.number, cameras=cameras, deadline_us=part.deadline_us)
        ):
            self._claim(part, Outcome.UNKNOWN, Reason.ENGINE, "the inspector takes no orders")
        return part, ticket

    def bounces(self) -> bool:
        """Tell whether a software trigger now would be the last one again."""
        return self._intake.bounces(SOFTWARE, self._clock.now_us())

    def captured(self, message: Captured) -> int:
        """
        Take note of a frame: it is a view of an open part, or opens one.

        Returns:
            How many parts the frame and the gap before it showed; 0 for one that was asked for, or that bounced.
        """
        if message.part is not None or message.camera in self.fired:
            # A picture that nobody asked for is of no part.
            self._see(None if message.part is None else self.parts.find(message.part), message)
            return 0
        gap = self._sequences[message.camera].gap_before(message)
        if gap.jumped:
            self._reporter.audit(AuditEvent.NUMBERS_JUMPED, None, gap.jumped, None)
        missed = sum(self._miss(message, number, gap.since_us) for number in gap.numbers)
        return missed + self._take(message)

    def adopt(self, entry: TriggerEntry) -> None:
        """Answer a part that an earlier run left open; its trigger is in the journal."""
        part = Part(
            number=entry.part,
            mode=entry.mode,
            source=entry.source,
            trigger_us=entry.trigger_us,
            deadline_us=entry.deadline_us,
            shift=entry.shift,
            views={},
            recipe=None,
            part_id=entry.part_id,
            tag=entry.tag,
        )
        self.parts.add(part)
        self._claim(part, Outcome.UNKNOWN, Reason.RESTART, "the station was restarted while the part was open")

    def _take(self, message: Captured) -> int:
        part = self._intake.find(message)
        if part is not None:
            self._see(self.parts.find(part.number), message)
            return 1
        if self._intake.bounces(message.camera, message.t_us):
            self._bounced(message)
            return 0
        overruns = self._intake.overruns(message.camera, message.t_us)
        part = self._open_by_camera(message)
        self._intake.accept(message.camera, message.t_us)
        if not overruns:
            self._see(part, message)
            return 1
        self._note(part.views[message.camera], message, self.inspector)
        self._overrun(part)
        return 1

    def _miss(self, message: Captured, number: int, since_us: int) -> int:
        """Answer for a frame of *message*'s camera that never came, after *since_us*; return 1 if there was a part."""
        name = f"frame {number}" if message.numbered else "a frame, by the time stamps,"
        detail = f"{name} of camera {message.camera} never came"
        missing = msgspec.structs.replace(
            message, frame_no=number, fault=Reason.MISSED, source=str(number), detail=detail
        )
        if not self._intake.names_frames():
            # Which part it belonged to is not known: that part's window will tell that a view is missing.
            self._reporter.audit(AuditEvent.NUMBERS_JUMPED, None, missing.detail, None)
            return 0
        # Another camera may have shown its part long ago, if many are missing.
        shown = self._intake.find(msgspec.structs.replace(missing, t_us=since_us))
        part = shown or self._open_by_camera(missing)
        if self.parts.find(part.number) is not None:
            self._note(part.views[message.camera], missing, inspector=0)
            self._settle(part)
        return 1

    def _open_by_camera(self, message: Captured) -> Part:
        cameras = self._intake.cameras_of(message.camera)
        crowded = self._intake.crowded(message)
        part = self._open(message.camera, Mode.PRODUCTION, cameras, message.t_us, None, message.tag)
        for near in (*crowded, *([part] if crowded else [])):
            window_ms = self._station.parts.window_ms
            near.doubt = f"parts follow each other within window_ms = {window_ms}: whose view is whose is not known"
        self._journal.trigger(self._entry(part, None, None))
        self._intake.opened(message, part)
        return part

    def _open(
        self, source: str, mode: Mode, cameras: tuple[str, ...], t_us: int, part_id: str | None, tag: int | None
    ) -> Part:
        part = Part(
            number=self.parts.next_number(),
            mode=self.mode or mode,
            source=source,
            trigger_us=t_us,
            deadline_us=t_us + self._budget_us,
            shift=shift_from_utc(self._clock.utc_us(), self._station.shifts),
            views={name: PartView(name) for name in cameras},
            recipe=self.recipe,
            bundle_hash=self.bundle_hash,
            class_names=self.class_names,
            part_id=part_id,
            tag=tag,
            window_us=None if source == SOFTWARE else self._intake.window_us(t_us),
        )
        self.parts.add(part)
        return part

    def _entry(self, part: Part, request: str | None, counter: int | None) -> TriggerEntry:
        return TriggerEntry(
            part=part.number,
            request=request,
            part_id=part.part_id,
            tag=part.tag,
            counter=counter,
            mode=part.mode,
            source=part.source,
            trigger_us=part.trigger_us,
            deadline_us=part.deadline_us,
            utc_us=self._clock.utc_us(),
            shift=part.shift,
        )

    def _bounced(self, message: Captured) -> None:
        shift = shift_from_utc(self._clock.utc_us(), self._station.shifts)
        self._journal.count(shift, Mode.PRODUCTION, "bounced")
        text = f"{message.camera}: frame {message.source} within {self._station.parts.debounce_ms} ms of the last"
        self._reporter.audit(AuditEvent.BOUNCED, None, text, None)
        self._discard(message)

    # ---- views -----------------------------------------------------------------------------------------------

    def _see(self, part: Part | None, message: Captured) -> None:
        """Take a frame as a view of *part*; None = the part has its verdict already."""
        view = None if part is None else part.views.get(message.camera)
        if part is None or view is None or view.outcome is not None or view.frame is not None:
            text = f"{message.camera}: frame {message.source} came after its part's verdict or window"
            self._reporter.audit(AuditEvent.LATE_VIEW, message.part, text, None)
            self._discard(message)
            return
        self._note(view, message, self.inspector)
        if view.reason is None and not self._answer_closed(part):
            self._inspect(part, view)
        self._settle(part)

    def _note(self, view: PartView, message: Captured, inspector: int) -> None:
        view.frame = FrameOf(camera=message.camera, open_no=message.open_no, frame_no=message.frame_no)
        view.source, view.stage, view.inspector = message.source, "wait", inspector
        view.reason, view.detail = message.fault, message.detail

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

    def opened(self, camera: str, counts: bool) -> None:
        """Note that a camera was opened; *counts*: its numbers went on while it was closed."""
        self._intake.opened_camera(camera, counts)

    def progress(self, message: Progress) -> None:
        """Note which stage has a view now: if its time runs out there, the verdict says so."""
        part = None if message.part is None else self.parts.find(message.part)
        if part is not None and message.camera in part.views:
            part.views[message.camera].stage = message.stage

    def result(self, message: ViewResult) -> bool:
        """Take what the inspector found; return whether it was in time and is a proof of its health."""
        watch = Stopwatch(self._clock)
        watch.stages_us["handover"] = self._clock.now_us() - message.sent_us
        part = self.parts.find(message.part)
        if part is not None and self.parts.is_late(part, self._clock.now_us()):
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
        self._settle(part, watch)
        return message.outcome is not Outcome.UNKNOWN

    def _settle(self, part: Part, watch: Stopwatch | None = None) -> None:
        """Claim when the views known so far decide."""
        decision = decision_from_views(part)
        if decision is not None:
            self._decide(part, decision, watch)

    # ---- ends ------------------------------------------------------------------------------------------------

    def answer_due(self) -> None:
        """Answer the parts whose time is over, and those whose missing views are not waited for any longer."""
        now_us = self._clock.now_us()
        for part in self.parts.due(now_us):
            if self.parts.is_late(part, now_us):
                self._late(part)
            else:
                self._close_window(part)

    def answer_all(self, reason: Reason, detail: str) -> None:
        """Answer every open part."""
        for part in self.parts.all_open():
            self._claim(part, Outcome.UNKNOWN, reason, detail)

    def _close_window(self, part: Part) -> None:
        for view in part.views.values():
            if view.frame is None and view.outcome is None:
                view.reason = Reason.CAMERA
                view.detail = f"no view of camera {view.camera} within {self._station.parts.window_ms} ms"
        self._settle(part)

    def _late(self, part: Part) -> None:
        holder = holder_of(part)
        budget_ms = self._station.budget_ms
        if holder is None:
            self._claim(part, Outcome.UNKNOWN, Reason.LATE, f"no result within {budget_ms} ms of the trigger")
            return
        detail = f"no result within {budget_ms} ms of the trigger: camera {holder.camera} in stage '{holder.stage}'"
        self._claim(part, Outcome.UNKNOWN, Reason.LATE, detail, holder.stage)

    def _answer_closed(self, part: Part, unable: tuple[Reason, str] | None = None) -> bool:
        reason = self.closed or unable
        if reason is None:
            return False
        self._claim(part, Outcome.UNKNOWN, *reason)
        return True

    def _overrun(self, part: Part) -> None:
        interval_ms = self._station.parts.min_interval_ms
        detail = f"{part.source}: a trigger less than {interval_ms} ms after the last"
        self._claim(part, Outcome.UNKNOWN, Reason.OVERRUN, detail)

    def _decide(self, part: Part, decision: Decision, watch: Stopwatch | None) -> None:
        self._claim(part, decision.outcome, decision.reason, decision.detail, decision.stage, watch)

    def _claim(
        self,
        part: Part,
        outcome: Outcome,
        reason: Reason | None,
        detail: str,
        stage: str | None = None,
        watch: Stopwatch | None = None,
    ) -> None:
        """Claim, hand the verdict to the journal and then to the outbox. The only way to a verdict."""
        if outcome is Outcome.UNKNOWN:
            for view in part.views.values():
                view.reason = view.reason or (reason if view.outcome is None else None)
        claim = self.parts.claim(part.number, outcome, reason, detail, stage)
        if claim is None:
            return
        watch = watch or Stopwatch(self._clock)
        watch.lap("publish")
        now_us = self._clock.now_us()
        verdict = verdict_from_claim(self._identity, claim, watch.stages_us, now_us, self._clock.utc_us())
        self.outbox.put(
            Waiting(
                verdict=verdict,
                masks=masks_from_claim(self._identity, claim),
                ticket=self._journal.verdict(_verdict_entry(claim, verdict)),
                queued_us=now_us,
                due_us=self._leaves_us(part, now_us),
                published=lambda published: self._published(part, published),
            )
        )

    def _leaves_us(self, part: Part, now_us: int) -> int:
        """Return when a verdict that is claimed now leaves, durable or not."""
        left_us = part.deadline_us - now_us
        if not 0 < left_us <= self._budget_us:
            # One that is late already, or of before a reboot, is given the reserve, so that it is kept like any other.
            return now_us + self._reserve_us
        # What was claimed in time must not leave late for want of waking up.
        return now_us + max(left_us - min(_WAKE_UP_US, self._reserve_us // 2), 0)

    # ---- after the verdict -----------------------------------------------------------------------------------

    def _published(self, part: Part, verdict: Verdict) -> None:
        """Tell the inspector that the part's slots are free, and what to keep."""
        held = [view for view in part.views.values() if view.frame is not None and view.inspector == self.inspector]
        keep = self._station.archive.path is not None
        answered = Answered(
            part=part.number,
            epoch=verdict.epoch,
            seq=verdict.seq,
            outcome=verdict.outcome,
            frames=tuple(view.frame for view in held if view.frame is not None),
            record=msgspec.json.encode(verdict) if keep else b"",
        )
        if (answered.frames or keep) and not self._order(answered) and keep:
            self._unkept.append(msgspec.structs.replace(answered, frames=()))
        for view in part.views.values():
            view.result = None  # The part is remembered for views that come late; its masks need not be.

    def hand_over(self) -> None:
        """Hand the parts that were answered without an inspector to the present one, which writes the archive."""
        while self._unkept and self._order(self._unkept[0]):
            self._unkept.popleft()

    def _discard(self, message: Captured) -> None:
        frame = FrameOf(camera=message.camera, open_no=message.open_no, frame_no=message.frame_no)
        self._order(Discard(frame=frame))


def _is_of(result: ViewResult, view: PartView) -> bool:
    """Tell whether a result is of the very frame that was ordered: of another it would prove nothing."""
    return view.frame is not None and (view.frame.open_no, view.frame.frame_no) == (result.open_no, result.frame_no)


def _verdict_entry(claim: Claim, verdict: Verdict) -> VerdictEntry:
    return VerdictEntry(
        seq=claim.seq,
        part=claim.part.number,
        outcome=claim.outcome,
        reason=claim.reason,
        mode=claim.part.mode,
        shift=claim.part.shift,
        utc_us=verdict.utc_us,
        record=msgspec.json.encode(verdict),
    )
