"""A station's loop without processes and sockets: a clock that is moved, an inspector that says what it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge.inspector.link import CameraState, Captured, Inspect, Ready, ToInspector, ToStation, ViewResult
from edge.inspector.report import Task, TrialReport
from edge.records import Audit, CameraStateName, MaskHeader, MaskReference, Mode, Outcome, Reason, Status, Verdict
from edge.requests import AnyAnswer, AnyRequest, Trigger
from edge.settings import CalibrationFile, Station
from edge.station.challenges import Challenges
from edge.station.changes import Changes
from edge.station.control import Asked
from edge.station.loop import Loop
from edge.station.maintenance import Maintenance
from edge.station.nojournal import NoJournal, Records
from edge.station.publisher import Topics
from edge.station.reporter import Reporter
from edge.station.scribe import Scribe
from edge.station.starts import Starts
from edge.station.supervisor import BundleToStart, Proven
from edge.station.verdicts import Identity
from edge.wire import sha256

START_US = 1_000_000_000


class FakeClock:
    """Stands still until it is moved; the wall clock may be set beside it."""

    def __init__(self) -> None:
        self.us = START_US
        self.utc_ahead_us = 0

    def now_us(self) -> int:
        return self.us

    def utc_us(self) -> int:
        return 1_700_000_000_000_000 + self.us + self.utc_ahead_us


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
        self.bundles: list[BundleToStart] = []
        self.start_at_us: int | None = clock.now_us()
        self.heard_us = clock.now_us()
        self.killed = False
        self.deaf = False

    def start(self, recipe: bytes, bundle: BundleToStart, resume_from: dict[str, int], proven: Proven | None) -> None:
        self.number += 1
        self.started_with = (recipe, bundle.path)
        self.bundles.append(bundle)
        self.proven = proven
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
        hears = self.running and not self.deaf
        if hears:
            self.orders.append(message)
        return hears

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


class FakeControl:
    """Requests as they are put in, answers as they were given."""

    def __init__(self) -> None:
        self.waiting: deque[Asked] = deque()
        self.answers: list[AnyAnswer] = []
        self.remembered: dict[str, AnyAnswer] = {}
        self.renewals: dict[str, Callable[[], AnyAnswer] | None] = {}
        self.heard: dict[str, int] = {}

    @property
    def waits(self) -> bool:
        return bool(self.waiting)

    def read(self) -> None: ...

    def receive(self) -> Asked | None:
        return self.waiting.popleft() if self.waiting else None

    def heard_us(self, asked: Asked) -> int:
        """Return when a request was repeated; of one that ``heard`` does not know: all the time."""
        return self.heard.get(asked.request.id, 1 << 62)

    def answer(
        self,
        asked: Asked,
        answer: AnyAnswer,
        payload: Sequence[bytes] = (),
        renew: Callable[[], AnyAnswer] | None = None,
    ) -> None:
        self.answers.append(answer)
        self.renewals[asked.request.id] = renew

    def remember(self, request_id: str, answer: AnyAnswer, names: tuple[str | None, int | None, int | None]) -> None:
        self.remembered[request_id] = answer


class FakeTrials:
    """A trial ends when ``report`` is set."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.running = False
        self.report: TrialReport | str | None = None

    def start(self, task: Task) -> None:
        self.tasks.append(task)
        self.running = True

    def ended(self) -> TrialReport | str | None:
        if self.report is None:
            return None
        report, self.report, self.running = self.report, None, False
        return report

    def stop(self) -> None:
        self.running = False


class MemoryJournal(NoJournal):
    """
    Everything is durable at once, until it is told to hold.

    Attributes:
        held: nothing becomes durable while this is set.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch = 77
        self.failing = self.alarm = ""
        self.held = False
        self._settled = 0
        self._seq_settled = 0

    @property
    def durable(self) -> int:
        self._settled = self._settled if self.held else self._tickets
        return self._settled

    @durable.setter
    def durable(self, ticket: int) -> None: ...

    def kept(self, ticket: int) -> bool:
        return self.durable >= ticket

    @property
    def durable_seq(self) -> int:
        self._seq_settled = self._seq_settled if self.held else self.seq
        return self._seq_settled

    @durable_seq.setter
    def durable_seq(self, seq: int) -> None: ...


class RecordingNotifier:
    def __init__(self) -> None:
        self.states: list[str] = []

    def notify(self, *states: str) -> None:
        self.states += states


class Bench:
    """
    A loop on all of these, and the words to play a story with.

    Args:
        cameras: names, or what the settings say of a camera.
        folder: the state directory; None = nothing outlives the bench.
        clock: of an earlier bench, for a restart; None = a new one.
        service: where the starts of a service are counted; None = it was started by hand.
        scribe: of small files; None = they are written at once.

    Attributes:
        dues: until when the loop would have slept, cycle by cycle [us].
    """

    def __init__(
        self,
        *,
        cameras: Sequence[str | Mapping[str, object]] = ("cam1",),
        once: bool = False,
        trigger: str = "free-run",
        journal: Records | None = None,
        folder: Path | None = None,
        calibration: CalibrationFile | None = None,
        clock: FakeClock | None = None,
        reserve_ms: int = 0,
        service: Path | None = None,
        scribe: Scribe | None = None,
        **settings: object,
    ) -> None:
        given: list[Mapping[str, object]] = [{"name": c} if isinstance(c, str) else c for c in cameras]
        sources = [{"source": {"kind": "synthetic"}, "trigger": trigger, **camera} for camera in given]
        tree = {
            "station": "line1",
            "cameras": sources,
            "budget_ms": 100,
            "journal": {"commit_reserve_ms": reserve_ms},
            **settings,
        }
        self.dues: list[int] = []
        self.station = Station.model_validate(tree)
        self.clock = clock or FakeClock()
        self.supervisor = FakeSupervisor(self.clock)
        self.publisher = RecordingPublisher()
        self.control = FakeControl()
        self.trials = FakeTrials()
        self.notifier = RecordingNotifier()
        self.journal = MemoryJournal() if journal is None else journal
        identity = Identity("line1", self.journal.epoch)
        reporter = Reporter(identity, self.publisher, self.notifier, self.clock, watchdog_s=2.0)  # type: ignore[arg-type]
        self.changes = Changes(self.station, folder, self.trials, reporter, self.clock, self.supervisor.order)
        self.loop = Loop(
            self.station,
            identity,
            self.supervisor,  # type: ignore[arg-type]
            self.publisher,  # type: ignore[arg-type]
            self.control,  # type: ignore[arg-type]
            reporter,
            self.journal,
            self.changes,
            Maintenance(folder, self.clock, reporter),
            self.clock,
            calibration=calibration,
            challenges=Challenges(
                self.station, folder, self.clock, reporter, lambda: self.journal.ledger.shifts, scribe
            ),
            wait=self.dues.append,
            wait_for_journal=self.let_pass,
            starts=None if service is None else Starts(service, self.clock, scribe),
            once=once,
        )
        self.loop.begin()

    def ask(self, *requests: AnyRequest) -> list[AnyAnswer]:
        """Ask, let the loop go round once, and return what was answered meanwhile."""
        before = len(self.control.answers)
        self.control.waiting.extend(Asked((b"peer",), request) for request in requests)
        self.loop.cycle()
        return self.control.answers[before:]

    def trigger(self, id_: str, **values: object) -> Trigger:
        fields = {"part_id": None, "tag": None, "counter": None, "mode": Mode.PRODUCTION, "cameras": None, **values}
        return Trigger(version=1, id=id_, **fields)  # type: ignore[arg-type]

    def let_pass(self, until_us: int) -> None:
        """Let time pass, and nothing else."""
        self.clock.us = max(self.clock.us, until_us)

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
            recipe_hash="r" * 64,
            took_ms={"load": 1},
            parity="stand-in",
        )

    def camera(self, name: str, state: CameraStateName, text: str = "", *, counts: bool = False) -> CameraState:
        return CameraState(
            inspector=self.supervisor.number, camera=name, state=state, text=text, numbered=True, counts=counts
        )

    def captured(
        self,
        frame_no: int,
        *,
        camera: str = "cam1",
        open_no: int = 1,
        fault: Reason | None = None,
        numbered: bool = True,
        age_ms: int = 0,
        part: int | None = None,
        tag: int | None = None,
    ) -> Captured:
        return Captured(
            inspector=self.supervisor.number,
            camera=camera,
            part=part,
            open_no=open_no,
            frame_no=frame_no,
            t_us=self.clock.now_us() - 1000 * age_ms,
            tag=tag,
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
        camera: str = "cam1",
        bundle_hash: str = "b" * 64,
    ) -> ViewResult:
        """Return the answer to the order for that view; of frame 0 if there was none."""
        orders = [o for o in self.supervisor.orders if isinstance(o, Inspect) and (o.part, o.camera) == (part, camera)]
        return ViewResult(
            inspector=self.supervisor.number,
            part=part,
            camera=camera,
            outcome=outcome,
            reason=reason,
            detail="" if reason is None else "as told",
            defects=(),
            defects_total=0,
            scores={},
            tiles=1,
            segmented=0,
            stage=None,
            timings_us={},
            brightness=None,
            sharpness=None,
            height=2,
            width=2,
            encoding="runs",
            mask=MaskReference(bytes=len(payload), sha256=sha256(payload), complete=True, sent=True)
            if payload
            else None,
            payload=payload,
            sent_us=self.clock.now_us(),
            open_no=orders[-1].open_no if orders else 0,
            frame_no=orders[-1].frame_no if orders else 0,
            bundle_hash=bundle_hash,
        )
