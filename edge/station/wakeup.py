"""What the station's loop sleeps on: its sockets, the journal, its children, and the next thing that is due."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from typing import TypeAlias

import zmq

from edge.clock import Clock
from edge.station.nojournal import Records
from edge.station.supervisor import Supervisor
from edge.station.trials import Trials

_Waitable: TypeAlias = "zmq.Socket[bytes] | int"

_ABSOLUTE = 1  # TFD_TIMER_ABSTIME
_CLOCK_MONOTONIC = 1


class Wakeup:
    """
    Callable: sleep until something comes on any of them, at the latest until *due_us*.

    A poll's time-out counts whole milliseconds; the deadline is a timer of its own, which is exact to some 0.1 ms.
    """

    def __init__(
        self,
        sockets: Sequence[zmq.Socket[bytes]],
        journal: Records,
        supervisor: Supervisor,
        trials: Trials,
        clock: Clock,
    ) -> None:
        self._timer = _Timer()
        self._always: list[_Waitable] = [*sockets, journal.fd, self._timer.fd]
        self._journal = journal
        self._supervisor = supervisor
        self._trials = trials
        self._clock = clock
        self._poller = zmq.Poller()
        self._polled: list[_Waitable] = []

    def __call__(self, due_us: int) -> None:
        self._journal.let_write()
        if due_us <= self._clock.now_us():
            # Something is overdue: look at the sockets, do not sleep.
            self._poll(0)
            return
        self._timer.set(due_us)
        self._poll(None)

    def for_journal(self, due_us: int) -> None:
        """Sleep until the journal has news, at the latest until *due_us*, whatever else comes."""
        self._journal.let_write()
        self._timer.set(max(due_us, self._clock.now_us() + 1))
        poller = zmq.Poller()
        for fd in (self._journal.fd, self._timer.fd):
            poller.register(fd, zmq.POLLIN)
        poller.poll()
        self._journal.acknowledge_wakeup()

    def close(self) -> None:
        self._timer.close()

    def _poll(self, timeout_ms: int | None) -> None:
        # Another pair of sockets with each inspector: the poller is made anew when they change.
        wanted = self._wanted()
        if wanted != self._polled:
            self._poller, self._polled = zmq.Poller(), wanted
            for waitable in wanted:
                self._poller.register(waitable, zmq.POLLIN)
        self._poller.poll(timeout_ms)
        self._journal.acknowledge_wakeup()

    def _wanted(self) -> list[_Waitable]:
        wanted = list(self._always)
        if self._supervisor.inbox is not None:
            wanted += [self._supervisor.inbox, self._supervisor.alive_fd]
        if self._trials.alive_fd >= 0:
            wanted.append(self._trials.alive_fd)
        return wanted


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_ = [("interval", _Timespec), ("value", _Timespec)]


class _Timer:
    """A timer as a file descriptor, by libc: Python has it from 3.13 on. Source: man 2 timerfd_create."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def set(self, due_us: int) -> None:
        """Make ``fd`` readable at that monotonic time, and not before; the last setting is forgotten."""
        seconds, us = divmod(due_us, 1_000_000)
        value = _Itimerspec(_Timespec(0, 0), _Timespec(seconds, 1000 * us))
        if self._libc.timerfd_settime(self.fd, _ABSOLUTE, ctypes.byref(value), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        os.close(self.fd)
