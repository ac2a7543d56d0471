"""
The register of parts: opened here with their trigger, answered here with their verdict, both handed to the journal.

Every way in which a part can end goes through ``answer``. Order of things: a trigger is handed to the journal before
any work for it is ordered; a verdict is handed to the journal before it is published; the outbox waits for the journal,
but never beyond the deadline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from edge.clock import Clock, Stopwatch
from edge.inspector.link import Answered, ToInspector
from edge.records import Mode, Outcome, Reason, RecipeMark, Verdict
from edge.settings import Station
from edge.station.complaints import Complaints
from edge.station.entries import TriggerEntry, VerdictEntry
from edge.station.ledger import shift_from_utc
from edge.station.nojournal import Records
from edge.station.outbox import Outbox, Waiting
from edge.station.parts import Claim, Decision, Part, Parts, PartView, unknown
from edge.station.publisher import Publisher
from edge.station.verdicts import Identity, masks_from_claim, verdict_from_claim

# Parts answered while no inspector ran wait for the next one, which writes the archive.
_UNKEPT = 1000
# From a timer to the socket.
_WAKE_UP_US = 500


class Registrar:
    """
    Args:
        order: tells the inspector; False when there is none to tell.

    Attributes:
        recipe: what parts triggered from now on are judged by; None before an inspector was ready.
        bundle_hash, class_names: of the bundle in use.
        closed: why new parts are not inspected at present: reason and one line; None = they are.
        unchallenged: the same, of products alone.
        note_challenge: told the verdict of each part of mode challenge.
        mode: counts every new part as this; None = as the trigger says.
        inspector: number of the process that holds the frames reported now.
    """

    def __init__(
        self,
        station: Station,
        identity: Identity,
        journal: Records,
        publisher: Publisher,
        clock: Clock,
        order: Callable[[ToInspector], bool],
    ) -> None:
        self._station = station
        self._identity = identity
        self._journal = journal
        self._clock = clock
        self._order = order
        self._budget_us = 1000 * station.budget_ms
        # Never more than a quarter of a short budget.
        self._reserve_us = min(1000 * station.journal.commit_reserve_ms, self._budget_us // 4)
        self.parts = Parts(last=journal.part, seq=journal.seq, reserve_us=self._reserve_us)
        self.outbox = Outbox(journal, publisher, clock, journal.seq)
        self._unkept: deque[Answered] = deque(maxlen=_UNKEPT)
        self.recipe: RecipeMark | None = None
        self.bundle_hash = ""
        self.class_names: tuple[str, ...] = ()
        self._complaints = Complaints(clock)
        self.closed: tuple[Reason, str] | None = None
        self.unchallenged: tuple[Reason, str] | None = None
        self.note_challenge: Callable[[Verdict], None] = lambda verdict: None
        self.mode: Mode | None = None
        self.inspector = 0

    # ---- triggers --------------------------------------------------------------------------------------------

    def open(
        self,
        source: str,
        mode: Mode,
        cameras: tuple[str, ...],
        trigger_us: int,
        *,
        tag: int | None,
        part_id: str | None = None,
        request: str | None = None,
        counter: int | None = None,
        window_us: int | None = None,
    ) -> tuple[Part, int]:
        """Open a part that is judged by what is active now; return it and the journal's ticket of its trigger."""
        part = Part(
            number=self.parts.next_number(),
            mode=self.mode or mode,
            source=source,
            trigger_us=trigger_us,
            deadline_us=trigger_us + self._budget_us,
            shift=self._shift(),
            views={name: PartView(name) for name in cameras},
            recipe=self.recipe,
            bundle_hash=self.bundle_hash,
            class_names=self.class_names,
            part_id=part_id,
            tag=tag,
            window_us=window_us,
        )
        self.parts.add(part)
        ticket = self._journal.trigger(_trigger_entry(part, request, counter, self._clock.utc_us()))
        return part, ticket

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
        self.answer(part, unknown(Reason.RESTART, "the station was restarted while the part was open"))

    def count(self, line: str, mode: Mode, n: int = 1) -> None:
        """Count in the ledger what is beside the parts: ``bounced``, ``refused``, ``unseen``."""
        self._journal.count(self._shift(), mode, line, n)

    def _shift(self) -> str:
        return shift_from_utc(self._clock.utc_us(), self._station.shifts)

    def closed_to(self, mode: Mode) -> tuple[Reason, str] | None:
        """Return why a part of that mode is not inspected at present; None = it is."""
        return self.closed or (self.unchallenged if mode is Mode.PRODUCTION else None)

    # ---- verdicts --------------------------------------------------------------------------------------------

    def answer(self, part: Part, decision: Decision, watch: Stopwatch | None = None) -> None:
        """
        Claim, hand the verdict to the journal and then to the outbox. The only way to a verdict.

        Nothing happens when the part has its verdict already.
        """
        if decision.outcome is Outcome.UNKNOWN:
            for view in part.views.values():
                view.reason = view.reason or (decision.reason if view.outcome is None else None)
        claim = self.parts.claim(part.number, decision.outcome, decision.reason, decision.detail, decision.stage)
        if claim is None:
            return
        watch = watch or Stopwatch(self._clock)
        watch.lap("publish")
        now_us = self._clock.now_us()
        verdict = verdict_from_claim(self._identity, claim, watch.stages_us, now_us, self._clock.utc_us())
        if claim.reason is not None:
            self._complaints.note(part.number, claim.reason, claim.detail)
        if part.mode is Mode.CHALLENGE:
            self.note_challenge(verdict)
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

    def answer_all(self, reason: Reason, detail: str, only: Mode | None = None) -> None:
        """Answer every open part with UNKNOWN; only: those of that mode."""
        for part in self.parts.all_open():
            if only in (None, part.mode):
                self.answer(part, unknown(reason, detail))

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


def _trigger_entry(part: Part, request: str | None, counter: int | None, utc_us: int) -> TriggerEntry:
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
        utc_us=utc_us,
        shift=part.shift,
    )


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
