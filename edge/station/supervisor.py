"""The inspector process seen from the station: started, watched, killed, started again; waited for only at the end."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import zmq

from edge.clock import Clock
from edge.errors import WireError
from edge.inspector.link import (
    CameraState,
    Captured,
    Spawn,
    Stop,
    ToInspector,
    ToStation,
    endpoints,
    receive_from_inspector,
    send,
)
from edge.settings import Station

log = logging.getLogger("edge.station")

INSPECTOR = (sys.executable, "-I", "-m", "edge.inspector.main")
"""Isolated: a module in the working directory must not stand in for one of the library's."""

# Orders that may wait for a hung inspector: more than there can be frames in slots.
_ORDERS_WAITING = 10_000
# At the end only: while the station works, nothing waits for the inspector. From when it was asked to stop; and one
# that sits in a driver may take its time to die, and is left to the service manager.
_SEE_OFF_S = 1.5
_DEATH_S = 0.25


@dataclass(frozen=True)
class Proven:
    """What was proven on this machine, and need not be proven again."""

    bundle_hash: str
    recipe_hash: str


@dataclass(frozen=True)
class BundleToStart:
    """
    The bundle that an inspector starts with.

    Attributes:
        path: its folder.
        hash: another one in that folder is refused; empty = any that was not proven to be another.
        releases: by bundle name, the highest release number that was ever active.
    """

    path: str
    hash: str = ""
    releases: Mapping[str, int] = field(default_factory=dict)


class Supervisor:
    """
    One inspector at a time, over its own pair of sockets.

    Args:
        command: what is started; another one must speak edge.inspector.link as the inspector does.

    Attributes:
        number: how many inspectors were started.
        inbox: what the present inspector says; poll it, then ``receive()``. None between two inspectors.
        alive_fd: readable when the present inspector's process has ended.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        station: Station,
        run_dir: Path,
        clock: Clock,
        command: Sequence[str] = INSPECTOR,
    ) -> None:
        self._context = context
        self._command = list(command)
        self._station = station
        self._run_dir = run_dir
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: zmq.Socket[bytes] | None = None
        self._failures = 0
        self._killed = False
        self._stop_us: int | None = None
        self.number = 0
        self.inbox: zmq.Socket[bytes] | None = None
        self.alive_fd = -1
        self.heard_us = 0
        self.start_at_us: int | None = clock.now_us()

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self, recipe: bytes, bundle: BundleToStart, resume_from: dict[str, int], proven: Proven | None) -> None:
        """
        Start the next inspector; it says on ``inbox`` how it gets on. One that cannot be started has ended.

        Args:
            recipe: the active RecipeFile as JSON.
            bundle: the active one, or what is used in its place.
            resume_from: by camera that was open in this run, the first frame number that was not reported yet.
            proven: what an earlier inspector has proven; a bundle of another hash is refused then.
        """
        self.number += 1
        self.start_at_us = None
        self.heard_us = self._clock.now_us()
        self._killed = False
        to_inspector, to_station = endpoints(self._run_dir, self.number)
        spawn = Spawn(
            inspector=self.number,
            station=self._station.model_dump_json(),
            to_inspector=to_inspector,
            to_station=to_station,
            parent=os.getpid(),
            recipe=recipe,
            bundle=bundle.path,
            resume_from=resume_from,
            bundle_hash=bundle.hash if proven is None else proven.bundle_hash,
            releases=dict(bundle.releases),
            proven_bundle=None if proven is None else proven.bundle_hash,
            proven_recipe=None if proven is None else proven.recipe_hash,
        )
        try:
            self._bind(to_inspector, to_station)
            self._spawn(msgspec.json.encode(spawn))
        except (OSError, zmq.ZMQError) as error:
            log.error("inspector %d cannot be started: %s", self.number, error)
            self._forget()

    def _bind(self, to_inspector: str, to_station: str) -> None:
        # Somebody may have emptied the folder for temporary files in the meantime.
        self._run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._orders = self._context.socket(zmq.PUSH)
        self._orders.sndhwm = _ORDERS_WAITING
        self._orders.linger = 0
        self._orders.bind(to_inspector)
        self.inbox = self._context.socket(zmq.PULL)
        self.inbox.rcvhwm = 0
        self.inbox.bind(to_station)

    def _spawn(self, told: bytes) -> None:
        with tempfile.TemporaryFile() as file:  # A pipe that is full would block the station.
            file.write(told)
            file.seek(0)
            # A session of its own: Ctrl-C in a terminal is for the station, which sees the inspector off.
            process = subprocess.Popen(self._command, stdin=file, start_new_session=True)
        self.alive_fd = watched(process)
        self._process = process

    def receive(self) -> ToStation | None:
        """Return the next message of the present inspector, None when there is none."""
        if self.inbox is None:
            return None
        try:
            message = receive_from_inspector(self.inbox)
        except zmq.Again:
            return None
        except WireError as error:
            log.error("inspector %d is replaced: %s", self.number, error)
            self.kill()
            return None
        # A camera's thread lives on beside a hung engine: only the engine thread's word is a sign of life.
        if not isinstance(message, (Captured, CameraState)):
            self.heard_us = self._clock.now_us()
        return message

    def order(self, message: ToInspector) -> bool:
        """Send an order; False when there is nobody to take it."""
        if self._orders is None:
            return False
        try:
            send(self._orders, message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def silent_s(self) -> float:
        """Return for how long the inspector has said nothing [s]."""
        return (self._clock.now_us() - self.heard_us) / 1e6

    def proved(self) -> None:
        """Note that the present inspector does its work: if it fails, the next one is started at once."""
        self._failures = 0

    def stop(self) -> None:
        """Ask the inspector to end; it is not waited for."""
        if self._stop_us is None:
            self._stop_us = self._clock.now_us()
        self.order(Stop())

    def see_off(self) -> None:
        """Let the inspector end that was asked to stop, kill it when its time is over, and forget it."""
        if self._process is None:
            return
        asked_us = self._clock.now_us() if self._stop_us is None else self._stop_us
        try:
            self._process.wait(max(0.0, _SEE_OFF_S - (self._clock.now_us() - asked_us) / 1e6))
        except subprocess.TimeoutExpired:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_DEATH_S)
        self._forget()

    def kill(self) -> None:
        """Kill the inspector; its end is seen later, like any other. Killing it again does nothing."""
        if self._process is not None and not self._killed:
            self._killed = True
            self._process.kill()

    def ended(self) -> int | None:
        """Return the exit code when the inspector has ended, None while it runs or when there is none."""
        return None if self._process is None else self._process.poll()

    def bury(self) -> None:
        """Forget an inspector that has ended and set when the next starts: at once, then with a doubling pause."""
        if self._process is not None:
            self._process.wait()
        self._forget()

    def _forget(self) -> None:
        self._process = None
        if self.alive_fd >= 0:
            os.close(self.alive_fd)
        self.alive_fd = -1
        for link in (self._orders, self.inbox):
            if link is not None:
                link.close(0)
        self._orders = self.inbox = None
        for address in endpoints(self._run_dir, self.number):
            Path(address.removeprefix("ipc://")).unlink(missing_ok=True)
        self.start_at_us = self._clock.now_us() + round(self._pause_s() * 1e6)
        self._failures += 1

    def _pause_s(self) -> float:
        if self._failures == 0:
            return 0.0
        # Bounded: after some thousand failures the power would be no number any more.
        return min(self._station.retry_s * 2.0 ** min(self._failures - 1, 30), self._station.retry_limit_s)


def watched(process: subprocess.Popen[bytes]) -> int:
    """
    Return a descriptor that is readable when *process*, just started, has ended.

    Raises:
        OSError: there is none left; the process was killed, since nobody would see its end.
    """
    try:
        return os.pidfd_open(process.pid)
    except OSError:
        process.kill()
        process.wait()
        raise
