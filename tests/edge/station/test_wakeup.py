"""What the loop sleeps on, for real: exact in time, and woken early by whatever has come."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from edge.clock import SYSTEM_CLOCK
from edge.station.wakeup import Wakeup

LONG_US = 60_000_000


class Pieces:
    """Stand-ins with real descriptors for all that a wake-up looks at."""

    def __init__(self, folder: Path, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self.requests = context.socket(zmq.PULL)
        self.requests.bind(f"ipc://{folder}/requests")
        self.asker = context.socket(zmq.PUSH)
        self.asker.connect(f"ipc://{folder}/requests")
        self.inbox: zmq.Socket[bytes] | None = None
        self.fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.ends: list[tuple[int, int]] = []
        self.alive_fd = -1
        self.acknowledged = self.released = 0
        pieces: Any = self
        self.wakeup = Wakeup((self.requests,), pieces, pieces, pieces, SYSTEM_CLOCK)

    def acknowledge_wakeup(self) -> None:
        self.acknowledged += 1

    def let_write(self) -> None:
        self.released += 1

    def close(self) -> None:
        self.wakeup.close()
        os.close(self.fd)
        for ends in self.ends:
            for end in ends:
                os.close(end)


@pytest.fixture
def pieces(tmp_path: Path) -> Iterator[Pieces]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    pieces = Pieces(tmp_path, context)
    yield pieces
    pieces.close()
    context.destroy(linger=0)


def slept_us(pieces: Pieces, for_us: int) -> int:
    begun_us = SYSTEM_CLOCK.now_us()
    pieces.wakeup(begun_us + for_us)
    return SYSTEM_CLOCK.now_us() - begun_us


@pytest.mark.parametrize("us", [1, 300, 999, 1_500, 7_000])
def test_nothing_wakes_it_before_the_time(pieces: Pieces, us: int) -> None:
    """Not a microsecond early, though a poll counts in milliseconds; and it does wake."""
    for _ in range(5):
        assert us <= slept_us(pieces, us) < LONG_US


def test_what_is_for_the_journal_alone_sleeps_though_a_request_waits(pieces: Pieces) -> None:
    """At the end nobody takes requests any more: one that lies there must not end the wait; the journal's news does."""
    pieces.asker.send(b"request")
    assert pieces.requests.poll(10_000)
    begun_us = SYSTEM_CLOCK.now_us()
    pieces.wakeup.for_journal(begun_us + 20_000)
    assert 20_000 <= SYSTEM_CLOCK.now_us() - begun_us < LONG_US
    os.eventfd_write(pieces.fd, 1)
    pieces.wakeup.for_journal(SYSTEM_CLOCK.now_us() + 10 * LONG_US)
    assert SYSTEM_CLOCK.now_us() - begun_us < LONG_US
    assert (pieces.acknowledged, pieces.released) == (2, 2)


def test_a_time_that_has_passed_does_not_sleep(pieces: Pieces) -> None:
    """The sockets are looked at, and the journal's word is taken, all the same."""
    pieces.wakeup(0)
    pieces.wakeup(SYSTEM_CLOCK.now_us() - 1)
    assert pieces.acknowledged == 2


def test_an_earlier_time_does_not_outlast_a_later_one(pieces: Pieces) -> None:
    """A timer that went off while nobody looked does not wake the next sleep."""
    pieces.wakeup._timer.set(SYSTEM_CLOCK.now_us() + 1)
    assert slept_us(pieces, 2_000) >= 2_000
    assert slept_us(pieces, 2_000) >= 2_000


def test_a_request_wakes_it(pieces: Pieces) -> None:
    """Long before the time."""
    pieces.asker.send(b"x")
    assert slept_us(pieces, LONG_US) < LONG_US
    assert pieces.requests.poll(0)


def test_the_journal_wakes_it(pieces: Pieces) -> None:
    """What is durable may leave at once; what was queued is let go to the disk before the loop sleeps."""
    os.eventfd_write(pieces.fd, 1)
    assert slept_us(pieces, LONG_US) < LONG_US
    assert pieces.released == 1


def test_an_inspector_that_came_later_wakes_it(pieces: Pieces, tmp_path: Path) -> None:
    """By a message, and by its end; when it is gone it is slept on no more."""
    context = pieces.requests.context
    slept_us(pieces, 1)
    with context.socket(zmq.PULL) as inbox, context.socket(zmq.PUSH) as inspector:
        pieces.ends.append(os.pipe())
        inbox.bind(f"ipc://{tmp_path}/up")
        inspector.connect(f"ipc://{tmp_path}/up")
        pieces.inbox, pieces.alive_fd = inbox, pieces.ends[0][0]
        inspector.send(b"x")
        assert slept_us(pieces, LONG_US) < LONG_US
        inbox.recv()
        os.write(pieces.ends[0][1], b"x")
        assert slept_us(pieces, LONG_US) < LONG_US
    pieces.inbox, pieces.alive_fd = None, -1
    assert slept_us(pieces, 2_000) >= 2_000


def test_the_end_of_a_trial_wakes_it(pieces: Pieces) -> None:
    """Also while no inspector runs."""
    pieces.ends.append(os.pipe())
    pieces.alive_fd = pieces.ends[0][0]
    os.write(pieces.ends[0][1], b"x")
    assert slept_us(pieces, LONG_US) < LONG_US


def test_a_closed_one_leaves_nothing_behind(pieces: Pieces) -> None:
    """Its timer is a descriptor of this process; other descriptors come and go with threads of other tests."""
    before = timers()
    nothing: Any = pieces
    for _ in range(3):
        Wakeup((), nothing, nothing, nothing, SYSTEM_CLOCK).close()
    assert timers() == before


def timers() -> int:
    """Return how many timers this process has."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += "timerfd" in str(descriptor.readlink())
    return found
