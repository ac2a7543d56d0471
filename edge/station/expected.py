"""
Parts that are announced: the next one that a camera sees by itself is a master, or a part of a study.

An announcement outlives nobody: who has made it repeats its request, or it is taken back. Otherwise a product would be
taken for the part.
"""

from __future__ import annotations

from edge.clock import Clock
from edge.records import VERSION
from edge.requests import LEASE_S, Expect, Refusal, Refused, Triggered
from edge.station.condition import Condition
from edge.station.control import Asked, Control
from edge.station.firing import Firing
from edge.station.parts import Part
from edge.station.registrar import Registrar
from edge.station.triggers import Announced, Triggers

_LEASE_US = round(LEASE_S * 1e6)


class Expecting:
    """One part at a time. Its request is answered as a trigger is, when it has come and its trigger is durable."""

    def __init__(
        self,
        control: Control,
        registrar: Registrar,
        triggers: Triggers,
        firing: Firing,
        condition: Condition,
        clock: Clock,
    ) -> None:
        self._control = control
        self._registrar = registrar
        self._triggers = triggers
        self._firing = firing
        self._condition = condition
        self._clock = clock
        self._asked: Asked | None = None
        self._until_us = 0

    def ask(self, asked: Asked, request: Expect) -> None:
        """Expect the part, or say why it cannot be; with 0 seconds what was expected is not any more."""
        refusal = self._refusal_of(request)
        if refusal is not None:
            self._refuse(asked, *refusal)
            return
        if request.seconds == 0:
            self._withdraw(Refusal.NO_PART, "it is not expected any more: that was asked for")
            self._refuse(asked, Refusal.NO_PART, "nothing is expected")
            return
        self._asked, self._until_us = asked, self._clock.now_us() + round(1e6 * request.seconds)
        self._triggers.announced = Announced(
            request=request.id,
            mode=request.mode,
            part_id=request.part_id,
            cameras=self._cameras_of(request),
            since_us=self._clock.now_us(),
            came=lambda part, ticket: self._came(asked, part, ticket),
            lost=lambda why: self._withdraw(Refusal.NO_PART, why),
        )

    def due_us(self) -> int | None:
        """Return when the part that is expected is not any more, if its request is not repeated."""
        return None if self._asked is None else min(self._until_us, self._leased_us(self._asked))

    def expire(self) -> None:
        """Give up a part that has not come in time, or that nobody waits for any more."""
        if self._asked is None:
            return
        now_us = self._clock.now_us()
        if now_us >= self._until_us:
            self._withdraw(Refusal.NO_PART, "no part came in time: was it put before a camera that triggers by itself?")
        elif now_us >= self._leased_us(self._asked):
            self._withdraw(Refusal.NO_PART, f"the request was not repeated for {LEASE_S:g} s: nobody waits for it")

    def stop(self) -> None:
        self._withdraw(Refusal.STOPPING, "the station is being stopped")

    def _refusal_of(self, request: Expect) -> tuple[Refusal, str] | None:
        if self._condition.stopping:
            return Refusal.STOPPING, "the station is being stopped; repeat it when it runs again"
        if request.seconds == 0:
            return None
        if not self._triggers.sees:
            return Refusal.NO_PART, "no camera of the station triggers by itself: send a trigger"
        if request.camera is not None and request.camera not in self._seen_by():
            return Refusal.UNKNOWN_CAMERA, f"camera = {request.camera}: expected one of {', '.join(self._seen_by())}"
        if request.camera is None and not self._triggers.intake.joins and len(self._seen_by()) > 1:
            cameras = ", ".join(self._seen_by())
            return Refusal.UNKNOWN_CAMERA, f"camera = null: each sees parts of its own; expected one of {cameras}"
        closed = self._condition.closed() or self._condition.unable(self._cameras_of(request))
        if closed is not None:
            return Refusal.NOT_READY, f"parts are not inspected at present: {closed[1]}"
        if self._asked is not None:
            return Refusal.BUSY, "another part is expected already; ask again when it has come"
        return self._firing.fault_of_name(request.part_id)

    def _seen_by(self) -> tuple[str, ...]:
        return self._triggers.intake.cameras

    def _cameras_of(self, request: Expect) -> tuple[str, ...]:
        return self._triggers.intake.cameras_of(request.camera or self._seen_by()[0])

    def _leased_us(self, asked: Asked) -> int:
        return self._control.heard_us(asked) + _LEASE_US

    def _came(self, asked: Asked, part: Part, ticket: int) -> None:
        self._asked = None
        self._firing.remember(part.part_id, part.number)

        def answer(journaled: bool) -> None:
            triggered = Triggered(
                version=VERSION,
                id=asked.request.id,
                now_us=0,
                part=part.number,
                trigger_us=part.trigger_us,
                deadline_us=part.deadline_us,
                journaled=journaled,
            )
            self._control.answer(asked, triggered)

        self._registrar.outbox.when_durable(ticket, part.deadline_us, answer)

    def _withdraw(self, code: Refusal, text: str) -> None:
        asked, self._asked, self._triggers.announced = self._asked, None, None
        if asked is not None:
            self._refuse(asked, code, text)

    def _refuse(self, asked: Asked, code: Refusal, text: str) -> None:
        self._control.answer(asked, Refused(version=VERSION, id=asked.request.id, now_us=0, code=code, text=text))
