"""The service under a real systemd, its unit as edge-inspectd install lays it out; tests/peers/systemd/README.md."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from edge.records import Outcome, Reason, Status, Verdict
from edge.settings import Station, read_toml
from tests.peers.systemd.sandbox import PROGRAM, Sandbox
from tests.peers.systemd.service import (
    DROP_INS,
    ETC,
    RUN,
    STATE,
    UNIT,
    child_of,
    configure,
    drop_in,
    field,
    figure,
    inspects,
    is_ready,
    is_verdict,
    listening,
    start,
    until,
    user,
)

pytestmark = pytest.mark.systemd

# Beyond what systemd and the station promise: a busy machine.
GRACE_S = 2.0

# ---- installing and starting -----------------------------------------------------------------------------------


def test_installing_says_what_it_does_and_twice_is_once(installed: tuple[Sandbox, str]) -> None:
    """User, folders, and the unit are there, by systemd's own tools; the second time everything is the same."""
    machine, told = installed
    assert "ran        systemd-sysusers /etc/sysusers.d/edge-inspect.conf" in told
    assert "ran        systemd-tmpfiles --create /etc/tmpfiles.d/edge-inspect.conf" in told
    assert "ran        systemctl daemon-reload" in told
    assert set(machine.run("id", "-nG", "edge-inspect").stdout.split()) == {"edge-inspect", "render", "video"}
    configuration = machine.run("stat", "-c", "%U:%G %a", f"/{ETC}/line1.toml").stdout.strip()
    assert configuration == "root:edge-inspect 640"
    machine.run("cp", f"/{ETC}/line1.toml", f"/{ETC}/copy")
    assert machine.run("stat", "-c", "%U:%G %a", f"/{ETC}/copy").stdout.strip() == "root:edge-inspect 640"
    machine.run("rm", f"/{ETC}/copy")
    assert user(machine)[0] == int(machine.run("id", "-u", "edge-inspect").stdout)
    again = machine.run(str(PROGRAM), "install", "--station", "line1", "--machine-key").stdout
    assert not [line for line in again.splitlines() if line.startswith(("made", "updated", "FAILED"))]
    assert Station.model_validate(read_toml(machine.root / ETC / "line1.toml")).station == "line1"


def test_start_to_ready_with_keys_and_a_machine_that_is_read_only(line1: Sandbox) -> None:
    """
    systemd is told at once that the station is at work, and when it inspects.

    Both keys come as credentials; nothing but the service's own folders can be written, and no rights are left.
    """
    figure("start to ready [s]", start(line1))
    assert line1.show(UNIT, "ActiveState") == "active"
    station = line1.pid(UNIT)
    status = Path(f"/proc/{station}/status").read_text()
    assert {field(status, name) for name in ("CapEff", "CapBnd", "CapPrm")} == {"0" * 16}
    assert (field(status, "NoNewPrivs"), int(field(status, "Uid").split()[0])) == ("1", user(line1)[0])
    keys = line1.root / "run/credentials" / f"{UNIT}.service"
    assert {path.name: len(path.read_bytes()) for path in keys.iterdir()}["machine.key"] == 32
    # Proven engines were kept, and signed with that key alone.
    engines = line1.root / STATE / "engines"
    assert len([path for path in engines.iterdir() if path.is_dir()]) == 1
    assert not (engines / "machine.key").exists()
    assert (line1.root / ETC / "machine.key").stat().st_mode & 0o777 == 0o600
    within = ("nsenter", "-t", line1.show(UNIT, "MainPID"), "-m", "--")
    # Places that the machine itself lets be written.
    for place in ("/etc", "/srv", "/var/lib", "/var/log"):
        line1.run("touch", f"{place}/.probe")
        assert line1.run(*within, "touch", f"{place}/.probe", check=False).returncode != 0, place
    line1.run(*within, "touch", f"/{STATE}/line1/.probe")


def test_waiting_for_a_camera_holds_nobody_up(line1: Sandbox) -> None:
    """systemctl start comes back, and so does a machine's own start; the station goes on waiting, and then inspects."""
    pictures = line1.root / "run" / "pictures"
    configure(
        line1,
        "line1",
        retry_s=0.2,
        retry_limit_s=0.2,
        cameras=[{"name": "cam1", "height": 100, "width": 170, "source": {"kind": "replay", "path": "/run/pictures"}}],
    )
    try:
        line1.run("systemctl", "start", UNIT)
        assert line1.show(UNIT, "ActiveState") == "active"
        with listening(line1) as subscriber:
            waiting = until(subscriber, lambda event: isinstance(event, Status))[-1]
        assert isinstance(waiting, Status)
        assert (waiting.state, waiting.ready) == ("starting", False)
        line1.wait("it says what it waits for", lambda: "/run/pictures" in line1.show(UNIT, "StatusText"))
        shutil.copytree(line1.root / "run/app/bundle/reference", pictures)
        inspects(line1)
        assert line1.show(UNIT, "NRestarts") == "0"
    finally:
        shutil.rmtree(pictures, ignore_errors=True)


def test_a_required_start_may_take_longer_than_its_limit(line1: Sandbox) -> None:
    """It is over when the station can inspect; each cycle of the loop asks for more time, here for a slow inspector."""
    configure(line1, "line1", start="require")
    drop_in(line1, "short.conf", "TimeoutStartSec=3")
    try:
        line1.run("systemctl", "start", "--no-block", UNIT)
        child = _held_inspector(line1)
        began = time.monotonic()
        line1.wait("twice the limit has passed", lambda: time.monotonic() - began > 6)
        assert (line1.show(UNIT, "ActiveState"), line1.show(UNIT, "NRestarts")) == ("activating", "0")
        os.kill(child, signal.SIGCONT)
        line1.wait("it is ready", lambda: line1.show(UNIT, "ActiveState") == "active")
    finally:
        (line1.root / DROP_INS / f"{UNIT}.service.d" / "short.conf").unlink()
        line1.run("systemctl", "daemon-reload")


def _held_inspector(machine: Sandbox) -> int:
    """Hold up the inspector of a station that starts; return its process."""
    machine.wait("it has a process", lambda: machine.pid(UNIT))
    station = machine.pid(UNIT)
    children = Path(f"/proc/{station}/task/{station}/children")
    machine.wait("it has an inspector", lambda: children.read_text().strip())
    os.kill(child_of(station), signal.SIGSTOP)
    return child_of(station)


# ---- what hangs ------------------------------------------------------------------------------------------------


def test_a_hung_station_is_found_by_the_watchdog(line1: Sandbox) -> None:
    """Stopped (SIGSTOP) it completes no cycle: within WatchdogSec systemd kills it, and a new one is ready."""
    start(line1)
    os.kill(line1.pid(UNIT), signal.SIGSTOP)
    detected_s = line1.wait("the watchdog", lambda: line1.show(UNIT, "NRestarts") == "1", 10 + 1 + GRACE_S + 3)
    recovered_s = inspects(line1)
    figure("watchdog and restart [s]", detected_s)
    figure("then to ready [s]", recovered_s)
    assert any("Watchdog timeout" in line for line in line1.journal(UNIT))
    # Where each thread stood, by the station itself.
    assert any("Fatal Python error: Aborted" in line for line in line1.journal(UNIT))


def test_the_watchdog_does_not_wait_for_a_start(line1: Sandbox) -> None:
    """It is in force from the first completed cycle on, also where READY=1 comes much later or never."""
    configure(line1, "line1", start="require")
    line1.run("systemctl", "start", "--no-block", UNIT)
    _held_inspector(line1)
    station = line1.pid(UNIT)
    line1.wait("it completes cycles", lambda: line1.show(UNIT, "WatchdogTimestampMonotonic") != "0")
    os.kill(station, signal.SIGSTOP)
    detected_s = line1.wait("the watchdog", lambda: line1.show(UNIT, "NRestarts") == "1", 10 + 1 + GRACE_S + 3)
    figure("watchdog and restart before ready [s]", detected_s)
    assert any("Watchdog timeout" in line for line in line1.journal(UNIT))


def test_a_hung_inspector_is_no_affair_of_systemd_s(line1: Sandbox) -> None:
    """It is replaced by the station: no restart, no watchdog, verdicts go on."""
    configure(line1, "line1", budget_ms=500, hang_s=1.0)
    start(line1)
    station = line1.pid(UNIT)
    os.kill(child_of(station), signal.SIGSTOP)
    with listening(line1) as subscriber:
        seen = until(subscriber, lambda event: isinstance(event, Status) and event.inspector == 2 and event.ready)
        assert not [event for event in seen if isinstance(event, Verdict) and event.outcome is Outcome.PASS]
        until(subscriber, lambda event: isinstance(event, Verdict) and event.outcome is not Outcome.UNKNOWN)
    assert (line1.show(UNIT, "NRestarts"), line1.pid(UNIT)) == ("0", station)


# ---- what comes to nothing -------------------------------------------------------------------------------------


def test_a_crash_loop_slows_down_and_never_ends(line1: Sandbox) -> None:
    """
    A configuration that cannot work: from the third failure on each start waits, longer each time, and says so.

    It is never down for good. Mended, it is ready after the pause, with the alarm; stopped by hand in a pause it ends
    at once, well, and the next start waits for nothing.
    """
    configure(line1, "line1", start="require", bundle={"path": "/run/nowhere"})
    line1.run("systemctl", "start", "--no-block", UNIT)
    line1.wait("the first pause", lambda: "3 starts in a row" in line1.show(UNIT, "StatusText"))
    line1.wait("the second pause", lambda: "4 starts in a row" in line1.show(UNIT, "StatusText"))
    configure(line1, "line1")
    inspects(line1)
    assert (line1.show(UNIT, "Result"), line1.show(UNIT, "NRestarts")) == ("success", "4")
    with listening(line1) as subscriber:
        status = until(subscriber, is_ready)[-1]
        assert isinstance(status, Status)
        assert "crash_loop" in {alarm.value for alarm in status.alarms}
    errors = line1.journal(UNIT, "-p", "err")
    assert any(line.startswith("edge-inspectd: /run/nowhere: no such folder") for line in errors)
    assert any(line.startswith("edge-inspectd: 4 starts in a row came to nothing: waiting 4 s") for line in errors)


def test_a_stop_in_the_pause_is_obeyed_at_once(line1: Sandbox) -> None:
    """It ends well, and whoever stopped it has taken care of it: the next start waits for nothing."""
    state = line1.root / STATE / "line1"
    state.mkdir(mode=0o750)
    (state / "starts.json").write_text('{"failed":9}')
    for path in (state, state / "starts.json"):
        os.chown(path, *user(line1))
    line1.run("systemctl", "start", "--no-block", UNIT)
    line1.wait("the pause", lambda: "9 starts in a row" in line1.show(UNIT, "StatusText"))
    began = time.monotonic()
    line1.run("systemctl", "stop", UNIT)
    assert time.monotonic() - began < GRACE_S
    assert (line1.show(UNIT, "Result"), line1.show(UNIT, "ExecMainStatus")) == ("success", "0")
    assert json.loads((state / "starts.json").read_text()) == {"failed": 0}


@pytest.mark.parametrize("how", ["read-only", "full"])
def test_a_state_directory_that_takes_nothing_is_no_hindrance(line1: Sandbox, how: str) -> None:
    """The station starts, gives verdicts and raises the alarm; it stops as it should, and the disk comes back."""
    start(line1)
    line1.run("systemctl", "stop", UNIT)
    filler = line1.root / "var/lib/filler"
    try:
        if how == "read-only":
            line1.run("mount", "-o", "remount,ro", "/var/lib")
        else:
            line1.run("sh", "-c", "cat /dev/zero > /var/lib/filler", check=False)
        line1.run("systemctl", "start", UNIT)
        with listening(line1) as subscriber:
            seen = until(subscriber, lambda e: isinstance(e, Verdict) and e.outcome is not Outcome.UNKNOWN)
            assert {event.journaled for event in seen if isinstance(event, Verdict)} <= {False}
            status = until(subscriber, is_ready)[-1]
            assert isinstance(status, Status)
            assert "journal_failing" in {alarm.value for alarm in status.alarms}
        _stop_in_time(line1)
    finally:
        line1.run("mount", "-o", "remount,rw", "/var/lib")
        filler.unlink(missing_ok=True)


# ---- the end ---------------------------------------------------------------------------------------------------


def _stop_in_time(machine: Sandbox) -> float:
    began = time.monotonic()
    machine.run("systemctl", "stop", UNIT)
    took_s = time.monotonic() - began
    assert took_s < 5.0
    assert (machine.show(UNIT, "Result"), machine.show(UNIT, "ExecMainStatus")) == ("success", "0")
    return took_s


@pytest.mark.parametrize("engines", ["work", "hang"])
def test_a_stop_tells_the_line(line1: Sandbox, engines: str) -> None:
    """What is in hand is answered, the last word is "stopped", and it ends within five seconds, whatever engines do."""
    camera = {"name": "cam1", "height": 100, "width": 170, "source": {"kind": "synthetic"}, "trigger": "software"}
    configure(line1, "line1", cameras=[camera])
    start(line1)
    with listening(line1) as subscriber:
        _trigger(line1)
        until(subscriber, is_verdict)
        if engines == "hang":
            os.kill(child_of(line1.pid(UNIT)), signal.SIGSTOP)
            _trigger(line1)
            until(subscriber, lambda event: isinstance(event, Status) and event.open == 1)
        figure(f"stop, engines {engines} [s]", _stop_in_time(line1))
        seen = until(subscriber, lambda event: isinstance(event, Status) and event.state == "stopped")
    last = seen[-1]
    assert isinstance(last, Status)
    assert last.open == 0
    reasons = [event.reason for event in seen if isinstance(event, Verdict)]
    assert reasons == ([Reason.STOPPED] if engines == "hang" else [])
    # Asked to end and killed after that: no failure of the service.
    assert json.loads((line1.root / STATE / "line1" / "starts.json").read_text()) == {"failed": 0}


def _trigger(machine: Sandbox) -> None:
    machine.run(str(PROGRAM), "ctl", "trigger", "--control", f"ipc:///{RUN}/line1/control")


# ---- taking it away --------------------------------------------------------------------------------------------


def test_uninstalling_keeps_what_is_the_engineer_s(line1: Sandbox) -> None:
    """A station that is enabled keeps it from being done; then the unit is gone, configuration and state are not."""
    line1.run("systemctl", "enable", "--now", UNIT)
    refused = line1.run(str(PROGRAM), "install", "--uninstall", check=False)
    assert refused.returncode == 2
    assert f"say systemctl disable --now {UNIT}.service first" in refused.stderr
    line1.run("systemctl", "disable", "--now", UNIT)
    told = line1.run(str(PROGRAM), "install", "--uninstall").stdout
    assert "removed    /etc/systemd/system/edge-inspectd@.service" in told
    assert not (line1.root / DROP_INS / "edge-inspectd@.service").exists()
    assert (line1.root / ETC / "line1.toml").exists()
    assert (line1.root / STATE / "line1" / "journal.sqlite").exists()
    line1.run(str(PROGRAM), "install", "--machine-key")  # For the tests after this one.
