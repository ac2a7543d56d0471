"""sd_notify: what systemd is told, byte for byte, over the socket it names."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.station import daemon
from edge.station.store import FILE, longest_read_s
from edge.station.systemd import Notifier, extension, watchdog_period_s
from tests.support.station import Bench, MemoryJournal, RecordingNotifier


@contextlib.contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    """Bind what systemd would bind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(address)
        bound.settimeout(10)
        yield bound


def test_states_are_lines_of_one_datagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the manual page asks for."""
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with manager(address) as systemd, contextlib.closing(Notifier()) as notifier:
        notifier.notify("READY=1", "STATUS=inspecting")
        assert systemd.recv(100) == b"READY=1\nSTATUS=inspecting"
        notifier.notify("WATCHDOG=1")
        assert systemd.recv(100) == b"WATCHDOG=1"


def test_an_abstract_socket_begins_with_a_zero_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd writes @ for it."""
    name = f"edge-test-{secrets.token_hex(8)}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with manager(f"\0{name}") as systemd, contextlib.closing(Notifier()) as notifier:
        notifier.notify("READY=1")
        assert systemd.recv(100) == b"READY=1"


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """The daemon runs by hand too."""
    if value is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", value)
    with contextlib.closing(Notifier()) as notifier:
        assert notifier.notify("READY=1") is None


def test_a_manager_that_is_gone_stops_no_station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path where nobody listens, and one whose listener went away."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with contextlib.closing(Notifier()) as notifier:
        assert notifier.notify("WATCHDOG=1") is None
        with manager(str(tmp_path / "nobody")):
            pass
        assert notifier.notify("WATCHDOG=1") is None


def test_a_manager_that_reads_nothing_stops_no_station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full socket is not waited for."""
    address = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with manager(address) as systemd, contextlib.closing(Notifier()) as notifier:
        for _ in range(2000):
            notifier.notify("WATCHDOG=1")
        assert systemd.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("usec", "period_s"),
    [("10000000", 5.0), ("1000", 0.0005), (None, None), ("", None), ("0", None), ("soon", None), ("-5", None)],
)
def test_the_watchdog_is_fed_twice_a_period(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, period_s: float | None
) -> None:
    """Half of WATCHDOG_USEC; none when systemd expects nothing."""
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if usec is None:
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    else:
        monkeypatch.setenv("WATCHDOG_USEC", usec)
    assert watchdog_period_s() == period_s


@pytest.mark.parametrize("mine", [True, False])
def test_a_watchdog_meant_for_another_process_is_not_fed(monkeypatch: pytest.MonkeyPatch, mine: bool) -> None:
    """WATCHDOG_PID says for whom it is. Source: man 3 sd_watchdog_enabled."""
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() if mine else os.getppid()))
    assert watchdog_period_s() == (5.0 if mine else None)


def test_a_large_journal_may_be_read_for_as_long_as_that_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before it is opened, since nothing is while it is read: 2 GB at 5 MB/s, and what a start takes besides."""
    told = RecordingNotifier()
    monkeypatch.setattr(daemon, "open_journal", lambda *_: told.notify("opened") or MemoryJournal())
    monkeypatch.setattr(MemoryJournal, "start", lambda _: None, raising=False)
    with (tmp_path / FILE).open("wb") as file:
        file.truncate(2_000_000_000)
    with daemon._journal(Bench().station, tmp_path, told):  # type: ignore[arg-type]
        assert told.states == ["EXTEND_TIMEOUT_USEC=580000000", "opened"]
    assert longest_read_s(tmp_path / "gone") == 0.0


def test_a_start_that_takes_long_is_extended_by_each_cycle_until_it_is_ready() -> None:
    """Together with the sign of life; afterwards there is only that, and nothing is said at a stop."""
    bench = Bench()
    bench.after(2100)
    bench.after(2100)
    assert bench.notifier.states.count("WATCHDOG=1") == bench.notifier.states.count(extension()) >= 2
    bench.get_ready()
    begun = len(bench.notifier.states)
    bench.after(2100)
    bench.loop.stop_requested = True
    bench.after(2100)
    later = bench.notifier.states[begun:]
    assert later.count("WATCHDOG=1") == 2
    assert extension() not in later
