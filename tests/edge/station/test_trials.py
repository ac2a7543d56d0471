"""Trials with real processes: one that reports, one that only ends, one that never does."""

from __future__ import annotations

import gc
import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge.inspector.report import Task, TrialReport
from edge.station.trials import Trials
from tests.support.station import FakeClock

PATIENCE_S = 60
TASK = Task(station="{}", bundle="/nowhere", recipe=b"{}")
REPORT = TrialReport(
    bundle_hash="b", recipe_hash="r", class_names=("pits",), accepted=True, text="2 frames agree", frames=()
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def trials(clock: FakeClock) -> Iterator[Trials]:
    trials = Trials(clock)
    yield trials
    trials.stop()


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of the program that is started in the interpreter's place."""
    program = tmp_path / "trial"
    monkeypatch.setattr(sys, "executable", str(program))
    return program


def play(program: Path, lines: str) -> None:
    program.write_text(f"#!/bin/sh\n{lines}\n")
    program.chmod(0o755)


def ended(trials: Trials) -> TrialReport | str | None:
    """Wait until the process has ended, as the loop does; return what became of the trial."""
    assert select.select([trials.alive_fd], [], [], PATIENCE_S)[0]
    return trials.ended()


def test_a_trial_that_cannot_be_watched_is_ended(trials: Trials, played: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor left: its process is killed, nothing runs, and stopping is harmless."""
    play(played, "exec sleep 1000")
    pids: list[int] = []

    def refuse(pid: int) -> int:
        pids.append(pid)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(OSError, match="Too many"):
        trials.start(TASK)
    assert not trials.running
    trials.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_trial_reports_once(trials: Trials, played: Path, tmp_path: Path) -> None:
    """It is told its task on standard input, and reports on standard output; then another one may begin."""
    (tmp_path / "report").write_bytes(msgspec.json.encode(REPORT))
    play(played, f"cat > {tmp_path}/told; echo $* > {tmp_path}/arguments; cat {tmp_path}/report")
    assert not trials.running
    for _ in range(2):
        trials.start(TASK)
        assert trials.running
        assert ended(trials) == REPORT
        assert not trials.running
        assert trials.alive_fd == -1
        assert trials.ended() is None
    assert msgspec.json.decode((tmp_path / "told").read_bytes(), type=Task) == TASK
    assert (tmp_path / "arguments").read_text() == "-I -m edge.inspector.trial\n"


@pytest.mark.parametrize(
    ("lines", "code"),
    [("exit 3", 3), ("echo '{}'; exit 0", 0), ("printf '{\"accepted\": true'", 0), ("kill -9 $$", -9)],
)
def test_a_trial_without_a_report_has_failed(trials: Trials, played: Path, lines: str, code: int) -> None:
    """Whatever its exit code, and half a report is none."""
    play(played, lines)
    trials.start(TASK)
    assert ended(trials) == f"the trial ended with code {code} and without a report; see the log"
    assert not trials.running


def test_a_trial_that_never_ends_is_killed(trials: Trials, played: Path, clock: FakeClock) -> None:
    """It is never waited for: while it runs there is nothing to say."""
    play(played, "exec sleep 3600")
    trials.start(TASK)
    assert trials.ended() is None
    clock.us += 179_999_999
    assert trials.ended() is None
    clock.us += 1
    assert trials.ended() is None, "it is killed and not waited for"
    os.waitid(os.P_PIDFD, trials.alive_fd, os.WEXITED | os.WNOWAIT)
    assert trials.ended() == "the trial did not end within 180 s and was killed"
    assert not trials.running


def test_a_trial_that_is_given_up_leaves_nothing_behind(trials: Trials, played: Path) -> None:
    """Neither a process nor a descriptor; giving up what does not run is nothing."""
    # Connections that other tests left behind go when they are found, which must not be in between.
    gc.collect()
    before = sorted(Path("/proc/self/fd").iterdir())
    play(played, "exec sleep 3600")
    trials.start(TASK)
    process = trials._process
    assert process is not None
    trials.stop()
    trials.stop()
    assert process.returncode == -9
    assert len(sorted(Path("/proc/self/fd").iterdir())) == len(before)


def test_a_process_that_cannot_be_started_is_told(trials: Trials, played: Path) -> None:
    """Nothing runs then, and nothing is left open."""
    with pytest.raises(FileNotFoundError):
        trials.start(TASK)
    assert not trials.running
    assert trials.ended() is None
    assert trials.alive_fd == -1


def test_the_real_trial_says_why_it_refuses(trials: Trials) -> None:
    """Settings that are none end in a report or in its absence, never in an accepted change."""
    trials.start(TASK)
    report = ended(trials)
    assert isinstance(report, str) or (isinstance(report, TrialReport) and not report.accepted)
