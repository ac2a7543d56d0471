"""The service under a real systemd, its unit as edge-inspectd install lays it out; tests/peers/systemd/README.md."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.client import Event, Subscriber
from edge.records import Outcome, Reason, Status, Verdict
from edge.rig import toml_from_tree
from edge.settings import Station, read_toml
from edge.station.schema import STEPS, migrate
from tests.peers.systemd.sandbox import APP, PROGRAM, Sandbox, missing
from tests.support.signing import Signer

pytestmark = pytest.mark.systemd

UNIT, UNIT2 = "edge-inspectd@line1", "edge-inspectd@line2"
ETC, STATE, RUN = Path("etc/edge-inspect"), Path("var/lib/edge-inspect"), Path("run/edge-inspect")
DROP_INS = Path("etc/systemd/system")
# Beyond what systemd and the station promise: a busy machine.
GRACE_S = 2.0


@pytest.fixture(scope="module")
def installed(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, str]]:
    """Return a machine on which the service was installed, with a bundle that is signed, and what installing said."""
    if lacks := missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(lacks)
    folder = tmp_path_factory.mktemp("machine")
    signer = Signer(folder)
    with Sandbox({"bundle": signer.copy(tiny_bundle, folder / "bundle")}) as machine:
        told = machine.run(str(PROGRAM), "install", "--station", "line1", "--machine-key").stdout
        shutil.copy(signer.public, machine.root / ETC / "release.pub")
        _drop_in(machine, "keys.conf", "LoadCredential=release.pub:/etc/edge-inspect/release.pub")
        yield machine, told


@pytest.fixture(scope="module")
def machine(installed: tuple[Sandbox, str]) -> Sandbox:
    return installed[0]


@pytest.fixture
def line1(machine: Sandbox) -> Iterator[Sandbox]:
    """Return the machine with a station that has never run, and look that it does not go on running."""
    _reset(machine, "line1")
    _configure(machine, "line1")
    yield machine
    machine.run("systemctl", "stop", UNIT, check=False)


def _reset(machine: Sandbox, name: str) -> None:
    machine.run("systemctl", "stop", f"edge-inspectd@{name}")
    machine.run("systemctl", "reset-failed", f"edge-inspectd@{name}", check=False)
    shutil.rmtree(machine.root / STATE / name, ignore_errors=True)


def _configure(machine: Sandbox, name: str, **changes: Any) -> None:
    run_dir = f"/{RUN}/{name}"
    tree = {
        "station": name,
        "budget_ms": 20_000,
        "hang_s": 21.0,
        "start": "wait",
        "run_dir": run_dir,
        # The key is a credential: nothing of that name lies in the working directory.
        "bundle": {"path": APP / "bundle", "trusted_keys": ["release.pub"]},
        "backend": {"threads": 1},
        "picture_rate_hz": 0,
        "endpoints": {end: f"ipc://{run_dir}/{end}" for end in ("results", "masks", "pictures", "control")},
        "cameras": [{"name": "cam1", "height": 100, "width": 170, "source": {"kind": "synthetic", "rate_hz": 20.0}}],
        **changes,
    }
    (machine.root / ETC / f"{name}.toml").write_text(toml_from_tree(tree))


def _drop_in(machine: Sandbox, name: str, *lines: str) -> None:
    folder = machine.root / DROP_INS / f"{UNIT}.service.d"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\n".join(("[Service]", *lines, "")))
    machine.run("systemctl", "daemon-reload")


def _subscriber(machine: Sandbox, name: str = "line1") -> Subscriber:
    return Subscriber(f"ipc://{machine.root / RUN / name}/results")


def _until(subscriber: Subscriber, wanted: Callable[[Event], bool], timeout_s: float = 30.0) -> list[Event]:
    seen: list[Event] = []
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        event = subscriber.receive(timeout_s=0.2)
        if event is not None:
            seen.append(event)
            if wanted(event):
                return seen
    raise AssertionError(f"not within {timeout_s:g} s; the last of {len(seen)}: {seen[-1:]}")


def _is_verdict(event: Event) -> bool:
    return isinstance(event, Verdict)


def _is_ready(event: Event) -> bool:
    return isinstance(event, Status) and event.ready


def _child_of(station: int) -> int:
    return int(Path(f"/proc/{station}/task/{station}/children").read_text().split()[0])


def _figure(what: str, seconds: float) -> None:
    """Show a figure to who asks for it (pytest -rP)."""
    sys.stdout.write(f"{what}: {seconds:.2f}\n")


def _user(machine: Sandbox) -> tuple[int, int]:
    status = (machine.root / STATE / "engines").stat()
    return status.st_uid, status.st_gid


# ---- installing and starting -----------------------------------------------------------------------------------


def test_installing_says_what_it_does_and_twice_is_once(installed: tuple[Sandbox, str]) -> None:
    """User, folders, and the unit are there, by systemd's own tools; the second time everything is the same."""
    machine, told = installed
    assert "ran        systemd-sysusers /etc/sysusers.d/edge-inspect.conf" in told
    assert "ran        systemd-tmpfiles --create /etc/tmpfiles.d/edge-inspect.conf" in told
    assert "ran        systemctl daemon-reload" in told
    assert machine.run("id", "-nG", "edge-inspect").stdout.split() == ["edge-inspect", "video"]
    assert _user(machine)[0] == int(machine.run("id", "-u", "edge-inspect").stdout)
    again = machine.run(str(PROGRAM), "install", "--station", "line1", "--machine-key").stdout
    assert not [line for line in again.splitlines() if line.startswith(("made", "updated", "FAILED"))]
    assert Station.model_validate(read_toml(machine.root / ETC / "line1.toml")).station == "line1"


def test_start_to_ready_with_keys_and_a_machine_that_is_read_only(line1: Sandbox) -> None:
    """
    READY=1 comes when parts are inspected.

    Both keys come as credentials; nothing but the service's own folders can be written, and no rights are left.
    """
    began = time.monotonic()
    line1.run("systemctl", "start", UNIT)
    _figure("start to ready [s]", time.monotonic() - began)
    assert line1.show(UNIT, "ActiveState") == "active"
    assert line1.show(UNIT, "StatusText") == "inspecting"
    station = line1.pid(UNIT)
    status = Path(f"/proc/{station}/status").read_text()
    assert {_field(status, name) for name in ("CapEff", "CapBnd", "CapPrm")} == {"0" * 16}
    assert (_field(status, "NoNewPrivs"), int(_field(status, "Uid").split()[0])) == ("1", _user(line1)[0])
    keys = line1.root / "run/credentials" / f"{UNIT}.service"
    assert {path.name: len(path.read_bytes()) for path in keys.iterdir()}["machine.key"] == 32
    # Proven engines were kept, and signed with that key alone.
    engines = line1.root / STATE / "engines"
    assert len([path for path in engines.iterdir() if path.is_dir()]) == 1
    assert not (engines / "machine.key").exists()
    assert (line1.root / ETC / "machine.key").stat().st_mode & 0o777 == 0o600
    within = [*("nsenter", "-t", line1.show(UNIT, "MainPID"), "-m", "--"), "touch"]
    for place in ("/usr", "/etc", "/var/lib", "/root"):
        assert line1.run(*within, f"{place}/.probe", check=False).returncode != 0, place
    line1.run(*within, f"/{STATE}/line1/.probe")


def test_waiting_for_a_camera_is_no_failed_start(line1: Sandbox) -> None:
    """A start that takes longer than TimeoutStartSec goes on as long as the loop does; then it is ready."""
    pictures = line1.root / "run" / "pictures"
    _configure(
        line1,
        "line1",
        retry_s=0.2,
        retry_limit_s=0.2,
        cameras=[{"name": "cam1", "height": 100, "width": 170, "source": {"kind": "replay", "path": "/run/pictures"}}],
    )
    _drop_in(line1, "short.conf", "TimeoutStartSec=3")
    try:
        line1.run("systemctl", "start", "--no-block", UNIT)
        line1.wait("it says what it waits for", lambda: "/run/pictures" in line1.show(UNIT, "StatusText"))
        began = time.monotonic()
        line1.wait("twice the limit has passed", lambda: time.monotonic() - began > 6)
        assert (line1.show(UNIT, "ActiveState"), line1.show(UNIT, "NRestarts")) == ("activating", "0")
        shutil.copytree(line1.root / "run/app/bundle/reference", pictures)
        line1.wait("it is ready", lambda: line1.show(UNIT, "ActiveState") == "active")
    finally:
        shutil.rmtree(pictures, ignore_errors=True)
        (line1.root / DROP_INS / f"{UNIT}.service.d" / "short.conf").unlink()
        line1.run("systemctl", "daemon-reload")


# ---- what hangs ------------------------------------------------------------------------------------------------


def test_a_hung_station_is_found_by_the_watchdog(line1: Sandbox) -> None:
    """Stopped (SIGSTOP) it completes no cycle: within WatchdogSec systemd kills it, and a new one is ready."""
    line1.run("systemctl", "start", UNIT)
    os.kill(line1.pid(UNIT), signal.SIGSTOP)
    detected_s = line1.wait("the watchdog", lambda: line1.show(UNIT, "NRestarts") == "1", 10 + 1 + GRACE_S + 3)
    recovered_s = line1.wait("ready again", lambda: line1.show(UNIT, "ActiveState") == "active")
    _figure("watchdog and restart [s]", detected_s)
    _figure("then to ready [s]", recovered_s)
    assert any("Watchdog timeout" in line for line in line1.journal(UNIT))
    # Where each thread stood, by the station itself.
    assert any("Fatal Python error: Aborted" in line for line in line1.journal(UNIT))


def test_a_hung_inspector_is_no_affair_of_systemd_s(line1: Sandbox) -> None:
    """It is replaced by the station: no restart, no watchdog, verdicts go on."""
    _configure(line1, "line1", budget_ms=500, hang_s=1.0)
    line1.run("systemctl", "start", UNIT)
    station = line1.pid(UNIT)
    os.kill(_child_of(station), signal.SIGSTOP)
    with _subscriber(line1) as subscriber:
        seen = _until(subscriber, lambda event: isinstance(event, Status) and event.inspector == 2 and event.ready)
        assert not [event for event in seen if isinstance(event, Verdict) and event.outcome is Outcome.PASS]
        _until(subscriber, lambda event: isinstance(event, Verdict) and event.outcome is not Outcome.UNKNOWN)
    assert (line1.show(UNIT, "NRestarts"), line1.pid(UNIT)) == ("0", station)


# ---- what comes to nothing -------------------------------------------------------------------------------------


def test_a_crash_loop_slows_down_and_never_ends(line1: Sandbox) -> None:
    """
    A configuration that cannot work: from the third failure on each start waits, longer each time, and says so.

    It is never down for good. Mended, it is ready after the pause, with the alarm; stopped by hand in a pause it ends
    at once, well, and the next start waits for nothing.
    """
    _configure(line1, "line1", start="require", bundle={"path": "/run/nowhere"})
    line1.run("systemctl", "start", "--no-block", UNIT)
    line1.wait("the first pause", lambda: "3 starts in a row" in line1.show(UNIT, "StatusText"))
    line1.wait("the second pause", lambda: "4 starts in a row" in line1.show(UNIT, "StatusText"))
    _configure(line1, "line1")
    line1.wait("it is ready", lambda: line1.show(UNIT, "ActiveState") == "active")
    assert (line1.show(UNIT, "Result"), line1.show(UNIT, "NRestarts")) == ("success", "4")
    with _subscriber(line1) as subscriber:
        status = _until(subscriber, _is_ready)[-1]
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
        os.chown(path, *_user(line1))
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
    line1.run("systemctl", "start", UNIT)
    line1.run("systemctl", "stop", UNIT)
    filler = line1.root / "var/lib/filler"
    try:
        if how == "read-only":
            line1.run("mount", "-o", "remount,ro", "/var/lib")
        else:
            line1.run("sh", "-c", "cat /dev/zero > /var/lib/filler", check=False)
        line1.run("systemctl", "start", UNIT)
        with _subscriber(line1) as subscriber:
            seen = _until(subscriber, lambda e: isinstance(e, Verdict) and e.outcome is not Outcome.UNKNOWN)
            assert {event.journaled for event in seen if isinstance(event, Verdict)} <= {False}
            status = _until(subscriber, _is_ready)[-1]
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
    _configure(line1, "line1", cameras=[camera])
    line1.run("systemctl", "start", UNIT)
    with _subscriber(line1) as subscriber:
        _trigger(line1)
        _until(subscriber, _is_verdict)
        if engines == "hang":
            os.kill(_child_of(line1.pid(UNIT)), signal.SIGSTOP)
            _trigger(line1)
            _until(subscriber, lambda event: isinstance(event, Status) and event.open == 1)
        _figure(f"stop, engines {engines} [s]", _stop_in_time(line1))
        seen = _until(subscriber, lambda event: isinstance(event, Status) and event.state == "stopped")
    last = seen[-1]
    assert isinstance(last, Status)
    assert last.open == 0
    reasons = [event.reason for event in seen if isinstance(event, Verdict)]
    assert reasons == ([Reason.STOPPED] if engines == "hang" else [])
    # Asked to end and killed after that: no failure of the service.
    assert json.loads((line1.root / STATE / "line1" / "starts.json").read_text()) == {"failed": 0}


def _trigger(machine: Sandbox) -> None:
    machine.run(str(PROGRAM), "ctl", "trigger", "--control", f"ipc:///{RUN}/line1/control")


# ---- upgrade and downgrade -------------------------------------------------------------------------------------


def test_an_older_journal_is_taken_over(line1: Sandbox, tmp_path: Path) -> None:
    """Upgrade: the file of the first version is brought to this one; epoch, numbers and ledger go on."""
    _put_journal(line1, _journal_of_version_1(tmp_path / "old.sqlite"))
    line1.run("systemctl", "start", UNIT)
    with _subscriber(line1) as subscriber:
        first = _until(subscriber, _is_verdict)[-1]
    assert isinstance(first, Verdict)
    assert (first.epoch, first.seq > 7, first.part > 9) == (99, True, True)
    line1.run("systemctl", "stop", UNIT)
    journal = _take_journal(line1, tmp_path)
    assert _value(journal, "PRAGMA user_version") == len(STEPS)
    assert _value(journal, "SELECT n FROM ledger WHERE shift = '2026-01-01T06:00' AND what = 'PASS'") == 7


def test_a_newer_journal_is_refused_and_left_as_it_is(line1: Sandbox, tmp_path: Path) -> None:
    """Downgrade: the older release says so in one line and changes nothing; the newer one goes on where it was."""
    line1.run("systemctl", "start", UNIT)
    with _subscriber(line1) as subscriber:
        _until(subscriber, _is_verdict)
    line1.run("systemctl", "stop", UNIT)
    journal = _take_journal(line1, tmp_path)
    seq = _value(journal, "SELECT seq FROM ends")
    there = _put_journal(line1, _of_version(journal, 99))
    before = there.read_bytes()
    line1.run("systemctl", "start", "--no-block", UNIT)
    line1.wait("it refuses", lambda: line1.show(UNIT, "NRestarts") == "1")
    line1.run("systemctl", "stop", UNIT)
    refusal = [line for line in line1.journal(UNIT, "-p", "err") if "journal of version 99" in line]
    assert "written by a newer release; install that release, or name another state_dir" in refusal[-1]
    assert there.read_bytes() == before
    assert not list(there.parent.glob("journal.sqlite.damaged*"))
    _put_journal(line1, _of_version(journal, len(STEPS)))
    line1.run("systemctl", "start", UNIT)
    with _subscriber(line1) as subscriber:
        first = _until(subscriber, _is_verdict)[-1]
    assert isinstance(first, Verdict)
    assert first.seq > seq


def _journal_of_version_1(path: Path) -> Path:
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, STEPS[:1])
    connection.execute("INSERT INTO epochs VALUES (1, 99, 1, 0, 1)")
    connection.execute("UPDATE ends SET part = 9, seq = 7")
    connection.execute("INSERT INTO ledger VALUES ('2026-01-01T06:00', 'production', 'PASS', 7)")
    connection.close()
    return path


def _of_version(journal: Path, version: int) -> Path:
    connection = sqlite3.connect(journal, isolation_level=None)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    return journal


def _take_journal(machine: Sandbox, folder: Path) -> Path:
    """Return a copy of a stopped station's journal: SQLite finds no way into the machine."""
    for path in (machine.root / STATE / "line1").glob("journal.sqlite*"):
        shutil.copy(path, folder)
    return folder / "journal.sqlite"


def _put_journal(machine: Sandbox, journal: Path) -> Path:
    """Give a station that is stopped this journal in place of its own; return where it lies."""
    state = machine.root / STATE / "line1"
    state.mkdir(mode=0o750, exist_ok=True)
    for path in state.glob("journal.sqlite*"):
        path.unlink()
    placed = Path(shutil.copy(journal, state / "journal.sqlite"))
    for path in (state, placed):
        os.chown(path, *_user(machine))
    return placed


def _value(journal: Path, query: str) -> int:
    connection = sqlite3.connect(journal)
    try:
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()


# ---- two stations ----------------------------------------------------------------------------------------------


def test_two_stations_share_a_machine_and_no_core(line1: Sandbox) -> None:
    """
    The second gets ports of its own from the command and cores of its own from the engineer.

    One that names a core of the other is refused and told whose it is; affinity and locked memory are really there.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("needs two cores")
    _reset(line1, "line2")
    (line1.root / ETC / "line1.toml").unlink()
    for name in ("line1", "line2"):
        line1.run(str(PROGRAM), "install", "--station", name)
    laid = {n: Station.model_validate(read_toml(line1.root / ETC / f"{n}.toml")) for n in ("line1", "line2")}
    ports = {name: station.endpoints.model_dump() for name, station in laid.items()}
    for name, core in zip(("line1", "line2"), (cores[0], cores[0]), strict=True):
        _configure(line1, name, endpoints=ports[name], process=_own(core))
    _let_lock(line1)
    folder = line1.root / DROP_INS
    shutil.copytree(folder / f"{UNIT}.service.d", folder / f"{UNIT2}.service.d", dirs_exist_ok=True)
    line1.run("systemctl", "daemon-reload")
    assert f"line1.toml and line2.toml both have core {cores[0]}" in line1.run(str(PROGRAM), "install").stdout
    try:
        line1.run("systemctl", "start", UNIT)
        line1.run("systemctl", "start", "--no-block", UNIT2)
        line1.wait("it is refused", lambda: line1.show(UNIT2, "NRestarts") != "0")
        _configure(line1, "line2", endpoints=ports["line2"], process=_own(cores[1]))
        line1.wait("both are ready", lambda: line1.show(UNIT2, "ActiveState") == "active")
        assert any(f"core {cores[0]} is taken by station line1" in line for line in line1.journal(UNIT2, "-p", "err"))
        for unit, core in ((UNIT, cores[0]), (UNIT2, cores[1])):
            for process in (line1.pid(unit), _child_of(line1.pid(unit))):
                assert _cores_of(process) == {str(core)}, (unit, process)
                assert _locked_kb(process) > 10_000
    finally:
        _reset(line1, "line2")
        (line1.root / ETC / "line2.toml").unlink()


def _let_lock(machine: Sandbox) -> None:
    """Where this machine's systemd may raise no limit, LimitMEMLOCK=infinity is none: the right takes its place."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] != resource.RLIM_INFINITY:
        right = "CAP_IPC_LOCK"
        _drop_in(machine, "lock.conf", f"CapabilityBoundingSet={right}", f"AmbientCapabilities={right}")


def _own(core: int) -> dict[str, Any]:
    return {"station_cpus": str(core), "inspector_cpus": str(core), "lock_memory": True}


def _cores_of(process: int) -> set[str]:
    """Return the cores that the threads of a process may run on, each as the kernel lists them."""
    statuses = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/status")]
    return {_field(status, "Cpus_allowed_list") for status in statuses}


def _locked_kb(process: int) -> int:
    return int(_field(Path(f"/proc/{process}/status").read_text(), "VmLck").split()[0])


def _field(status: str, name: str) -> str:
    return next(line.split(":", 1)[1].strip() for line in status.splitlines() if line.startswith(f"{name}:"))


# ---- last: taking it away --------------------------------------------------------------------------------------


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
