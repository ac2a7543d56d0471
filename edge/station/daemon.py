"""
``edge-inspectd``: the station, what the service manager sees.

Life cycle, in order: wait if starts before came to nothing, settings, run directory, cores, journal, sockets, signals,
loop, end. Exit codes: edge/errors.py.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import FrameType

import zmq
from rich.console import Console

from edge.calibration import calibrated, read_calibration_of
from edge.clock import SYSTEM_CLOCK
from edge.commandline import run
from edge.errors import ConfigurationError
from edge.inspector.link import endpoints
from edge.settings import Daemon, Station, refuse_shared_name, service_state_dir, state_dir_of
from edge.station.challenges import Challenges
from edge.station.changes import Changes
from edge.station.check import check
from edge.station.control import Control
from edge.station.journal import open_journal
from edge.station.log import logged
from edge.station.loop import Loop
from edge.station.maintenance import Maintenance
from edge.station.nojournal import NoJournal, Records
from edge.station.placement import placed
from edge.station.publisher import Publisher
from edge.station.reporter import Reporter
from edge.station.scribe import Scribe
from edge.station.starts import Starts, wait_for_turn
from edge.station.store import longest_read_s
from edge.station.supervisor import INSPECTOR, Supervisor
from edge.station.systemd import Notifier, extension, watchdog_period_s
from edge.station.trials import Trials
from edge.station.verdicts import Identity
from edge.station.wakeup import Wakeup

log = logging.getLogger("edge.station")

# What still waits for a reader when the station ends: its last verdicts and the status "stopped".
_LINGER_MS = 500
_STDERR = 2
# Ended by SIGTERM before it had done what it was asked for, as a shell says it.
_TERMINATED = 128 + signal.SIGTERM
# As TimeoutStartSec of the unit: what a start may take beside reading its journal.
_START_S = 180.0
# Measured: a commit took 3.5 ms behind a busy loop with Python's own 5 ms, 0.9 ms with this.
_SWITCH_S = 0.0005


class _Ended(BaseException):
    """SIGTERM came before there was a loop that could end in order: nothing is in hand, the start is given up."""


def main(args: list[str] | None = None) -> int:
    """Run the daemon; return the exit code."""
    with contextlib.closing(Notifier()) as notifier:
        scribe = Scribe()
        starts = Starts(service_state_dir() if notifier.present else None, SYSTEM_CLOCK, scribe)
        body = partial(inspect, notifier=notifier, starts=starts, scribe=scribe)
        code = 0 if notifier.present else _TERMINATED
        with contextlib.suppress(_Ended), _ends_as_told():
            if _may_begin(starts, notifier):
                code = run("edge-inspectd", Daemon, args, body)
        if code == 0 and not starts.forgotten:
            starts.forget()
            scribe.close()
    return code


def _may_begin(starts: Starts, notifier: Notifier) -> bool:
    """Wait until it is this start's turn, and count it; return False if told to stop."""
    with logged("edge-inspectd"):
        goes_on = wait_for_turn(starts, notifier)
        if goes_on:
            starts.begin()
    return goes_on


@contextlib.contextmanager
def _ends_as_told() -> Iterator[None]:
    """Until the loop sees to signals itself, take SIGTERM for the end of a start, not for one that failed."""

    def end(number: int, frame: FrameType | None) -> None:
        raise _Ended

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def inspect(command: Daemon, notifier: Notifier, starts: Starts, scribe: Scribe) -> int:
    """
    Inspect until told to stop.

    Raises:
        EdgeError: the station cannot start; says why in one line.
    """
    if sys.platform != "linux":
        raise ConfigurationError(f"edge-inspectd runs on Linux only, this is {sys.platform}; edge-subscribe runs here")
    try:
        return _inspect(command, notifier, starts, scribe)
    except _Ended:
        # Who asked for something that has an end, and waits for its result, has got none.
        if command.check or command.once:
            return _TERMINATED
        raise


def _inspect(command: Daemon, notifier: Notifier, starts: Starts, scribe: Scribe) -> int:
    station = Station.model_validate(command.model_dump(exclude={"config", "check", "once"}))
    refuse_shared_name(command.config)
    if command.check:
        check(station, Console())
        return 0
    if notifier.present:
        # A watchdog ends a station that hangs by SIGABRT: the log says where each thread stood.
        faulthandler.enable(_STDERR)
    with logged("edge-inspectd"), _run_dir(station) as run_dir:
        try:
            code = serve(station, run_dir, notifier, once=command.once, starts=starts, scribe=scribe)
            if code == 0:
                starts.forget()
        finally:
            if not scribe.close():
                log.warning(
                    "the disk has not taken all of the small files of %s: not waited for", state_dir_of(station)
                )
    return code


def serve(
    station: Station,
    run_dir: Path,
    notifier: Notifier,
    *,
    once: bool,
    inspector: Sequence[str] = INSPECTOR,
    starts: Starts | None = None,
    scribe: Scribe | None = None,
) -> int:
    """
    Run one station until it ends; return the exit code.

    Args:
        run_dir: an empty folder for the private sockets.
        inspector: command of process two.
        starts: of the service, for its alarm; None = by hand.
        scribe: of small files; None = the loop writes them.
    """
    # The journal's threads take the interpreter lock in turns with the loop: shorter turns, shorter waits for a commit.
    sys.setswitchinterval(_SWITCH_S)
    calibration = read_calibration_of(station)
    station = calibrated(station, calibration)
    folder = state_dir_of(station)
    with placed(station), _journal(station, folder, notifier) as journal:
        identity = Identity(station.station, journal.epoch)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            publisher = Publisher(context, station)
            control = Control(context, station.endpoints.control, SYSTEM_CLOCK)
            supervisor = Supervisor(context, station, run_dir, SYSTEM_CLOCK, inspector)
            trials = Trials(SYSTEM_CLOCK)
            reporter = Reporter(identity, publisher, notifier, SYSTEM_CLOCK, watchdog_period_s())
            kept = None if isinstance(journal, NoJournal) else folder
            changes = Changes(station, kept, trials, reporter, SYSTEM_CLOCK, supervisor.order)
            sockets = (publisher.results, publisher.masks, control.socket)
            wakeup = Wakeup(sockets, journal, supervisor, trials, SYSTEM_CLOCK)
            loop = Loop(
                station,
                identity,
                supervisor,
                publisher,
                control,
                reporter,
                journal,
                changes,
                Maintenance(kept, SYSTEM_CLOCK, reporter),
                SYSTEM_CLOCK,
                wakeup,
                wakeup.for_journal,
                starts=starts,
                calibration=calibration,
                challenges=Challenges(station, kept, SYSTEM_CLOCK, reporter, lambda: journal.ledger.shifts, scribe),
                once=once,
            )
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: setattr(loop, "stop_requested", True))
            try:
                code = loop.run()
            finally:
                wakeup.close()
        finally:
            context.destroy(_LINGER_MS)
        # Every part was answered: only what went wrong on the way to the disk can still make a new epoch necessary.
        journal.close(clean=True)
        return code


@contextlib.contextmanager
def _journal(station: Station, folder: Path, notifier: Notifier) -> Iterator[Records]:
    """Open the journal and start its threads; what was not closed clean by then is closed as it is."""
    if station.journal.sync == "off":
        yield NoJournal()
        return
    notifier.notify(extension(_START_S + longest_read_s(folder)))
    journal = open_journal(folder, station.journal, SYSTEM_CLOCK)
    journal.start()
    with contextlib.ExitStack() as unless_closed:
        unless_closed.callback(journal.close, clean=False)
        yield journal
        unless_closed.pop_all()


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
        # The last inspector of some years, not the first, must still find room in a socket's path.
        endpoints(Path(name), inspector=9_999_999)
        yield Path(name)


if __name__ == "__main__":
    sys.exit(main())
