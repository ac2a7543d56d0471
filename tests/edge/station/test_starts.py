"""Starts that come to nothing: counted over processes, waited for, never in the way of a stop."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from edge.rig import toml_from_tree
from edge.station import daemon
from edge.station import scribe as module
from edge.station.kept import KeptFile
from edge.station.scribe import Scribe
from edge.station.starts import FILE, HEALTHY_S, Starts, told_to_stop, wait_for_turn
from tests.support.signals import deliver
from tests.support.station import Bench, FakeClock, RecordingNotifier


def _after(folder: Path, failed: int) -> Starts:
    """Return the start after so many that failed."""
    for _ in range(failed):
        Starts(folder, FakeClock()).begin()
    return Starts(folder, FakeClock())


@pytest.mark.parametrize(
    ("failed", "pause_s"),
    [(0, 0.0), (1, 0.0), (2, 0.0), (3, 2.0), (4, 4.0), (5, 8.0), (7, 32.0), (8, 60.0), (50, 60.0)],
)
def test_the_third_failure_and_each_after_it_double_the_pause(tmp_path: Path, failed: int, pause_s: float) -> None:
    """Two failures cost nothing, then 2, 4, 8 s, and never more than a minute."""
    starts = _after(tmp_path, failed)
    assert (starts.failed, starts.pause_s, starts.looping) == (failed, pause_s, failed >= 3)


def test_who_lived_long_enough_has_not_failed(tmp_path: Path) -> None:
    """After five minutes the count begins anew, once; before it nothing is forgotten."""
    clock = FakeClock()
    _after(tmp_path, 4)
    starts = Starts(tmp_path, clock)
    starts.begin()
    clock.us += round(HEALTHY_S * 1e6) - 1
    assert not starts.well()
    clock.us += 1
    assert starts.well()
    assert not starts.well()
    assert Starts(tmp_path, clock).failed == 0


def test_what_ended_as_told_is_forgotten(tmp_path: Path) -> None:
    """Somebody stopped it by hand: the next start waits for nothing."""
    starts = _after(tmp_path, 5)
    starts.forget()
    assert _after(tmp_path, 0).failed == 0


@pytest.mark.parametrize("text", ["no JSON", '{"failed": -1}', '{"failed": "many"}', ""])
def test_a_broken_file_is_no_hindrance(tmp_path: Path, text: str) -> None:
    """It counts from 0, and the next write mends the file."""
    (tmp_path / FILE).write_text(text)
    starts = Starts(tmp_path, FakeClock())
    assert starts.failed == 0
    starts.begin()
    assert Starts(tmp_path, FakeClock()).failed == 1


def test_a_folder_that_takes_nothing_is_no_hindrance(tmp_path: Path) -> None:
    """A full, read-only or missing state directory: starts are not counted, and go on."""
    starts = Starts(tmp_path / "missing", FakeClock())
    starts.begin()
    starts.forget()
    assert starts.pause_s == 0.0


def test_by_hand_nothing_is_counted() -> None:
    """Without a service manager nobody starts it again."""
    starts = Starts(None, FakeClock())
    starts.begin()
    assert Starts(None, FakeClock()).failed == 0


def test_the_pause_is_told_and_extended(tmp_path: Path) -> None:
    """Each second the service manager hears that the start goes on, and why it takes so long; no watchdog is begun."""
    told, waited = RecordingNotifier(), []

    def stopped(seconds: float) -> bool:
        waited.append(seconds)
        return False

    assert wait_for_turn(_after(tmp_path, 4), told, stopped)  # type: ignore[arg-type]
    assert sum(waited) == 4.0
    assert told.states[0] == "STATUS=4 starts in a row came to nothing: waiting 4 s before the next"
    assert told.states.count("EXTEND_TIMEOUT_USEC=30000000") == 4
    assert "WATCHDOG=1" not in told.states


def test_a_first_start_waits_for_nothing(tmp_path: Path) -> None:
    """And says nothing."""
    told = RecordingNotifier()
    assert wait_for_turn(_after(tmp_path, 2), told)  # type: ignore[arg-type]
    assert told.states == []


def test_a_stop_ends_the_pause_at_once(tmp_path: Path) -> None:
    """SIGTERM during the pause: it returns, and signals are delivered as before."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    # To this thread: of a whole process's threads, one that pytest has would take it, and end all of them.
    late = threading.Timer(0.05, signal.pthread_kill, (threading.get_ident(), signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    late.start()
    try:
        assert not wait_for_turn(_after(tmp_path, 8), RecordingNotifier(), told_to_stop)  # type: ignore[arg-type]
    finally:
        late.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_start_that_was_told_to_end_has_not_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM while the journal is read, say: long before there is a loop that could see to it."""
    _after(tmp_path, 2)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    began: list[int] = []

    def started(*_: object) -> int:
        began.append(Starts(tmp_path, FakeClock()).failed)
        deliver(signal.SIGTERM)
        return 2

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(daemon, "run", started)
    assert daemon.main([]) == 0
    assert began == [3]
    assert Starts(tmp_path, FakeClock()).failed == 0
    assert signal.getsignal(signal.SIGTERM) is before


def test_one_by_hand_that_was_ended_has_not_done_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM before there is a loop: a script that waits for it must not read success."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr(daemon, "run", lambda *_: deliver(signal.SIGTERM))
    assert daemon.main([]) == 128 + signal.SIGTERM


@pytest.mark.parametrize(("flags", "code"), [([], 0), (["--check"], 143), (["--once"], 143)])
def test_what_has_an_end_of_its_own_is_not_done_by_being_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], code: int
) -> None:
    """Under a service manager too: a check that SIGTERM ends has found nothing right."""
    config = tmp_path / "s.toml"
    config.write_text(toml_from_tree({"station": "line1", "cameras": [{"name": "a", "source": {"kind": "synthetic"}}]}))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(daemon, "_inspect", lambda *_: deliver(signal.SIGTERM))
    assert daemon.main([str(config), *flags]) == code
    assert Starts(tmp_path, FakeClock()).failed == (1 if code else 0)


def test_a_stop_is_no_failure_from_its_beginning_on(tmp_path: Path) -> None:
    """The disk has the time of the whole stop to take that; once is enough."""
    _after(tmp_path, 2)
    starts = Starts(tmp_path, FakeClock())
    starts.begin()
    bench = Bench(service=tmp_path)
    bench.get_ready()
    assert Starts(tmp_path, FakeClock()).failed == 3
    bench.loop.stop_requested = True
    bench.after(1)
    assert not bench.loop._finished()
    assert Starts(tmp_path, FakeClock()).failed == 0


def test_a_disk_that_hangs_costs_no_cycle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Amid production, after five minutes, the count is handed over; the loop does not see to the disk."""
    starts = _after(tmp_path, 4)
    starts.begin()
    never, writers = threading.Event(), []

    def hang(*_: object) -> str:
        writers.append(threading.current_thread())
        never.wait(30)
        return ""

    monkeypatch.setattr(KeptFile, "write", hang)
    monkeypatch.setattr(module, "_LATE_S", 0.0)
    scribe = Scribe()
    clock = FakeClock()
    behind = Starts(tmp_path, clock, scribe)
    clock.us += round(HEALTHY_S * 1e6)
    assert behind.well()
    assert not scribe.close()
    never.set()
    assert scribe.close()
    assert threading.current_thread() not in writers


# ---- the station that comes up after all -----------------------------------------------------------------------


def test_a_station_after_a_loop_raises_the_alarm_until_it_has_lived(tmp_path: Path) -> None:
    """Alarm and audit event from its first word on; after five minutes the alarm goes, and the count with it."""
    _after(tmp_path, 3)
    bench = Bench(service=tmp_path)
    bench.get_ready()
    assert [audit.event.value for audit in bench.publisher.audits] == ["crash_loop"]
    assert [alarm.value for alarm in bench.publisher.statuses[-1].alarms if alarm.value == "crash_loop"]
    bench.after(HEALTHY_S * 1000)
    assert not [alarm for alarm in bench.publisher.statuses[-1].alarms if alarm.value == "crash_loop"]
    assert Starts(tmp_path, bench.clock).failed == 0
