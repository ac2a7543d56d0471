"""The inspector's process as the station sees it: it starts, speaks, obeys, and fails in every way."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from edge.inspector.link import (
    Begin,
    BundleTaken,
    CameraState,
    Captured,
    Failed,
    Fire,
    Inspect,
    Opening,
    Progress,
    Ready,
    RecipeTaken,
    SelfTest,
    SelfTested,
    Stop,
    TakeBundle,
    TakeRecipe,
    ToInspector,
    ToStation,
    ViewResult,
)
from edge.records import MaskReference, Outcome, Reason
from edge.settings import CameraSettings
from tests.simulation.poison import Where, poisoned
from tests.simulation.truth import Frame, FrameKey
from tests.simulation.weather import RECIPES

if TYPE_CHECKING:
    from tests.simulation.world import World

Fate = Literal["well", "failed", "dies", "hangs"]

_PROBE_US = 500_000
_BACKLOG_US = 90_000
_CLASSES = ("pits", "scratch")


@dataclass
class Lens:
    """A camera as the process has it open."""

    settings: CameraSettings
    state: str = "closed"
    open_no: int = 0
    frames: int = 0
    """Own count, of a camera that numbers none."""
    blind: bool = False


# Complete and not sent: labels are of no interest here, but a PASS without a complete mask is believed by nobody.
_MASK = MaskReference(bytes=0, sha256="", complete=True, sent=False)


def hash_of(recipe: str, bundle: str) -> str:
    """Return the hash of a recipe's working values with a bundle."""
    return hashlib.sha256(f"{recipe}|{bundle}".encode()).hexdigest()


class Process:
    """One inspector from its start to its end. Its camera threads live on beside a hung engine."""

    def __init__(self, world: World, number: int, recipe: bytes, bundle: str, resume_from: dict[str, int]) -> None:
        self._world = world
        self._rng: Random = world.rng
        self.number = number
        self.exit_code: int | None = None
        self.hung = False
        self.begun = False
        self.lenses = {c.name: Lens(c, frames=resume_from.get(c.name, 1) - 1) for c in world.station.cameras}
        self.frames: dict[FrameKey, Frame] = {}
        self._recipes: dict[str, float] = {}
        self._recipe = json.loads(recipe)["name"]
        self._bundle = bundle
        self._engine_free_us = 0
        self._said_us: dict[str, int] = {}
        self._take(self._recipe, bundle)
        fate = self._draw_fate()
        world.timeline.after(self._rng.randint(1_000, 50_000), lambda: self.say(self._made(Opening, stage="load")))
        world.timeline.after(self._rng.randint(60_000, 400_000), lambda: self._start(fate))
        for lens in self.lenses.values():
            world.timeline.after(self._rng.randint(10_000, 500_000), partial(self.open_camera, lens))

    # ---- life ------------------------------------------------------------------------------------------------

    def _draw_fate(self) -> Fate:
        if self._rng.random() >= self._world.weather.start_fails:
            return "well"
        fates: tuple[Fate, ...] = ("failed", "dies", "dies", "hangs")
        return self._rng.choice(fates)

    def _start(self, fate: Fate) -> None:
        if fate == "hangs":
            self.hang("start_hangs")
        elif fate == "dies":
            self.end(self._rng.choice((1, -11, 7)), "start_dies")
        elif fate == "failed":
            self.say(self._made(Failed, exit_code=self._rng.choice((3, 4)), text="as drawn"))
            self.end(3, "start_fails")
        elif self.exit_code is None:
            hash_ = hash_of(self._recipe, self._bundle)
            self.say(
                self._made(
                    Ready,
                    bundle_hash=self._bundle_hash(),
                    backend="simulated",
                    class_names=_CLASSES,
                    recipe_hash=hash_,
                    took_ms={"load": 1},
                    parity="simulated",
                )
            )
            self._probe()

    def end(self, code: int, trouble: str) -> None:
        if self.exit_code is None:
            self.exit_code = code
            self._world.truth.seen[trouble] += 1

    def hang(self, trouble: str) -> None:
        """Stop the engine thread for good."""
        if self.exit_code is None and not self.hung:
            self.hung = True
            self._world.truth.seen[trouble] += 1

    def _probe(self) -> None:
        if self._lives():
            self.say(self._made(Progress, part=None, camera="", stage="probe"))
            self._world.timeline.after(_PROBE_US, self._probe)

    def _lives(self) -> bool:
        return self.exit_code is None and not self.hung

    def say(self, message: ToStation, frame: Frame | None = None, recipe: str = "") -> None:
        if self.exit_code is None:
            self._world.supervisor.put(self, message, frame, recipe)

    def _made(self, kind: Callable[..., ToStation], **fields: Any) -> ToStation:
        return kind(inspector=self.number, **fields)

    # ---- cameras ---------------------------------------------------------------------------------------------

    def open_camera(self, lens: Lens) -> None:
        if lens.state != "open" and self.exit_code is None:
            lens.state = "open"
            lens.open_no += 1
            self._tell_camera(lens, "")

    def lose_camera(self, lens: Lens) -> None:
        if lens.state == "open" and self.exit_code is None:
            self._world.truth.seen["camera_lost"] += 1
            lens.state = "failed"
            self._tell_camera(lens, "cable")
            self._world.timeline.after(self._rng.randint(50_000, 3_000_000), lambda: self.open_camera(lens))

    def blink(self, lens: Lens) -> None:
        """Lose what passes for a while, without a word."""
        self._world.truth.seen["camera_blinks"] += 1
        lens.blind = True
        self._world.timeline.after(self._rng.randint(50_000, 1_500_000), lambda: setattr(lens, "blind", False))

    def _tell_camera(self, lens: Lens, text: str) -> None:
        numbered = self._world.numbered(lens.settings)
        name, state = lens.settings.name, lens.state
        self.say(self._made(CameraState, camera=name, state=state, text=text, numbered=numbered, counts=numbered))

    def capture(
        self, lens: Lens, number: int, physical: str, severity: float, tag: int | None, part: int | None = None
    ) -> None:
        """Take a picture now and report it; *number* is the camera's own, if it has any."""
        if self.exit_code is not None or lens.state != "open" or not self.begun:
            return
        weather, rng = self._world.weather, self._rng
        numbered = self._world.numbered(lens.settings)
        if lens.blind or rng.random() < weather.frame_lost:
            self._world.truth.seen["frame_lost"] += 1
            self._world.truth.pieces_lost.add(physical)
            return
        lens.frames += 1
        fault = rng.choice((Reason.CAMERA, Reason.GEOMETRY)) if rng.random() < weather.frame_faulty else None
        frame_no = number if numbered else lens.frames
        self._report(lens, frame_no, numbered, Frame(physical, severity, fault), tag, part)
        if part is None and self._world.station.parts.debounce_ms and rng.random() < weather.frame_repeated:
            self._world.line.bounce(self, lens, number, physical, severity, tag)

    def recapture(self, lens: Lens, number: int, physical: str, severity: float, tag: int | None) -> None:
        """Report a second edge of the same trigger."""
        if self.exit_code is None and lens.state == "open":
            self._world.truth.seen["frame_repeated"] += 1
            lens.frames += 1
            numbered = self._world.numbered(lens.settings)
            frame_no = number if numbered else lens.frames
            self._report(lens, frame_no, numbered, Frame(physical, severity, None, repeated=True), tag, None)

    def _report(
        self, lens: Lens, frame_no: int, numbered: bool, frame: Frame, tag: int | None, part: int | None
    ) -> None:
        captured = Captured(
            inspector=self.number,
            camera=lens.settings.name,
            part=part,
            open_no=lens.open_no,
            frame_no=frame_no,
            t_us=self._world.timeline.now_us(),
            tag=tag,
            source=str(frame_no),
            numbered=numbered,
            fault=frame.fault,
            detail="" if frame.fault is None else "as drawn",
        )
        self.frames[self.number, lens.settings.name, lens.open_no, frame_no] = frame
        delay_us = self._rng.randint(50, 2_000)
        if self._rng.random() < self._world.weather.frame_reported_late:
            self._world.truth.seen["frame_reported_late"] += 1
            delay_us = self._rng.randint(20_000, 200_000)
        self._in_order(lens, delay_us, captured, frame)

    def _in_order(self, lens: Lens, delay_us: int, captured: Captured, frame: Frame) -> None:
        """One thread reports a camera's frames: a slow report holds up those behind it."""
        now_us = self._world.timeline.now_us()
        said_us = max(now_us + delay_us, self._said_us.get(lens.settings.name, 0) + 1)
        self._said_us[lens.settings.name] = said_us
        self._world.timeline.after(said_us - now_us, lambda: self.say(captured, frame))

    # ---- orders ----------------------------------------------------------------------------------------------

    def obey(self, order: ToInspector) -> None:
        """React to an order, in time; what only frees a slot needs none."""
        after = self._world.timeline.after
        if isinstance(order, Begin):
            self.begun = True
        elif isinstance(order, Fire):
            for camera in order.cameras:
                after(self._rng.randint(500, 6_000), partial(self._fire, order, camera))
        elif isinstance(order, Inspect):
            self._queue(lambda: self._inspect(order))
        elif isinstance(order, TakeRecipe):
            self._queue(lambda: self._take_recipe(order))
        elif isinstance(order, TakeBundle):
            self._queue(lambda: self._take_bundle(order))
        elif isinstance(order, SelfTest):
            self._queue(self._selftest)
        elif isinstance(order, Stop) and not self.hung:
            after(self._rng.randint(1_000, 60_000), lambda: self.end(0, "stopped"))

    def _queue(self, work: Callable[[], None]) -> None:
        """The engine thread does one thing after the other."""
        now_us = self._world.timeline.now_us()
        service_us = self._rng.randint(1_000, 9_000)
        if self._rng.random() < self._world.weather.result_slow:
            self._world.truth.seen["result_slow"] += 1
            service_us = self._rng.randint(30_000, 250_000)
        if self._engine_free_us - now_us > _BACKLOG_US:
            service_us = 20  # What cannot be in time is not begun.
        self._engine_free_us = max(self._engine_free_us, now_us) + service_us
        self._world.timeline.after(self._engine_free_us - now_us, partial(self._do, work))

    def _do(self, work: Callable[[], None]) -> None:
        if self._lives():
            work()

    def _fire(self, order: Fire, camera: str) -> None:
        run = self._world.run
        part = run.parts.get(order.part)
        request = None if part is None else part.entry.request
        if self.exit_code is None and request is not None:
            lens = self.lenses[camera]
            number = self._world.line.next_number(camera)
            self.capture(lens, number, request, self._world.truth.asked[request].severity, None, order.part)

    def _inspect(self, order: Inspect) -> None:
        weather, rng = self._world.weather, self._rng
        frame = self.frames[self.number, order.camera, order.open_no, order.frame_no]
        if rng.random() < weather.result_never:
            self._world.truth.seen["result_never"] += 1
            return
        self.say(self._made(Progress, part=order.part, camera=order.camera, stage="classify"))
        outcome, reason = self._judged(frame, order.recipe_hash)
        result = self._result(order, order.part, outcome, reason)
        self.say(result, frame, order.recipe_hash)
        if rng.random() < weather.result_repeated:
            self._world.truth.seen["result_repeated"] += 1
            self._world.timeline.after(rng.randint(0, 200_000), lambda: self.say(result, frame, order.recipe_hash))
        if rng.random() < weather.result_stray:
            self._world.truth.seen["result_stray"] += 1
            stray = rng.choice((order.part + 1000, max(order.part - 50, 0), 2**40))
            self.say(self._result(order, stray, Outcome.PASS, None))

    def _judged(self, frame: Frame, recipe: str) -> tuple[Outcome, Reason | None]:
        if recipe not in self._recipes:
            return Outcome.UNKNOWN, Reason.RECIPE
        if self._rng.random() < self._world.weather.result_unknown:
            self._world.truth.seen["result_unknown"] += 1
            return Outcome.UNKNOWN, self._rng.choice((Reason.ENGINE, Reason.OVERLOAD, Reason.DRIFT))
        if self._rng.random() < self._world.weather.result_poisoned:
            self._world.truth.seen["result_poisoned"] += 1
            frame.poisoned = True
            where: Where = self._rng.choice(("scores", "health"))
            return poisoned().judged(where, self._rng.choice((math.nan, math.inf, -math.inf)))
        if self._rng.random() < self._world.weather.result_unreasoned:
            self._world.truth.seen["result_unreasoned"] += 1
            return Outcome.UNKNOWN, None
        return (Outcome.REJECT if frame.severity > self._recipes[recipe] else Outcome.PASS), None

    def _result(self, order: Inspect, part: int, outcome: Outcome, reason: Reason | None) -> ViewResult:
        return ViewResult(
            inspector=self.number,
            part=part,
            camera=order.camera,
            outcome=outcome,
            reason=reason,
            detail="" if reason is None else "as drawn",
            defects=(),
            defects_total=0,
            scores={},
            tiles=1,
            segmented=0,
            stage=None,
            timings_us={"classify": 1},
            brightness=None,
            sharpness=None,
            height=2,
            width=2,
            encoding="runs",
            mask=_MASK,
            payload=b"",
            sent_us=self._world.timeline.now_us(),
            open_no=order.open_no,
            frame_no=order.frame_no,
            bundle_hash=self._bundle_hash(),
        )

    # ---- recipe, bundle, self-test ---------------------------------------------------------------------------

    def _take(self, name: str, bundle: str) -> str:
        hash_ = hash_of(name, bundle)
        self._recipes[hash_] = self._world.truth.limits[hash_] = RECIPES[name]
        return hash_

    def _bundle_hash(self) -> str:
        return hashlib.sha256(self._bundle.encode()).hexdigest()

    def _take_recipe(self, order: TakeRecipe) -> None:
        if self._rng.random() < self._world.weather.change_refused:
            self.say(self._made(RecipeTaken, change=order.change, recipe_hash="", text="as drawn"))
            return
        self._recipe = json.loads(order.recipe)["name"]
        hash_ = self._take(self._recipe, self._bundle)
        self.say(self._made(RecipeTaken, change=order.change, recipe_hash=hash_, text=""))

    def _take_bundle(self, order: TakeBundle) -> None:
        if self._rng.random() < self._world.weather.change_refused:
            nothing = {"bundle_hash": "", "recipe_hash": "", "class_names": ()}
            self.say(self._made(BundleTaken, change=order.change, text="as drawn", **nothing))
            return
        # The old bundle's working values went with it: parts that still name them are UNKNOWN(recipe).
        self._recipes.clear()
        self._bundle, self._recipe = order.path, json.loads(order.recipe)["name"]
        hash_ = self._take(self._recipe, self._bundle)
        taken = {"bundle_hash": self._bundle_hash(), "recipe_hash": hash_, "class_names": _CLASSES}
        self.say(self._made(BundleTaken, change=order.change, text="", **taken))

    def _selftest(self) -> None:
        passed = self._rng.random() >= self._world.weather.selftest_fails
        self.say(self._made(SelfTested, passed=passed, text="" if passed else "frame 3 judged wrongly"))
