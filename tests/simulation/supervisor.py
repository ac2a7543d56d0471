"""What the loop knows the inspector by: it starts processes, hears them and tells them what to do."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from edge.inspector.link import CameraState, Captured, Stop, ToInspector, ToStation
from tests.simulation.inspector import Process
from tests.simulation.truth import Frame

if TYPE_CHECKING:
    from edge.station.supervisor import BundleToStart, Proven
    from tests.simulation.world import World


class Supervisor:
    """Stands in for edge.station.supervisor; the back-off is the same."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._process: Process | None = None
        self._inbox: deque[tuple[ToStation, Frame | None, str]] = deque()
        self._said: deque[tuple[ToStation, Frame | None, str]] = deque(maxlen=30)
        self._failures = 0
        self.number = 0
        self.start_at_us: int | None = world.timeline.now_us()
        self.heard_us = self.start_at_us

    @property
    def process(self) -> Process | None:
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def waits(self) -> bool:
        """Something is to be looked at without waiting: a message, or an end."""
        return bool(self._inbox) or (self._process is not None and self._process.exit_code is not None)

    def start(self, recipe: bytes, bundle: BundleToStart, resume_from: dict[str, int], proven: Proven | None) -> None:
        self._world.step()
        self.number += 1
        self.start_at_us = None
        self.heard_us = self._world.timeline.now_us()
        self._process = Process(self._world, self.number, recipe, bundle.path, resume_from)

    def put(self, process: Process, message: ToStation, frame: Frame | None, recipe: str) -> None:
        """Take what a process says; nobody listens to one that is buried. Now and then an old message comes again."""
        if process is not self._process:
            return
        if self._said and self._world.rng.random() < self._world.weather.message_stale:
            stale = self._world.rng.choice(self._said)
            if stale[0].inspector != self.number:
                self._world.truth.seen["message_stale"] += 1
                self._inbox.append(stale)
        self._said.append((message, frame, recipe))
        self._inbox.append((message, frame, recipe))

    def receive(self) -> ToStation | None:
        self._world.step()
        if not self._inbox:
            return None
        message, frame, recipe = self._inbox.popleft()
        if not isinstance(message, (Captured, CameraState)):
            self.heard_us = self._world.timeline.now_us()
        if message.inspector == self.number:
            self._world.witness.heard(message, frame, recipe)
        return message

    def order(self, message: ToInspector) -> bool:
        self._world.step()
        if self._process is None:
            return False
        self._world.witness.ordered(self.number, message)
        if self._process.exit_code is None:
            self._process.obey(message)
        return True

    def silent_s(self) -> float:
        return (self._world.timeline.now_us() - self.heard_us) / 1e6

    def proved(self) -> None:
        self._failures = 0

    def stop(self) -> None:
        self.order(Stop())

    def see_off(self) -> None:
        self._world.step()
        self._process = None

    def kill(self) -> None:
        self._world.step()
        process = self._process
        if process is not None:
            self._world.timeline.after(self._world.rng.randint(100, 5_000), lambda: process.end(-9, "killed"))

    def ended(self) -> int | None:
        return None if self._process is None else self._process.exit_code

    def bury(self) -> None:
        self._world.step()
        self._world.witness.buried()
        self._process = None
        self._inbox.clear()
        pause_s = 0.0
        if self._failures:
            retry_s, limit_s = self._world.station.retry_s, self._world.station.retry_limit_s
            pause_s = min(retry_s * 2.0 ** (self._failures - 1), limit_s)
        self.start_at_us = self._world.timeline.now_us() + round(pause_s * 1e6)
        self._failures += 1
