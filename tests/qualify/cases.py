"""
The faults of the fault table: how each is begun and ended.

Engines that spin, keep the interpreter lock or return no numbers are the real ones behind a stand-in that fails on
order (faulty.py); everything else is done to the real thing: processes are killed and stopped, a file system is filled,
the wall clock is set (for the station alone, by wallclock.c).
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge.clock import SYSTEM_CLOCK
from edge.records import Alarm, Reason
from tests.qualify.cameras import fired_gige_line, gige_line, rtsp_line
from tests.qualify.process import START_S
from tests.qualify.scenes import Fault, Line, Scene, pictures_line
from tests.support.made import once, run

HANG_S = 5.0
"""The default of hang_s."""
_HERE = Path(__file__).parent
_LATE = frozenset({Reason.LATE, Reason.OVERLOAD, Reason.ENGINE})
_GONE = frozenset({Reason.CAMERA, Reason.MISSED, Reason.LATE, Reason.OVERLOAD})


@dataclass(frozen=True)
class Case:
    """
    Attributes:
        line: what passes the station; given the scene's folder.
        inspector, under: as StationProcess; given the scene's folder.
        stops: SIGTERM in the midst of this fault is measured, too.
        midst_s: so long after its beginning.
    """

    fault: Fault
    line: Callable[[Path], AbstractContextManager[Line]] = pictures_line
    inspector: Callable[[Path], Sequence[str]] = lambda folder: ()
    under: Callable[[Path], AbstractContextManager[Sequence[str]]] = lambda folder: contextlib.nullcontext(())
    stops: bool = True
    midst_s: float = 1.0


def _signal(number: signal.Signals) -> Callable[[Scene], None]:
    def inject(scene: Scene) -> None:
        inspector = scene.station.inspector()
        assert inspector is not None, "there is no inspector"
        os.kill(inspector, number)

    return inject


def _order(told: str) -> Callable[[Scene], None]:
    return lambda scene: _replace(scene.folder / "order", told)


def _cancel(scene: Scene) -> None:
    (scene.folder / "order").unlink(missing_ok=True)


def _faulty(folder: Path) -> Sequence[str]:
    return (sys.executable, "-I", str(_HERE / "faulty.py"), str(folder / "order"))


@contextlib.contextmanager
def _on_a_small_disk(folder: Path) -> Iterator[Sequence[str]]:
    """Mount a file system that nobody else sees where the station keeps its state; somebody holds it over restarts."""
    (folder / "state").mkdir()
    mount = 'mount -t tmpfs -o size=32m none "$0" && echo mounted && exec sleep infinity'
    command = ("unshare", "--mount", "sh", "-c", mount, str(folder / "state"))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            if holder.stdout.readline() != b"mounted\n":
                raise PermissionError("a file system of its own cannot be mounted; run it as root")
            # Its files as the holder sees them: the station may be gone when the disk is emptied.
            (folder / "disk").symlink_to(f"/proc/{holder.pid}/root{folder}/state")
            yield ("nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--")
        finally:
            holder.kill()


def _filler(scene: Scene) -> Path:
    return scene.folder / "disk" / "filler"


def _fill(scene: Scene) -> None:
    with contextlib.suppress(OSError), _filler(scene).open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def _empty(scene: Scene) -> None:
    _filler(scene).unlink(missing_ok=True)


@contextlib.contextmanager
def _under_another_clock(folder: Path) -> Iterator[Sequence[str]]:
    """Give the station and its children a wall clock that can be set without disturbing anybody else."""
    source = _HERE / "wallclock.c"
    library = once("wallclock", (source.read_text(encoding="utf-8"),), partial(_compiled, source)) / "wallclock.so"
    (folder / "clock").write_bytes(struct.pack("=q", 0))
    yield ("env", f"LD_PRELOAD={library}", f"WALL_CLOCK_STEP={folder / 'clock'}")


def _compiled(source: Path, folder: Path) -> None:
    run("cc", "-shared", "-fPIC", "-O1", "-o", str(folder / "wallclock.so"), str(source))


def _step(seconds: int) -> Callable[[Scene], None]:
    """In place: the file is mapped."""

    def inject(scene: Scene) -> None:
        with (scene.folder / "clock").open("r+b", buffering=0) as file:
            file.write(struct.pack("=q", seconds))

    return inject


def _replace(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text, encoding="utf-8")
    path.with_suffix(".new").replace(path)


def _end(scene: Scene) -> None:
    scene.station.stop()


def _kill(scene: Scene) -> None:
    scene.station.kill()


def _start(scene: Scene) -> None:
    scene.station.start()


def _start_anew(scene: Scene) -> None:
    scene.station.kill()
    killed_us = SYSTEM_CLOCK.now_us()
    scene.station.start()
    scene.ear.status(lambda status: status.sent_us > killed_us, START_S)


# ---- cameras


def _peer(name: str) -> Callable[[Scene], None]:
    """Have the camera's process do that: start, kill, hang, go_on, lose, lose_no_more."""
    return lambda scene: getattr(scene.line.peer, name)()


ENDED = Fault("SIGTERM to the station, started again", _end, _start, 0.3, frozenset({Reason.STOPPED}), 1.5)
KILLED = Fault("SIGKILL of the station, started again", _kill, _start, 0.3, frozenset({Reason.RESTART}), None)
_NO_NUMBERS = Fault("NaN from both networks", _order("nan"), _cancel, 3.0, _LATE, 1.5)

STOPS = (
    Case(Fault("none", lambda scene: None, None, 0.0, frozenset(), None)),
    Case(Fault("it is just starting", _start_anew, None, 0.0, frozenset(), None), midst_s=0.0),
)
"""When it is stopped, beside the faults below."""
CASES = (
    Case(Fault("inspector killed", _signal(signal.SIGKILL), None, 0.0, _LATE, 1.0), stops=False),
    Case(Fault("inspector hung (SIGSTOP)", _signal(signal.SIGSTOP), None, 0.0, _LATE, HANG_S + 1.5)),
    Case(
        Fault(
            "inspector stands still for 2 s",
            _signal(signal.SIGSTOP),
            _signal(signal.SIGCONT),
            2.0,
            _LATE,
            None,
            interrupts=False,
        ),
        stops=False,
    ),
    Case(Fault("inspector spins in Python", _order("spins"), None, 0.0, _LATE, HANG_S + 1.5), inspector=_faulty),
    Case(
        Fault("native call keeps the interpreter lock", _order("holds"), None, 0.0, _LATE, HANG_S + 1.5),
        inspector=_faulty,
    ),
    Case(_NO_NUMBERS, inspector=_faulty),
    Case(
        Fault("disk full", _fill, _empty, 3.0, frozenset(), 2.0, lambda status: Alarm.JOURNAL_FAILING in status.alarms),
        under=_on_a_small_disk,
    ),
    Case(
        Fault("clock a day ahead", _step(86_400), _step(0), 3.0, frozenset(), None, interrupts=False),
        under=_under_another_clock,
        stops=False,
    ),
    Case(
        Fault("clock a day back", _step(-86_400), _step(0), 3.0, frozenset(), None, interrupts=False),
        under=_under_another_clock,
        stops=False,
    ),
    Case(Fault("RTSP server killed", _peer("kill"), _peer("start"), 4.0, _GONE, 1.5), line=rtsp_line, stops=False),
    Case(Fault("RTSP server hung (SIGSTOP)", _peer("hang"), _peer("go_on"), 4.0, _GONE, 1.5), line=rtsp_line),
    Case(Fault("GigE camera killed", _peer("kill"), _peer("start"), 4.0, _GONE, 2.0), line=gige_line, stops=False),
    Case(Fault("GigE camera hung (SIGSTOP)", _peer("hang"), _peer("go_on"), 4.0, _GONE, 2.0), line=gige_line),
    Case(Fault("fired GigE camera killed", _peer("kill"), _peer("start"), 4.0, _GONE, 3.0), line=fired_gige_line),
    Case(
        Fault("30 % of packets lost", _peer("lose"), _peer("lose_no_more"), 5.0, _GONE, None, interrupts=False),
        line=fired_gige_line,
    ),
    Case(ENDED, stops=False),
    Case(KILLED, stops=False),
)
