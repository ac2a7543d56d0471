"""Software triggers as they are asked for: accepted or refused, a part's name once, the line's own counter beside."""

from __future__ import annotations

from collections import OrderedDict

from edge.records import VERSION, AuditEvent
from edge.requests import Independent, Refusal, Refused, Trigger, Triggered
from edge.settings import Station
from edge.station.cameras import Count
from edge.station.condition import Condition
from edge.station.control import Asked, Control
from edge.station.nojournal import Records
from edge.station.registrar import Registrar
from edge.station.reporter import Reporter
from edge.station.triggers import SOFTWARE, Triggers

# Names of parts that are known to have been triggered: hours of a fast line.
_NAMES_KEPT = 20_000


class Firing:
    """What was accepted by an earlier run is known: a trigger that is repeated over a restart gets its answer."""

    def __init__(
        self,
        station: Station,
        control: Control,
        journal: Records,
        registrar: Registrar,
        triggers: Triggers,
        condition: Condition,
        reporter: Reporter,
    ) -> None:
        self._station = station
        self._control = control
        self._journal = journal
        self._registrar = registrar
        self._triggers = triggers
        self._condition = condition
        self._reporter = reporter
        self._counter = Count("counter", journal.last_counter)
        self._names: OrderedDict[str, int] = OrderedDict()
        for request_id, entry in journal.remembered:
            self._control.remember(
                request_id,
                Triggered(
                    version=VERSION,
                    id=request_id,
                    now_us=0,
                    part=entry.part,
                    trigger_us=entry.trigger_us,
                    deadline_us=entry.deadline_us,
                    journaled=True,
                ),
                # A tag of a part that was expected is its frame's: whoever expected it does not know it.
                (entry.part_id, entry.tag if entry.source == SOFTWARE else None, entry.counter),
            )
            self.remember(entry.part_id, entry.part)

    def independent(self) -> tuple[Independent, ...]:
        """Return the line's own count of the parts; none where no camera is fired by a request."""
        return (self._counter.line(),) if self._triggers.fired else ()

    def ask(self, asked: Asked, request: Trigger) -> None:
        """Open a part and answer when its trigger is durable, or refuse with the reason."""
        refusal = self._refusal_of(request)
        if refusal is not None:
            self._registrar.count("bounced" if refusal[0] is Refusal.BOUNCED else "refused", request.mode)
            code, text = refusal
            self._control.answer(asked, Refused(version=VERSION, id=request.id, now_us=0, code=code, text=text))
            return
        asked_for = request.cameras or self._triggers.fired
        cameras = tuple(name for name in self._triggers.fired if name in asked_for)
        part, ticket = self._triggers.fire(request, cameras, self._condition.unable(cameras))
        self.remember(request.part_id, part.number)
        self._note_counter(request)

        def triggered(journaled: bool) -> Triggered:
            return Triggered(
                version=VERSION,
                id=request.id,
                now_us=0,
                part=part.number,
                trigger_us=part.trigger_us,
                deadline_us=part.deadline_us,
                journaled=journaled,
            )

        def answer(journaled: bool) -> None:
            # Not kept yet is no last word: whoever repeats the trigger learns when it is.
            renew = None if journaled else lambda: triggered(self._journal.kept(ticket))
            self._control.answer(asked, triggered(journaled), renew=renew)

        self._registrar.outbox.when_durable(ticket, part.deadline_us, answer)

    def _refusal_of(self, request: Trigger) -> tuple[Refusal, str] | None:
        """Return why no part is opened, None when one is."""
        if self._condition.stopping:
            return Refusal.STOPPING, "the station is being stopped; repeat it when it runs again"
        fault = self._fault_of_cameras(request.cameras)
        if fault is not None:
            return fault
        fault = self.fault_of_name(request.part_id)
        if fault is not None:
            return fault
        if self._triggers.bounces():
            limit = self._station.parts.debounce_ms
            return Refusal.BOUNCED, f"less than debounce_ms = {limit} after the last trigger; it is the same part"
        return None

    def fault_of_name(self, part_id: str | None) -> tuple[Refusal, str] | None:
        """Return why no part may be called so; None = it may."""
        number = None if part_id is None else self._names.get(part_id)
        if number is None:
            return None
        return Refusal.PART_ID_USED, f"part_id = {part_id}: it was part {number}; give each part its own"

    def _fault_of_cameras(self, asked: tuple[str, ...] | None) -> tuple[Refusal, str] | None:
        fired = self._triggers.fired
        if asked is None or not asked:
            return None if fired else (Refusal.NOT_TRIGGERED, f"no camera of the station has trigger = {SOFTWARE}")
        known = [camera.name for camera in self._station.cameras]
        for name in asked:
            if name not in known:
                return Refusal.UNKNOWN_CAMERA, f"camera '{name}': expected one of {', '.join(known)}"
            if name not in fired:
                return Refusal.NOT_TRIGGERED, f"camera '{name}': its trigger is not {SOFTWARE}; leave it out"
        return None

    def _note_counter(self, request: Trigger) -> None:
        if request.counter is None:
            return
        trusted = self._counter.trusted
        self._counter.taken += 1
        unseen = self._counter.note(request.counter)
        if unseen:
            self._registrar.count("unseen", request.mode, unseen)
            text = f"the line's counter is at {request.counter}: {unseen} triggers before it never came"
            self._reporter.audit(AuditEvent.UNSEEN, None, text, None)
        elif trusted and not self._counter.trusted:
            text = f"the line's counter jumped to {request.counter}; how many triggers are missing is not known"
            self._reporter.audit(AuditEvent.NUMBERS_JUMPED, None, text, None)

    def remember(self, part_id: str | None, number: int) -> None:
        """Note a part's name: no other one may have it."""
        if part_id is not None:
            self._names[part_id] = number
            if len(self._names) > _NAMES_KEPT:
                self._names.popitem(last=False)
