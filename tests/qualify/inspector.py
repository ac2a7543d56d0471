"""
A stand-in for process two: it speaks edge.inspector.link as the inspector does, sees nothing, and fails as it is told.

    python -I inspector.py '{"service_us": 2000, "rate_hz": 50}'

Started by the station through serve.py. Figures driven by it are the station's and the link's alone.
"""

from __future__ import annotations

import ctypes
import heapq
import json
import os
import signal
import sys
import threading
import time
from typing import Literal

import msgspec
import zmq

from edge.clock import SYSTEM_CLOCK
from edge.inspector.link import (
    Answered,
    Begin,
    CameraState,
    Captured,
    Discard,
    Fire,
    Inspect,
    Opening,
    Progress,
    Ready,
    RecipeTaken,
    SelfTest,
    SelfTested,
    Spawn,
    Stop,
    TakeRecipe,
    ToStation,
    ViewResult,
    receive_from_station,
    send,
)
from edge.records import MaskReference, Outcome

_PR_SET_PDEATHSIG = 1
_PROBE_US = 500_000
_FOREVER_US = 2**62
_KEPT_S = 1.0
# Between two calls that hold the lock: without it the camera's thread would get a turn by luck only.
_FREE_S = 0.02
_HASH = "5" * 64
# Every tenth part is a REJECT: what is always the same proves nothing about order.
_REJECT_EVERY = 10


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the stand-in does."""

    service_us: int | None = 0
    """From the order to inspect to the result; None = there is never a result."""
    rate_hz: float | None = None
    """Of the cameras that trigger by themselves, each with a thread of its own; None = as fast as consumed."""
    in_hand: int = 16
    """Frames that a camera without a rate has out at a time."""
    engine: Literal["works", "spins", "holds"] = "works"
    """Once it has begun: works; never returns from Python code; makes C calls that hold the interpreter lock."""
    hold_us: int = 300_000
    """Length of such a call."""


class Camera:
    """Numbered frames of one camera."""

    def __init__(self, inspector: int, name: str, first: int) -> None:
        self._inspector = inspector
        self._name = name
        self._frame = first - 1

    def report(self, to_station: zmq.Socket[bytes], t_us: int, part: int | None = None) -> None:
        """Say on the thread's own socket that a frame was taken at that time; *part*: the one it was fired for."""
        self._frame += 1
        send(
            to_station,
            Captured(
                inspector=self._inspector,
                camera=self._name,
                part=part,
                open_no=1,
                frame_no=self._frame,
                t_us=t_us,
                tag=None,
                source=str(self._frame),
                numbered=True,
                fault=None,
                detail="",
            ),
        )


class StandIn:
    """One stand-in process; used by its main thread, which plays the engine's."""

    def __init__(self, spawn: Spawn, plan: Plan) -> None:
        self._spawn = spawn
        self._plan = plan
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._orders = self._context.socket(zmq.PULL)
        self._orders.connect(spawn.to_inspector)
        self._to_station = self._pusher()
        settings = {camera["name"]: camera for camera in json.loads(spawn.station)["cameras"]}
        self._cameras = {name: Camera(spawn.inspector, name, spawn.resume_from.get(name, 1)) for name in settings}
        self._own = [name for name, camera in settings.items() if camera["trigger"] != "software"]
        self._waiting: list[tuple[int, int, Inspect]] = []
        self._probe_us = 0
        self._begun = self._stopping = False

    def run(self) -> None:
        """Get ready, then do as planned until told to stop."""
        number = self._spawn.inspector
        self._say(Opening(inspector=number, stage="stand-in"))
        self._say(
            Ready(
                inspector=number,
                bundle_hash=_HASH,
                backend="stand-in",
                class_names=("mark",),
                recipe_hash=_HASH,
                took_ms={"load": 0},
                parity="stand-in",
            )
        )
        for name in self._cameras:
            self._say(CameraState(inspector=number, camera=name, state="open", text="", numbered=True, counts=False))
        while not self._stopping:
            self._turn()
        self._context.destroy(linger=100)

    def _turn(self) -> None:
        if self._begun and self._plan.engine == "spins":
            _spin()
        if self._begun and self._plan.engine == "holds":
            ctypes.PyDLL(None).usleep(self._plan.hold_us)
            time.sleep(_FREE_S)
        self._orders.poll(self._wait_ms())
        while self._orders.poll(0):
            self._obey()
        self._give_results()
        if SYSTEM_CLOCK.now_us() >= self._probe_us:
            self._probe_us = SYSTEM_CLOCK.now_us() + _PROBE_US
            self._say(Progress(inspector=self._spawn.inspector, part=None, camera="", stage="probe"))

    def _wait_ms(self) -> int:
        due_us = min(self._probe_us, self._waiting[0][0] if self._waiting else _FOREVER_US)
        return max(0, (due_us - SYSTEM_CLOCK.now_us() + 999) // 1000)

    def _obey(self) -> None:
        order = receive_from_station(self._orders)
        if isinstance(order, Inspect):
            self._take(order)
        elif isinstance(order, Fire):
            for name in order.cameras:
                self._cameras[name].report(self._to_station, SYSTEM_CLOCK.now_us(), order.part)
        elif isinstance(order, Begin):
            self._begin()
        elif isinstance(order, (Answered, Discard)):
            self._free(order)
        elif isinstance(order, TakeRecipe):
            taken = RecipeTaken(inspector=self._spawn.inspector, change=order.change, recipe_hash=_HASH, text="")
            self._say(taken)
        elif isinstance(order, SelfTest):
            self._say(SelfTested(inspector=self._spawn.inspector, passed=True, text="stand-in"))
        elif isinstance(order, Stop):
            self._stopping = True

    def _begin(self) -> None:
        self._begun = True
        for name in self._own:
            if self._plan.rate_hz is not None:
                threading.Thread(target=self._stream, args=(name, self._plan.rate_hz), daemon=True).start()
                continue
            for _ in range(self._plan.in_hand):
                self._cameras[name].report(self._to_station, SYSTEM_CLOCK.now_us())

    def _stream(self, name: str, rate_hz: float) -> None:
        """
        Report at an even pace. The camera stamps each frame and keeps those of the last second: a thread that had no
        turn reports them later, with their own times.
        """
        to_station = self._pusher()
        due_s = time.monotonic()
        while True:
            due_s = max(due_s + 1 / rate_hz, time.monotonic() - _KEPT_S)
            time.sleep(max(0.0, due_s - time.monotonic()))
            self._cameras[name].report(to_station, int(1e6 * due_s))

    def _free(self, order: Answered | Discard) -> None:
        """A frame's slot is free: a camera without a rate takes the next."""
        frames = order.frames if isinstance(order, Answered) else (order.frame,)
        for frame in frames:
            if frame.camera in self._own and self._plan.rate_hz is None:
                self._cameras[frame.camera].report(self._to_station, SYSTEM_CLOCK.now_us())

    def _take(self, order: Inspect) -> None:
        if self._plan.service_us is None:
            return
        now_us = SYSTEM_CLOCK.now_us()
        self._say(Progress(inspector=self._spawn.inspector, part=order.part, camera=order.camera, stage="classify"))
        heapq.heappush(self._waiting, (now_us + self._plan.service_us, order.part, order))

    def _give_results(self) -> None:
        while self._waiting and self._waiting[0][0] <= SYSTEM_CLOCK.now_us():
            self._say(self._result(heapq.heappop(self._waiting)[2]))

    def _result(self, order: Inspect) -> ViewResult:
        return ViewResult(
            inspector=self._spawn.inspector,
            part=order.part,
            camera=order.camera,
            outcome=Outcome.PASS if order.part % _REJECT_EVERY else Outcome.REJECT,
            reason=None,
            detail="",
            defects=(),
            defects_total=0,
            scores={"mark": 0.0},
            tiles=1,
            segmented=0,
            stage=None,
            timings_us={"classify": self._plan.service_us or 0},
            brightness=None,
            sharpness=None,
            height=1,
            width=1,
            encoding="runs",
            # Complete and not sent: a PASS without a complete mask is believed by nobody.
            mask=MaskReference(bytes=0, sha256="", complete=True, sent=False),
            payload=b"",
            sent_us=SYSTEM_CLOCK.now_us(),
            open_no=order.open_no,
            frame_no=order.frame_no,
            bundle_hash=_HASH,
        )

    def _say(self, message: ToStation) -> None:
        send(self._to_station, message)

    def _pusher(self) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.PUSH)
        socket.sndhwm = 0
        socket.connect(self._spawn.to_station)
        return socket


def _spin() -> None:
    while True:
        pass


def main() -> None:
    """Run one stand-in, told by the station on standard input and by its plan as the first argument."""
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    spawn = msgspec.json.decode(sys.stdin.buffer.read(), type=Spawn)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == spawn.parent:
        StandIn(spawn, plan).run()


if __name__ == "__main__":
    main()
