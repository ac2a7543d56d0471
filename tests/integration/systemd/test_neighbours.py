"""Journals of other releases, and two stations on one machine, under a real systemd."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from edge.records import Verdict
from edge.settings import Station, read_toml
from edge.station.schema import STEPS, migrate
from tests.peers.systemd.sandbox import PROGRAM, Sandbox
from tests.peers.systemd.service import (
    DROP_INS,
    ETC,
    STATE,
    UNIT,
    UNIT2,
    child_of,
    configure,
    drop_in,
    field,
    inspects,
    is_verdict,
    listening,
    reset,
    until,
    user,
)

pytestmark = pytest.mark.systemd


# ---- upgrade and downgrade -------------------------------------------------------------------------------------


def test_an_older_journal_is_taken_over(line1: Sandbox, tmp_path: Path) -> None:
    """Upgrade: the file of the first version is brought to this one; epoch, numbers and ledger go on."""
    _put_journal(line1, _journal_of_version_1(tmp_path / "old.sqlite"))
    line1.run("systemctl", "start", UNIT)
    with listening(line1) as subscriber:
        first = until(subscriber, is_verdict)[-1]
    assert isinstance(first, Verdict)
    assert (first.epoch, first.seq > 7, first.part > 9) == (99, True, True)
    line1.run("systemctl", "stop", UNIT)
    journal = _take_journal(line1, tmp_path)
    assert _value(journal, "PRAGMA user_version") == len(STEPS)
    assert _value(journal, "SELECT n FROM ledger WHERE shift = '2026-01-01T06:00' AND what = 'PASS'") == 7


def test_a_newer_journal_is_refused_and_left_as_it_is(line1: Sandbox, tmp_path: Path) -> None:
    """Downgrade: the older release says so in one line and changes nothing; the newer one goes on where it was."""
    line1.run("systemctl", "start", UNIT)
    with listening(line1) as subscriber:
        until(subscriber, is_verdict)
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
    with listening(line1) as subscriber:
        first = until(subscriber, is_verdict)[-1]
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
        os.chown(path, *user(machine))
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
    reset(line1, "line2")
    (line1.root / ETC / "line1.toml").unlink()
    for name in ("line1", "line2"):
        line1.run(str(PROGRAM), "install", "--station", name)
    laid = {n: Station.model_validate(read_toml(line1.root / ETC / f"{n}.toml")) for n in ("line1", "line2")}
    ports = {name: station.endpoints.model_dump() for name, station in laid.items()}
    for name, core in zip(("line1", "line2"), (cores[0], cores[0]), strict=True):
        configure(line1, name, endpoints=ports[name], process=_own(core))
    _let_lock(line1)
    folder = line1.root / DROP_INS
    shutil.copytree(folder / f"{UNIT}.service.d", folder / f"{UNIT2}.service.d", dirs_exist_ok=True)
    line1.run("systemctl", "daemon-reload")
    assert f"line1.toml and line2.toml both have core {cores[0]}" in line1.run(str(PROGRAM), "install").stdout
    try:
        line1.run("systemctl", "start", UNIT)
        line1.run("systemctl", "start", "--no-block", UNIT2)
        line1.wait("it is refused", lambda: line1.show(UNIT2, "NRestarts") != "0")
        configure(line1, "line2", endpoints=ports["line2"], process=_own(cores[1]))
        for unit in (UNIT, UNIT2):
            inspects(line1, unit)
        assert any(f"core {cores[0]} is taken by station line1" in line for line in line1.journal(UNIT2, "-p", "err"))
        for unit, core in ((UNIT, cores[0]), (UNIT2, cores[1])):
            for process in (line1.pid(unit), child_of(line1.pid(unit))):
                assert _cores_of(process) == {str(core)}, (unit, process)
                assert _locked_kb(process) > 10_000
    finally:
        reset(line1, "line2")
        (line1.root / ETC / "line2.toml").unlink()
        (folder / f"{UNIT}.service.d" / "lock.conf").unlink(missing_ok=True)
        line1.run("systemctl", "daemon-reload")


def _let_lock(machine: Sandbox) -> None:
    """Where this machine's systemd may raise no limit, LimitMEMLOCK=infinity is none: the right takes its place."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] != resource.RLIM_INFINITY:
        right = "CAP_IPC_LOCK"
        drop_in(machine, "lock.conf", f"CapabilityBoundingSet={right}", f"AmbientCapabilities={right}")


def _own(core: int) -> dict[str, Any]:
    return {"station_cpus": str(core), "inspector_cpus": str(core), "lock_memory": True}


def _cores_of(process: int) -> set[str]:
    """Return the cores that the threads of a process may run on, each as the kernel lists them."""
    statuses = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/status")]
    return {field(status, "Cpus_allowed_list") for status in statuses}


def _locked_kb(process: int) -> int:
    return int(field(Path(f"/proc/{process}/status").read_text(), "VmLck").split()[0])
