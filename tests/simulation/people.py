"""Who else talks to the station: people who pause it and change its recipe, and a consumer who reads it all again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from edge.records import Mode
from edge.requests import (
    AnyAnswer,
    AnyRequest,
    AskStatus,
    Expect,
    Ledger,
    Pause,
    Reload,
    Replay,
    Replayed,
    Selftest,
    UseRecipe,
)
from tests.simulation.invariants import InvariantBroken
from tests.simulation.truth import Asked

if TYPE_CHECKING:
    from tests.simulation.world import World

PEOPLE = b"people"
CONSUMER = b"consumer"

_PAGE = 200


class People:
    """Ask for something now and then, impatiently."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._asked = 0
        self._later()

    def _later(self) -> None:
        us = 1e6 * self._world.rng.expovariate(1 / self._world.weather.people_ask_s)
        self._world.timeline.after(us, self._ask)

    def _ask(self) -> None:
        self._later()
        self._asked += 1
        request = self._drawn({"version": 1, "id": f"people{self._asked}"})
        self._world.truth.seen[type(request).__name__] += 1
        self._world.truth.asked[request.id] = Asked(request)
        for _ in range(self._world.rng.choice((1, 1, 2))):
            self._world.ask(PEOPLE, request)

    def _drawn(self, head: dict[str, object]) -> AnyRequest:
        rng = self._world.rng
        kinds = ("recipe", "recipe", "recipe", "pause", "pause", "bundle", "selftest", "ledger", "status", "expect")
        kind = rng.choice(kinds)
        if kind == "recipe":
            name = rng.choice(("station", "fine", "coarse", "refused", "broken", "absent"))
            return UseRecipe(**head, name=name)  # type: ignore[arg-type]
        if kind == "pause":
            return Pause(**head, role="engineer", reason="belt", minutes=rng.choice((0.0, 0.005, 0.02)))  # type: ignore[arg-type]
        if kind == "expect":
            mode = rng.choice((Mode.CHALLENGE, Mode.GAUGE))
            names = (None, *(camera.name for camera in self._world.station.cameras))
            camera = names[self._asked % len(names)]
            return Expect(**head, part_id=None, mode=mode, camera=camera, seconds=rng.choice((0.0, 0.02, 0.5)))  # type: ignore[arg-type]
        if kind == "bundle":
            return Reload(**head, bundle=rng.choice((None, "/bundle/a", "/bundle/b")))  # type: ignore[arg-type]
        if kind == "selftest":
            return Selftest(**head)  # type: ignore[arg-type]
        return Ledger(**head, shifts=1) if kind == "ledger" else AskStatus(**head)  # type: ignore[arg-type]


class _Read(msgspec.Struct):
    """What a consumer looks at."""

    epoch: int
    seq: int
    part: int
    journaled: bool
    replayed: bool


_read = msgspec.json.Decoder(_Read)


class Consumer:
    """Reads the journal by pages from where it stopped, after each restart and at the end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._position = (0, 0)
        self._pages = 0
        self.done = False

    def begin(self) -> None:
        """Ask for the next page of the present run; a page that never came is asked for again by the next one."""
        self.done = False
        self._pages += 1
        epoch, seq = self._position
        request = Replay(version=1, id=f"page{self._pages}", epoch=epoch, seq=seq, limit=_PAGE)
        self._world.ask(CONSUMER, request)

    def answered(self, answer: AnyAnswer, payload: Sequence[bytes]) -> None:
        """Take a page: it goes on where the last one ended, or says what is missing between."""
        if not isinstance(answer, Replayed) or answer.id != f"page{self._pages}":
            return
        expected = self._position[1] + 1
        if answer.missing is not None:
            if answer.missing.last is None or answer.missing.first != expected:
                raise InvariantBroken("a_consumer_gets_everything", f"{answer.missing} at {self._position}")
            expected = answer.missing.last + 1
        for record in payload:
            verdict = _read.decode(record)
            if verdict.seq != expected or not (verdict.journaled and verdict.replayed):
                raise InvariantBroken("a_consumer_gets_everything", f"{verdict} where {expected} follows")
            self._world.truth.consumed.append((verdict.epoch, verdict.seq, verdict.part))
            expected += 1
        self._position = (answer.epoch, answer.seq)
        self.done = answer.end
        if not answer.end:
            self.begin()
