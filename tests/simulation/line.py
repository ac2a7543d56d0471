"""The line in front of the station: pieces of steel pass, cameras see them, a controller asks for parts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from edge.records import Mode
from edge.requests import AnyAnswer, Refused, Trigger
from edge.settings import CameraSettings
from edge.station.control import NOT_YET
from tests.simulation.inspector import Lens, Process
from tests.simulation.truth import Asked

if TYPE_CHECKING:
    from tests.simulation.world import World

SENDER = b"sender"

# Pallets come round again.
_TAGS = 24


class Line:
    """Goes on whatever becomes of the station."""

    def __init__(self, world: World, interval_us: int) -> None:
        self._world = world
        self._interval_us = interval_us
        cameras = world.station.cameras
        self._seeing = [c for c in cameras if c.trigger != "software"]
        self._fired = [c.name for c in cameras if c.trigger == "software"]
        self._joined = world.station.parts.join != "each"
        self._numbers = dict.fromkeys((c.name for c in cameras), 0)
        self._bounces = dict.fromkeys(self._numbers, 0)
        self._pieces = 0
        self._counter = world.rng.randint(0, 2**32 - 1)
        self.stopped = False
        world.timeline.after(interval_us, self._pass)

    def next_number(self, camera: str) -> int:
        """Return the next number of a camera that is fired."""
        self._numbers[camera] += 1
        return self._numbers[camera]

    # ---- pieces ----------------------------------------------------------------------------------------------

    def _pass(self) -> None:
        if self.stopped:
            return
        self._world.timeline.after(self._interval_us + self._world.rng.randint(-1_000, 1_000), self._pass)
        self._pieces += 1
        for camera in self._seeing:
            self._approach(camera, self._pieces)
        if self._fired:
            self._ask(self._pieces)

    def _approach(self, camera: CameraSettings, piece: int) -> None:
        """Let one camera see the piece; its own trigger input counts whether anybody reads it or not."""
        rng = self._world.rng
        number = 1_000 + piece + self._bounces[camera.name] - (camera.counter_offset if self._joined else 0)
        name = f"p{piece}" if self._joined else f"p{piece}.{camera.name}"
        skew_us = rng.randint(0, 800 * self._world.station.parts.window_ms) if self._joined else 0

        def see() -> None:
            process = self._world.process
            if process is not None:
                process.capture(process.lenses[camera.name], number, name, rng.random(), piece % _TAGS)

        self._world.timeline.after(skew_us, see)

    def bounce(
        self, process: Process, lens: Lens, number: int, physical: str, severity: float, tag: int | None
    ) -> None:
        """Let the trigger's edge come twice; the camera's counter counts both."""
        us = self._world.rng.randint(500, 1000 * self._world.station.parts.debounce_ms - 500)
        self._bounces[lens.settings.name] += 1
        self._world.timeline.after(us, lambda: process.recapture(lens, number + 1, physical, severity, tag))

    # ---- requests --------------------------------------------------------------------------------------------

    def _ask(self, piece: int) -> None:
        rng = self._world.rng
        self._counter = (self._counter + (rng.randint(2, 5) if rng.random() < 0.01 else 1)) % 2**32
        cameras = (rng.choice(self._fired),) if rng.random() < 0.2 else None
        part_id = f"steel{piece - 1 if rng.random() < 0.01 else piece}" if rng.random() < 0.5 else None
        request = Trigger(
            version=1,
            id=f"t{piece}",
            part_id=part_id,
            tag=piece % _TAGS,
            counter=self._counter if rng.random() < 0.9 else None,
            mode=rng.choices((Mode.PRODUCTION, Mode.CHALLENGE, Mode.GAUGE, Mode.SIMULATED), (90, 4, 3, 3))[0],
            cameras=cameras,
        )
        self._world.truth.asked[request.id] = asked = Asked(request, rng.random())
        self._send(asked)

    def _send(self, asked: Asked) -> None:
        """Send until an answer is heard; a careless sender sends once more."""
        rng = self._world.rng
        if asked.settled and not asked.heard:
            self._world.truth.seen["request_repeated"] += 1
        self._world.ask(SENDER, asked.request)
        if rng.random() < 0.01 or not asked.heard:
            self._world.timeline.after(rng.randint(30_000, 400_000), partial(self._send_again, asked))

    def _send_again(self, asked: Asked) -> None:
        if not asked.heard:
            self._send(asked)

    def answered(self, answer: AnyAnswer) -> None:
        if self._world.rng.random() < self._world.weather.answer_lost:
            self._world.truth.seen["answer_lost"] += 1
        elif not (isinstance(answer, Refused) and answer.code in NOT_YET):
            self._world.truth.asked[answer.id].heard = True
