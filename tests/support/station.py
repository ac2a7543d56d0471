"""A station's loop without processes and sockets: a clock that is moved, an inspector that says what it is told."""

from __future__ import annotations

from collections import deque

from edge.inspector.link import CameraState, Captured, Ready, ToInspector, ToStation, ViewResult
from edge.records import Audit, MaskHeader, MaskReference, Outcome, Reason, Status, Verdict
from edge.settings import Station
from edge.station.loop import Loop
from edge.station.publisher import Topics
from edge.station.reporter import Reporter
from edge.station.verdicts import Identity
from edge.wire import sha256

START_US = 1_000_000_000


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.us = START_US

    def now_us(self) -> int:
        return self.us

    def utc_us(self) -> int:
        return 1_700_000_000_000_000 + self.us


class FakeSupervisor:
    """An inspector that is always there; ``die()`` ends it."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._code: int | None = None
        self.number = 0
        self.running = False
        self.inbox: deque[ToStation] = deque()
        self.orders: list[ToInspector] = []
        self.resumed: list[dict[str, int]] = []
        self.start_at_us: int | None = clock.now_us()
        self.heard_us = clock.now_us()
        self.killed = False

    def start(self, resume_from: dict[str, int], proven_bundle: str | None) -> None:
        self.number += 1
        self.running, self._code, self.start_at_us = True, None, None
        self.heard_us = self._clock.now_us()
        self.resumed.append(resume_from)

    def die(self, code: int) -> None:
        self._code = code

    def receive(self) -> ToStation | None:
        if not self.inbox:
            return None
        self.heard_us = self._clock.now_us()
        return self.inbox.popleft()

    def order(self, message: ToInspector) -> bool:
        if self.running:
            self.orders.append(message)
        return self.running

    def silent_s(self) -> float:
        return (self._clock.now_us() - self.heard_us) / 1e6

    def proved(self) -> None: ...

    def stop(self) -> None: ...

    def see_off(self) -> None:
        self.running = False

    def kill(self) -> None:
        self.killed = True
        self.die(-9)

    def ended(self) -> int | None:
        return self._code if self.running else None

    def bury(self) -> None:
        self.running, self._code = False, None
        self.inbox.clear()
        self.start_at_us = self._clock.now_us()


class RecordingPublisher:
    """Keeps what is published, in order."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []
        self.masks: list[tuple[MaskHeader, bytes]] = []
        self.statuses: list[Status] = []
        self.audits: list[Audit] = []
        self.topics = Topics([], [])

    def verdict(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)

    def mask(self, header: MaskHeader, payload: bytes) -> None:
        self.masks.append((header, payload))

    def status(self, status: Status) -> None:
        self.statuses.append(status)

    def audit(self, audit: Audit) -> None:
        self.audits.append(audit)

    def subscriptions(self) -> Topics:
        topics, self.topics = self.topics, Topics([], [])
        return topics


class RecordingNotifier:
    def __init__(self) -> None:
        self.states: list[str] = []

    def notify(self, *states: str) -> None:
        self.states += states


class Bench:
    """A loop on all of these, and the words to play a story with."""

    def __init__(self, *, cameras: tuple[str, ...] = ("cam1",), once: bool = False, **settings: object) -> None:
        sources = [{"name": name, "source": {"kind": "synthetic"}} for name in cameras]
        self.station = Station.model_validate({"station": "line1", "cameras": sources, "budget_ms": 100, **settings})
        self.clock = FakeClock()
        self.supervisor = FakeSupervisor(self.clock)
        self.publisher = RecordingPublisher()
        self.notifier = RecordingNotifier()
        identity = Identity("line1", epoch=77)
        self.loop = Loop(
            self.station,
            identity,
            self.supervisor,  # type: ignore[arg-type]
            self.publisher,  # type: ignore[arg-type]
            Reporter(identity, self.publisher, self.notifier, self.clock, watchdog_s=2.0),  # type: ignore[arg-type]
            self.clock,
            wait=lambda due_us: None,
            once=once,
        )

    def after(self, ms: float) -> None:
        """Let time pass and the loop go round once."""
        self.clock.us += round(ms * 1000)
        self.loop.cycle()

    def hear(self, *messages: ToStation) -> None:
        self.supervisor.inbox.extend(messages)
        self.loop.cycle()

    def get_ready(self) -> None:
        """Go round until an inspector runs, is proven and has its cameras open."""
        while not self.supervisor.running:
            self.loop.cycle()
        self.hear(self.ready(), *(self.camera(c.name, "open") for c in self.station.cameras))

    def ready(self) -> Ready:
        return Ready(
            inspector=self.supervisor.number,
            bundle_hash="b" * 64,
            backend="stand-in",
            class_names=("pits", "scratch"),
            recipe_hashes={c.name: "r" * 64 for c in self.station.cameras},
            took_ms={"load": 1},
            parity="stand-in",
        )

    def camera(self, name: str, state: str, text: str = "") -> CameraState:
        return CameraState(inspector=self.supervisor.number, camera=name, state=state, text=text)  # type: ignore[arg-type]

    def captured(
        self,
        frame_no: int,
        *,
        camera: str = "cam1",
        open_no: int = 1,
        fault: Reason | None = None,
        numbered: bool = True,
        age_ms: int = 0,
    ) -> Captured:
        return Captured(
            inspector=self.supervisor.number,
            camera=camera,
            open_no=open_no,
            frame_no=frame_no,
            t_us=self.clock.now_us() - 1000 * age_ms,
            tag=None,
            source=str(frame_no),
            numbered=numbered,
            fault=fault,
            detail="" if fault is None else "as told",
        )

    def result(
        self,
        part: int,
        outcome: Outcome = Outcome.PASS,
        reason: Reason | None = None,
        payload: bytes = b"\x00\x04\x00\x00",
    ) -> ViewResult:
        return ViewResult(
            inspector=self.supervisor.number,
            part=part,
            camera="cam1",
            outcome=outcome,
            reason=reason,
            detail="" if reason is None else "as told",
            defects=(),
            defects_total=0,
            scores={},
            tiles=1,
            segmented=0,
            timings_us={},
            height=2,
            width=2,
            encoding="runs",
            mask=MaskReference(bytes=len(payload), sha256=sha256(payload), complete=True, sent=True)
            if payload
            else None,
            payload=payload,
            sent_us=self.clock.now_us(),
        )
