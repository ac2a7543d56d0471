"""A station as a process of its own, on one state directory: started, killed, started again, looked at from outside."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import zmq
from typing_extensions import Self

from edge.clock import SYSTEM_CLOCK
from edge.records import Status
from edge.rig import bundle_table, toml_from_tree
from edge.settings import DEMO_BUNDLE
from edge.wire import message_from_frames
from tests.qualify.inspector import Plan

_HERE = Path(__file__).parent
START_S = 60.0
_END_S = 10.0

SOFTWARE = {"name": "cam1", "source": {"kind": "synthetic", "seed": 7}, "trigger": "software"}
"""A camera that is fired by request."""
NUMBERED = {"name": "cam2", "source": {"kind": "synthetic", "seed": 8}, "trigger": "camera"}
"""A camera with a trigger of its own; only the stand-in has one of this kind."""
DEMO = {"bundle": bundle_table(DEMO_BUNDLE), "backend": {"threads": 1}}
"""The real inspector's: the bundle that ships, on one core."""


class StationProcess:
    """
    One station that can be killed and started again.

    Args:
        folder: of its state, sockets and log; a short path, for it holds Unix sockets.
        settings: the tree without endpoints, station and state_dir.
        plan: of the stand-in inspector; None = the real one.
        tcp: endpoints on free ports of the loopback instead of ipc.
        inspector: command of the inspector where there is no plan; none = the real one.
        under: command that the station's is appended to, and that must become it: ``env``, ``taskset``, ``unshare``.

    Attributes:
        results, masks, pictures, control: its endpoints.
        plan: of the next start.
        pid: of the running process.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        plan: Plan | None,
        *,
        tcp: bool = False,
        inspector: Sequence[str] = (),
        under: Sequence[str] = (),
    ) -> None:
        names = ("results", "masks", "pictures", "control")
        addresses = _free_addresses(len(names)) if tcp else [f"ipc://{folder}/{name}" for name in names]
        endpoints = dict(zip(names, addresses, strict=True))
        self.results, self.masks, self.control = endpoints["results"], endpoints["masks"], endpoints["control"]
        self.pictures = endpoints["pictures"]
        tree = {"station": "line1", "state_dir": folder / "state", **settings, "endpoints": endpoints}
        self._config = folder / "station.toml"
        self._config.write_text(toml_from_tree(tree), encoding="utf-8")
        self.log = folder / "station.log"
        self.plan = plan
        self._inspector, self._under = inspector, under
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the station was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it with the present ``plan``; returns at once."""
        command = [*self._under, sys.executable, "-I", str(_HERE / "serve.py"), str(self._config), *self._inspector]
        if self.plan is not None:
            told = msgspec.json.encode(self.plan).decode()
            command += [sys.executable, "-I", str(_HERE / "inspector.py"), told]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill it; returns when it is gone."""
        assert self._process is not None, "the station was not started"
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Ask it to end; return its exit code."""
        assert self._process is not None, "the station was not started"
        self._process.terminate()
        try:
            return self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def inspector(self) -> int | None:
        """Return the process id of the inspector, None while there is none."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        children = path.read_text().split() if path.exists() else []
        return int(children[0]) if children else None

    def wait_ready(self, timeout_s: float = START_S) -> int:
        """
        Return the monotonic time at which it first said that it is ready [us].

        Raises:
            TimeoutError: it does not; carries the last line of its log.
        """
        give_up = time.monotonic() + timeout_s
        with zmq.Context() as context, context.socket(zmq.SUB) as results:
            results.subscribe(b"status/")
            results.connect(self.results)
            while time.monotonic() < give_up and self.running:
                if not results.poll(100):
                    continue
                message = message_from_frames(results.recv_multipart())
                if isinstance(message, Status) and message.ready:
                    return SYSTEM_CLOCK.now_us()
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        what = f"not ready after {timeout_s:g} s" if self.running else "the station has ended"
        raise TimeoutError(f"{what}; its last line: {lines[-1] if lines else 'none'}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            self.kill() if error else self.stop()


def _free_addresses(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [f"tcp://127.0.0.1:{probe.getsockname()[1]}" for probe in probes]
