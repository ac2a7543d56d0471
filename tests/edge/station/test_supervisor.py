"""The supervisor with real processes: one that cannot start, one that dies, one that speaks nonsense."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from edge.inspector.link import Begin, Captured, Progress, endpoints, send
from edge.recipe import RecipeFile
from edge.settings import Station
from edge.station.supervisor import BundleToStart, Supervisor
from tests.support.station import FakeClock

PATIENCE_MS = 60_000
RECIPE = RecipeFile(name="station", author="test").model_dump_json().encode()


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def station(tmp_path: Path) -> Station:
    source = {"kind": "replay", "path": str(tmp_path)}
    settings = {
        "station": "line1",
        "bundle": {"path": str(tmp_path / "no-bundle"), "allow_unsigned": True},
        "cameras": [{"name": "cam1", "source": source}],
        "retry_s": 1.0,
        "retry_limit_s": 4.0,
    }
    return Station.model_validate(settings)


@pytest.fixture
def supervisor(
    context: zmq.Context[zmq.Socket[bytes]], station: Station, tmp_path: Path, clock: FakeClock
) -> Supervisor:
    return Supervisor(context, station, tmp_path, clock)


def _await_end(supervisor: Supervisor) -> int:
    poller = zmq.Poller()
    poller.register(supervisor.alive_fd, zmq.POLLIN)
    assert poller.poll(PATIENCE_MS)
    code = supervisor.ended()
    assert code is not None
    return code


def test_an_inspector_that_fails_says_why_and_ends(supervisor: Supervisor) -> None:
    """Its reason arrives before its end, and its end is seen without waiting."""
    supervisor.start(RECIPE, BundleToStart("no-bundle"), {}, None)
    assert supervisor.running
    assert _await_end(supervisor) == 3
    said = []
    while (message := supervisor.receive()) is not None:
        said.append(message)
    assert "no such folder" in said[-1].text
    supervisor.bury()


def test_the_next_start_waits_longer_each_time(supervisor: Supervisor, clock: FakeClock) -> None:
    """At once, then 1, 2, 4 and never more than 4 s; at once again after one that worked."""
    pauses = []
    for _ in range(5):
        supervisor.start(RECIPE, BundleToStart("no-bundle"), {}, None)
        supervisor.kill()
        _await_end(supervisor)
        supervisor.bury()
        assert supervisor.start_at_us is not None
        pauses.append((supervisor.start_at_us - clock.now_us()) / 1e6)
    assert pauses == [0.0, 1.0, 2.0, 4.0, 4.0]
    supervisor.start(RECIPE, BundleToStart("no-bundle"), {}, None)
    supervisor.proved()
    supervisor.kill()
    _await_end(supervisor)
    supervisor.bury()
    assert supervisor.start_at_us == clock.now_us()


def test_a_process_that_cannot_be_started_is_tried_again(
    context: zmq.Context[zmq.Socket[bytes]], station: Station, tmp_path: Path, clock: FakeClock
) -> None:
    """No interpreter, no memory to fork: the station goes on, with the next start in view and nothing left behind."""
    supervisor = Supervisor(context, station, tmp_path, clock, [str(tmp_path / "no-python")])
    supervisor.start(RECIPE, BundleToStart("no-bundle"), {}, None)
    assert not supervisor.running
    assert supervisor.start_at_us is not None
    assert supervisor.inbox is None
    assert not supervisor.order(Begin())
    assert list(tmp_path.glob("*.down")) == []


def test_a_process_that_cannot_be_watched_is_ended(
    context: zmq.Context[zmq.Socket[bytes]],
    station: Station,
    tmp_path: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No descriptor left: an inspector whose end nobody would see must not keep the cameras; the next is due."""
    pids: list[int] = []

    def refuse(pid: int) -> int:
        pids.append(pid)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    supervisor = Supervisor(context, station, tmp_path, clock, ["/bin/sleep", "1000"])
    supervisor.start(RECIPE, BundleToStart("no-bundle"), {}, None)
    assert not supervisor.running
    assert supervisor.start_at_us is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_nobody_to_take_an_order_is_told_not_waited_for(supervisor: Supervisor) -> None:
    """Without an inspector an order is refused at once."""
    assert not supervisor.order(Begin())


def test_only_the_engine_thread_gives_a_sign_of_life(
    supervisor: Supervisor, clock: FakeClock, context: zmq.Context[zmq.Socket[bytes]], tmp_path: Path
) -> None:
    """A camera that goes on delivering beside a hung engine does not keep the inspector alive."""
    supervisor.start(RECIPE, BundleToStart("no-bundle"), {}, None)
    with context.socket(zmq.PUSH) as inspector:
        inspector.connect(endpoints(tmp_path, 1)[1])
        captured = Captured(
            inspector=1, camera="cam1", part=None, open_no=1, frame_no=1, t_us=0, tag=None, source="1", numbered=True,
            fault=None, detail="",
        )  # fmt: skip
        clock.us += 9_000_000
        send(inspector, captured)
        _hear_from(supervisor, Captured)
        assert supervisor.silent_s() == 9.0
        send(inspector, Progress(inspector=1, part=None, camera="", stage="probe"))
        _hear_from(supervisor, Progress)
        assert supervisor.silent_s() == 0.0
    supervisor.kill()
    _await_end(supervisor)
    supervisor.bury()


def test_an_inspector_of_another_version_is_killed(
    supervisor: Supervisor, context: zmq.Context[zmq.Socket[bytes]], tmp_path: Path
) -> None:
    """A message that cannot be decoded does not end the station: the inspector is replaced."""
    supervisor.start(RECIPE, BundleToStart("no-bundle"), {}, None)
    with context.socket(zmq.PUSH) as inspector:
        inspector.connect(endpoints(tmp_path, 1)[1])
        inspector.send(b"\x81\xa4type\xa6Future")
        assert supervisor.inbox is not None
        while supervisor.ended() is None:
            supervisor.inbox.poll(100)
            supervisor.receive()
    supervisor.bury()


def _hear_from(supervisor: Supervisor, kind: type) -> None:
    """Read up to the first message of *kind*; what the real inspector says of its own start may come before."""
    assert supervisor.inbox is not None
    while supervisor.inbox.poll(PATIENCE_MS):
        if isinstance(supervisor.receive(), kind):
            return
    raise AssertionError(f"no {kind.__name__} came")
