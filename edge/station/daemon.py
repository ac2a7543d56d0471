"""
``edge-inspectd``: the station, what the service manager sees.

Life cycle, in order: settings, run directory, sockets, signals, loop, end. Exit codes: edge/errors.py.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import zmq
from rich.console import Console

from edge.clock import SYSTEM_CLOCK
from edge.commandline import run
from edge.errors import ConfigurationError
from edge.settings import Daemon, Station
from edge.station.check import check
from edge.station.loop import Loop
from edge.station.publisher import Publisher
from edge.station.reporter import Reporter
from edge.station.supervisor import Supervisor
from edge.station.systemd import Notifier, watchdog_period_s
from edge.station.verdicts import Identity
from edge.station.wakeup import Wakeup

# What still waits for a reader when the station ends: its last verdicts and the status "stopped".
_LINGER_MS = 1000


def main(args: list[str] | None = None) -> int:
    """Run the daemon and return its exit code."""
    return run("edge-inspectd", Daemon, args, inspect)


def inspect(command: Daemon) -> int:
    """
    Inspect until told to stop.

    Raises:
        EdgeError: the station cannot start; says why in one line.
    """
    if sys.platform != "linux":
        raise ConfigurationError(f"edge-inspectd runs on Linux only, this is {sys.platform}; edge-subscribe runs here")
    station = Station.model_validate(command.model_dump(exclude={"config", "check", "once"}))
    if command.check:
        check(station, Console())
        return 0
    logging.basicConfig(level=logging.INFO, format="edge-inspectd: %(message)s")
    with _run_dir(station) as run_dir, contextlib.closing(Notifier()) as notifier:
        return _serve(station, run_dir, notifier, once=command.once)


def _serve(station: Station, run_dir: Path, notifier: Notifier, *, once: bool) -> int:
    # A new epoch at every start: without a journal nothing proves where the last run ended.
    identity = Identity(station.station, secrets.randbits(48))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    publisher = Publisher(context, station)
    supervisor = Supervisor(context, station, run_dir, SYSTEM_CLOCK)
    loop = Loop(
        station,
        identity,
        supervisor,
        publisher,
        Reporter(identity, publisher, notifier, SYSTEM_CLOCK, watchdog_period_s()),
        SYSTEM_CLOCK,
        Wakeup(publisher, supervisor, SYSTEM_CLOCK),
        once=once,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(loop, "stop_requested", True))
    try:
        return loop.run()
    finally:
        publisher.close(_LINGER_MS)
        context.destroy(_LINGER_MS)


@contextlib.contextmanager
def _run_dir(station: Station) -> Iterator[Path]:
    """
    Yield a new folder for the private sockets, removed at the end.

    Always a new one: ZeroMQ takes over the socket of another process without a word, and two stations that share a
    folder would take each other's inspectors.
    """
    try:
        if station.run_dir is not None:
            station.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="edge-", dir=station.run_dir)
    except OSError as error:
        raise ConfigurationError(
            f"key 'run_dir' = {station.run_dir}: {error.strerror}; choose another folder"
        ) from error
    with folder as name:
        yield Path(name)


if __name__ == "__main__":
    sys.exit(main())
