"""The short-lived child that tries a recipe or a bundle beside the line; never waited for."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from typing import IO

import msgspec

from edge.clock import Clock
from edge.inspector.report import Task, TrialReport
from edge.station.supervisor import watched

# Engines compiled, parity and reference frames, on a slow machine that inspects meanwhile.
_LIMIT_S = 180.0
# One that sits in a driver is not waited for any longer.
_DEATH_S = 0.25


class Trials:
    """
    One trial at a time.

    Attributes:
        alive_fd: readable when the trial has ended; -1 while there is none.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._report: IO[bytes] | None = None
        self._give_up_us = 0
        self.alive_fd = -1

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self, task: Task) -> None:
        """
        Start a trial.

        Raises:
            OSError: the process cannot be started.
        """
        report = tempfile.TemporaryFile()  # noqa: SIM115 - read when the child has ended
        told = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe could block the station
        told.write(msgspec.json.encode(task))
        told.seek(0)
        try:
            # Isolated: a module in the working directory must not stand in for one of the library's.
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", "edge.inspector.trial"], stdin=told, stdout=report, start_new_session=True
            )
            self.alive_fd = watched(process)
        except OSError:
            report.close()
            raise
        finally:
            told.close()
        self._process, self._report = process, report
        self._give_up_us = self._clock.now_us() + round(_LIMIT_S * 1e6)

    def ended(self) -> TrialReport | str | None:
        """Return the report when the trial has ended, one line when it has none, None while it runs."""
        if self._process is None or self._report is None:
            return None
        code = self._process.poll()
        if code is None:
            # Killed and not waited for: one that sits in a driver may take its time to die.
            if self._clock.now_us() >= self._give_up_us:
                self._process.kill()
            return None
        if self._clock.now_us() >= self._give_up_us:
            self.stop()
            return f"the trial did not end within {_LIMIT_S:g} s and was killed"
        self._report.seek(0)
        written = self._report.read()
        self.stop()
        try:
            report = msgspec.json.decode(written, type=TrialReport)
        except msgspec.DecodeError:
            return f"the trial ended with code {code} and without a report; see the log"
        return report if code == 0 else f"the trial ended with code {code}, whatever it reported; see the log"

    def stop(self) -> None:
        """Forget the trial; one that still runs is killed."""
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_DEATH_S)
        if self.alive_fd >= 0:
            os.close(self.alive_fd)
        if self._report is not None:
            self._report.close()
        self._process = self._report = None
        self.alive_fd = -1
