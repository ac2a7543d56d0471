"""The station's sockets and its trial child, without sockets and processes."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import zmq

from edge.inspector.report import Task, TrialReport
from edge.records import Audit, MaskHeader, Status, Verdict
from edge.requests import AnyRequest
from edge.station.publisher import Topics
from edge.wire import answer_from_frames, frame_from_request
from tests.simulation.inspector import hash_of

if TYPE_CHECKING:
    from tests.simulation.world import World

_NO_TOPICS = Topics([], [])


class Publisher:
    """Hands what is published to the witness; a kill may come before and after."""

    def __init__(self, world: World) -> None:
        self._world = world

    def verdict(self, verdict: Verdict) -> None:
        self._world.step()
        self._world.witness.published(verdict)
        self._world.step()

    def mask(self, header: MaskHeader, payload: bytes) -> None:
        self._world.step()

    def status(self, status: Status) -> None:
        self._world.step()
        self._world.witness.said(status)

    def audit(self, audit: Audit) -> None:
        self._world.step()
        self._world.witness.audited(audit)

    def subscriptions(self) -> Topics:
        return _NO_TOPICS


class _Received:
    """A part of a message, and by which way it came: none that could be cut."""

    def __init__(self, part: bytes) -> None:
        self.bytes = part

    def get(self, option: int) -> int:
        assert option == zmq.SRCFD
        return -1


class Router:
    """The control socket: the real Control stands on it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._requests: deque[list[bytes]] = deque()
        self._parts: list[bytes] = []

    @property
    def waits(self) -> bool:
        return bool(self._requests)

    def put(self, peer: bytes, request: AnyRequest) -> None:
        self._requests.append([peer, frame_from_request(request)])

    def get(self, option: int) -> int:
        if option == zmq.RCVMORE:
            return int(bool(self._parts))
        assert option == zmq.EVENTS
        return zmq.POLLIN if self._requests else 0

    def getsockopt_string(self, option: int) -> str:
        assert option == zmq.LAST_ENDPOINT
        return "tcp://127.0.0.1:1"

    def recv(self, copy: bool = True) -> Any:
        """Return the next part of the first message."""
        if not self._parts:
            self._world.step()
            self._parts = self._requests.popleft()
        part = self._parts.pop(0)
        return part if copy else _Received(part)

    def send_multipart(self, frames: Sequence[bytes], flags: int = 0) -> None:
        self._world.step()
        peer, *parts = frames
        answer = answer_from_frames(parts)
        asked = self._world.truth.asked.get(answer.id)
        if asked is not None:
            self._world.witness.answered(asked, answer)
        self._world.answered(peer, answer, parts[1:])

    def setsockopt(self, option: int, value: int) -> None: ...

    def bind(self, endpoint: str) -> None: ...


class Context:
    """Makes the one socket that Control asks for."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def socket(self, kind: int) -> Router:
        return self._router


class Notifier:
    def notify(self, *states: str) -> None: ...


class Trials:
    """A trial takes its time, then accepts, refuses, or dies."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._task: Task | None = None
        self._done = False

    @property
    def running(self) -> bool:
        return self._task is not None

    @property
    def waits(self) -> bool:
        return self._task is not None and self._done

    def start(self, task: Task) -> None:
        self._world.step()
        if self._world.rng.random() < 0.02:
            raise OSError(11, "Resource temporarily unavailable")
        self._task, self._done = task, False
        self._world.timeline.after(self._world.rng.randint(50_000, 800_000), self._end)

    def _end(self) -> None:
        self._done = True

    def ended(self) -> TrialReport | str | None:
        if self._task is None or not self._done:
            return None
        task, self._task = self._task, None
        if self._world.rng.random() < 0.1:
            self._world.truth.seen["trial_dies"] += 1
            return "the trial ended with code -9 and without a report; see the log"
        recipe: dict[str, Any] = json.loads(task.recipe)
        accepted = recipe["name"] != "refused"
        self._world.truth.seen["trial_accepts" if accepted else "trial_refuses"] += 1
        return TrialReport(
            bundle_hash="b",
            recipe_hash=hash_of(recipe["name"], task.bundle),
            class_names=("pits", "scratch"),
            accepted=accepted,
            text="as drawn",
            frames=(),
        )

    def stop(self) -> None:
        self._task = None
