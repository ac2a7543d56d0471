"""
A real station before a line whose truth is known, and one fault after the other: what is seen of each, and how soon.

Parts are counted by who sends their triggers and by who consumes their verdicts, both processes of their own.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.clock import SYSTEM_CLOCK
from edge.records import Outcome, Reason, Status, Verdict
from tests.qualify.books import Books
from tests.qualify.ear import Ear
from tests.qualify.judgement import Judgement
from tests.qualify.process import StationProcess
from tests.support.bundles import HEIGHT, WIDTH, picture
from tests.support.kept import kept_bundle

BUDGET_MS = 300
_RATE_HZ = 20.0
_PICTURES, _DIFFERENT = 4000, 40
_DEFECT, _SOUND = "defect", "sound"
_BEFORE_S = 1.0
# A barcode counts milliseconds.
_BARCODE_MS = 1.0
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Truth:
    """
    What is known of a picture without asking the station.

    Attributes:
        defect: it shows one.
        taken_us: monotonic time of its exposure; None = it does not say.
    """

    defect: bool
    taken_us: int | None = None


@dataclass(frozen=True)
class Line:
    """
    Attributes:
        camera: its table of the settings.
        rate_hz: of the triggers; None = the camera triggers by itself.
        truth: of a picture as the station shows it; None = it cannot be read.
        told: of a verdict, by the name of what was inspected; None = names tell nothing.
        still: lets no further part come.
        peer: the camera's process.
    """

    camera: Mapping[str, Any]
    rate_hz: float | None
    truth: Callable[[NDArray[np.uint8]], Truth | None]
    told: Callable[[Verdict], Truth | None] = lambda verdict: None
    still: Callable[[], None] = lambda: None
    peer: Any = None


@dataclass(frozen=True)
class Fault:
    """
    Attributes:
        inject: begins it.
        mend: ends it; None = the station gets over it by itself.
        lasts_s: from one to the other, at least; it is waited until ``ready`` is withdrawn, if it has to be.
        reasons: of the parts in its window that cannot be judged.
        withdrawn_in_s: ``ready`` must have been withdrawn by then; None = the line goes on.
        seen: another status that shows it; None = only ``ready`` does.
        interrupts: the station is not ready meanwhile, or not there.
    """

    name: str
    inject: Callable[[Scene], None]
    mend: Callable[[Scene], None] | None
    lasts_s: float
    reasons: frozenset[Reason]
    withdrawn_in_s: float | None
    seen: Callable[[Status], bool] | None = None
    interrupts: bool = True


@dataclass
class Round:
    """One fault from its beginning to the first part that was judged again; monotonic times [us]."""

    injected_us: int
    mended_us: int = 0
    withdrawn_us: int | None = None
    ready_us: int | None = None
    judged_us: int | None = None

    @property
    def over_us(self) -> int | None:
        return None if self.judged_us is None or self.ready_us is None else max(self.judged_us, self.ready_us)


@dataclass
class Scene:
    station: StationProcess
    folder: Path
    line: Line
    ear: Ear
    rounds: list[Round] = field(default_factory=list)

    def suffer(self, fault: Fault, before_s: float = _BEFORE_S) -> None:
        """Let the line go on for so long, then the fault happen once, and wait until it is over."""
        time.sleep(before_s)
        one = Round(SYSTEM_CLOCK.now_us())
        self.rounds.append(one)
        fault.inject(self)
        lasts_until_s = time.monotonic() + fault.lasts_s
        if fault.withdrawn_in_s is not None or fault.seen is not None:
            one.withdrawn_us = self._shown_us(fault, one.injected_us)
        time.sleep(max(0.0, lasts_until_s - time.monotonic()))
        if fault.mend is None:
            one.mended_us = one.injected_us
        else:
            one.mended_us = SYSTEM_CLOCK.now_us()
            fault.mend(self)
        self._await_end(fault, one)

    def _shown_us(self, fault: Fault, since_us: int) -> int | None:
        status = self.ear.status(lambda status: status.sent_us > since_us and _shows(fault, status), 15.0)
        return None if status is None else status.sent_us

    def _await_end(self, fault: Fault, one: Round) -> None:
        after_us = max(one.mended_us, one.withdrawn_us or 0)
        if fault.interrupts:
            ready = self.ear.status(
                lambda status: status.sent_us > after_us and status.ready and not _shows(fault, status), _PATIENCE_S
            )
            one.ready_us = None if ready is None else ready.sent_us
        else:
            one.ready_us = after_us
        judged = self.ear.verdict(
            lambda verdict: verdict.trigger_us > after_us and verdict.outcome is not Outcome.UNKNOWN, _PATIENCE_S
        )
        one.judged_us = None if judged is None else judged.published_us


@dataclass(frozen=True)
class Outcomes:
    """What is known in the end of a scene."""

    rounds: list[Round]
    verdicts: list[Verdict]
    """As they were consumed."""
    judgement: Judgement
    said: list[str]
    """What the station said of itself in the faults' windows, each once, and of a part of each reason there."""
    wrong: list[str]
    """PASSes that ought not to be."""
    unchecked: int
    """PASSes whose picture was not shown, or cannot be read."""
    taken: list[tuple[Verdict, int]]
    """Those whose picture tells when it was taken, with that time [us]."""

    def window(self, one: Round) -> list[Verdict]:
        """Return the parts that were triggered from the fault's beginning to its end."""
        until_us = one.over_us or SYSTEM_CLOCK.now_us()
        return [verdict for verdict in self.verdicts if one.injected_us <= verdict.trigger_us < until_us]

    def first_unknown_us(self, one: Round, reasons: frozenset[Reason]) -> int | None:
        """Return when the first part of the window was published as UNKNOWN for one of these reasons."""
        until_us = one.over_us or SYSTEM_CLOCK.now_us()
        times = [
            verdict.published_us
            for verdict in self.verdicts
            if verdict.reason in reasons and one.injected_us < verdict.published_us <= until_us
        ]
        return min(times, default=None)


def played(
    line_of: Callable[[Path], AbstractContextManager[Line]],
    play: Callable[[Scene], None],
    *,
    settings: Mapping[str, Any] | None = None,
    inspector: Callable[[Path], Sequence[str]] = lambda folder: (),
    under: Callable[[Path], AbstractContextManager[Sequence[str]]] = lambda folder: contextlib.nullcontext(()),
) -> Outcomes:
    """
    Run a station before a line, let *play* do its worst, and return what is known in the end.

    Args:
        line_of: given the scene's folder.
        settings: beside the scene's own.
        inspector, under: as StationProcess; each is given the scene's folder.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-f-")))
        line = stack.enter_context(line_of(folder))
        tree = {**_settings(folder), "cameras": [line.camera], **(settings or {})}
        prefix = stack.enter_context(under(folder))
        station = stack.enter_context(StationProcess(folder, tree, None, inspector=inspector(folder), under=prefix))
        station.wait_ready()
        books = Books(station, folder)
        stack.callback(books.kill_consumer)
        scene = Scene(station, folder, line, stack.enter_context(Ear(station.results, station.pictures)))
        books.start_consumer()
        with contextlib.nullcontext() if line.rate_hz is None else books.generating(line.rate_hz):
            play(scene)
            time.sleep(_BEFORE_S)
        line.still()
        time.sleep(_BEFORE_S)
        judgement = books.closed()
        verdicts = books.consumed()
        truths = _truths(scene, verdicts)
        return Outcomes(
            rounds=scene.rounds,
            verdicts=verdicts,
            judgement=judgement,
            said=[*_said(scene), *_details(scene, verdicts)],
            wrong=[fault for verdict, known in truths for fault in wrong_with(scene.line, verdict, known)],
            unchecked=sum(verdict.outcome is Outcome.PASS and not known for verdict, known in truths),
            taken=[(v, truth.taken_us) for v, known in truths for truth in known if truth.taken_us is not None],
        )


@contextlib.contextmanager
def pictures_line(folder: Path) -> Iterator[Line]:
    """Yield a line of sound and defective plates by turns: files whose names tell the truth, by software trigger."""
    pictures = folder / "plates"
    pictures.mkdir()
    originals = [pictures / f".{number}.png" for number in range(_DIFFERENT)]
    for number, path in enumerate(originals):
        cv2.imwrite(str(path), picture(7000 + number, *(() if number % 2 else (1 + number // 2 % 2,))))
    for number in range(_PICTURES):
        what = _SOUND if number % 2 else _DEFECT
        (pictures / f"{number:05d}-{what}.png").hardlink_to(originals[number % _DIFFERENT])
    for path in originals:
        path.unlink()
    camera = {
        "name": "cam1",
        "height": HEIGHT,
        "width": WIDTH,
        "trigger": "software",
        "max_trigger_delay_ms": 200,
        "slots": 8,
        "source": {"kind": "replay", "path": pictures},
    }
    yield Line(camera, _RATE_HZ, truth_of_plate, _truth_by_name)


def truth_of_plate(image: NDArray[np.uint8]) -> Truth:
    """A plate is grey 128; squares are of 220 or 40, ten pixels or more wide."""
    blurred = cv2.blur(image, (5, 5))
    return Truth(defect=bool(blurred.max() > 180 or blurred.min() < 80))


def _truth_by_name(verdict: Verdict) -> Truth | None:
    source = verdict.views[0].source if verdict.views else ""
    return Truth(defect=_DEFECT in source) if "-" in source else None


def _settings(folder: Path) -> dict[str, Any]:
    return {
        "bundle": {"path": kept_bundle(folder / "made"), "allow_unsigned": True},
        "engine_cache": folder / "engines",
        # Where it goes with the scene: a station that is killed leaves its sockets behind.
        "run_dir": folder / "run",
        "backend": {"threads": 1},
        "budget_ms": BUDGET_MS,
        "picture_rate_hz": 100.0,
        "start": "wait",
    }


def _shows(fault: Fault, status: Status) -> bool:
    return not status.ready if fault.seen is None else fault.seen(status)


def _said(scene: Scene) -> list[str]:
    """Return the states, details and events of the faults' windows, each once, in their order."""
    lines: dict[str, None] = {}
    for one in scene.rounds:
        until_us = one.over_us or SYSTEM_CLOCK.now_us()
        told = [(status.sent_us, line) for status in scene.ear.statuses for line in _lines(status)]
        told += [(audit.sent_us, f"audit {audit.event.value}: {audit.detail}") for audit in scene.ear.audits]
        inside = sorted(line for line in told if one.injected_us < line[0] < until_us)
        lines.update(dict.fromkeys(line.replace(str(scene.folder), "...") for _, line in inside))
    return list(lines)


def _details(scene: Scene, verdicts: Sequence[Verdict]) -> list[str]:
    """Return what the first part of each reason in the faults' windows was told of."""
    first: dict[Reason, str] = {}
    for one in scene.rounds:
        until_us = one.over_us or SYSTEM_CLOCK.now_us()
        for verdict in verdicts:
            if verdict.reason is not None and one.injected_us <= verdict.published_us <= until_us:
                first.setdefault(verdict.reason, f"part UNKNOWN({verdict.reason.value}): {verdict.detail}")
    return list(first.values())


def _lines(status: Status) -> Iterator[str]:
    alarms = ", ".join(alarm.value for alarm in status.alarms)
    yield f"status {status.state}: {status.detail}" + (f" (alarms: {alarms})" if alarms else "")
    for camera in status.cameras:
        if camera.state != "open":
            yield f"camera {camera.state}: {camera.detail}"


def _truths(scene: Scene, verdicts: Sequence[Verdict]) -> list[tuple[Verdict, list[Truth]]]:
    """Return each verdict with what is known of its picture: by its name, by the picture as the station shows it."""
    shown = {(header.epoch, header.seq): jpeg for header, jpeg in scene.ear.pictures}
    found = []
    for verdict in verdicts:
        known = (scene.line.told(verdict), _seen(scene.line, shown.get((verdict.epoch, verdict.seq))))
        found.append((verdict, [truth for truth in known if truth is not None]))
    return found


def _seen(line: Line, jpeg: bytes | None) -> Truth | None:
    return None if jpeg is None else line.truth(np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), 0), np.uint8))


def wrong_with(line: Line, verdict: Verdict, known: Sequence[Truth]) -> Iterator[str]:
    """Yield what is wrong with a PASS, by what is *known* of its picture."""
    if verdict.outcome is not Outcome.PASS:
        return
    for truth in known:
        if truth.defect:
            yield f"part {verdict.part}: PASS of a picture with a defect"
        if truth.taken_us is None:
            continue
        age_ms = (verdict.published_us - truth.taken_us) / 1000
        if age_ms > BUDGET_MS:
            yield f"part {verdict.part}: PASS of a picture {age_ms:.0f} ms old"
        # Of a line that asks for its pictures: what was taken before is another part's.
        early_ms = (verdict.trigger_us - truth.taken_us) / 1000
        if line.rate_hz is not None and early_ms > _BARCODE_MS:
            yield f"part {verdict.part}: PASS of a picture taken {early_ms:.0f} ms before its trigger"


def counted(verdicts: Sequence[Verdict]) -> str:
    """Return by outcome or reason how many there are."""
    counts = Counter((verdict.reason or verdict.outcome).value for verdict in verdicts)
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
