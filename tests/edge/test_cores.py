"""Cores of a station: named as the kernel names them, really taken, and never by two stations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge import cores as module
from edge.cores import claimed, claims_folder, cores_from_text, pin, refuse_missing, text_from_cores
from edge.errors import ConfigurationError

_PINNED = """
import os, sys, threading
from edge.cores import pin
over = threading.Event()
early = threading.Thread(target=over.wait)
early.start()
pin((int(sys.argv[1]),), "process.station_cpus")
seen = []
thread = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
thread.start(); thread.join()
print(sorted(os.sched_getaffinity(0)), sorted(seen[0]), sorted(os.sched_getaffinity(early.native_id)))
over.set()
"""
_HOLDS = """
import sys
from pathlib import Path
from edge.cores import claimed
with claimed((3,), "line2", Path(sys.argv[1])):
    print("holds", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(("text", "cores"), [("2-3,5", (2, 3, 5)), ("0", (0,)), (" 1, 0 ", (0, 1)), ("4-4", (4,))])
def test_a_list_is_read_as_the_kernel_writes_it(text: str, cores: tuple[int, ...]) -> None:
    """Numbers and ranges, in any order."""
    assert cores_from_text(text) == cores


@pytest.mark.parametrize("text", ["", "a", "3-1", "1,1", "0-2,2", "-1", "1-", "1024", "1;2", "99999"])
def test_anything_else_is_refused(text: str) -> None:
    """Also a core twice, which is a slip of the hand."""
    with pytest.raises(ValueError, match="expected"):
        cores_from_text(text)


@pytest.mark.parametrize("text", ["2-3,5", "0", "0-1", "1,3,5-7"])
def test_written_again_it_is_the_same(text: str) -> None:
    """Runs become ranges."""
    assert text_from_cores(cores_from_text(text)) == text


def test_a_core_that_is_not_there_is_named() -> None:
    """The line says which, and which there are."""
    with pytest.raises(ConfigurationError, match="no core 1023 here"):
        refuse_missing((1023,), "process.station_cpus")


def test_the_kernel_s_silence_is_not_believed() -> None:
    """It takes the part of the list that it has and says nothing: that is refused."""
    core = min(os.sched_getaffinity(0))
    code = f"from edge.cores import pin; pin(({core}, 1023), 'process.station_cpus')"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr
    assert "no core 1023 here" in told


def test_all_threads_are_there() -> None:
    """Those that the process has when it is moved, and those that begin later."""
    core = max(os.sched_getaffinity(0))
    told = subprocess.run([sys.executable, "-c", _PINNED, str(core)], capture_output=True, text=True, check=True).stdout
    assert told.strip() == f"[{core}] [{core}] [{core}]"


def test_a_refused_list_says_its_key() -> None:
    """No such core at all: the kernel's own word, behind the key."""
    with pytest.raises(ConfigurationError, match=r"process\.inspector_cpus' = 1023"):
        pin((1023,), "process.inspector_cpus")


def test_two_stations_never_have_the_same_core(tmp_path: Path) -> None:
    """The second one is refused and told who has it; when that one ends, however, the core is free."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "holds\n"
        with pytest.raises(ConfigurationError, match=rf"core 3 is taken by station line2 \(process {other.pid}\)"):
            _claim(tmp_path, 2, 3)
        _claim(tmp_path, 2, 4)  # A refusal has left nothing behind.
        other.kill()
        other.wait()
    _claim(tmp_path, 2, 3)


def test_all_stations_of_a_machine_claim_in_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where services are, that one or none, whoever may write to it; by hand on any other machine, beside engines."""
    monkeypatch.setattr(module, "CLAIMS", tmp_path / "cores")
    assert claims_folder(tmp_path / "engines", service=False) == tmp_path / "engines" / "cores"
    with pytest.raises(ConfigurationError, match="not there: cores that are claimed elsewhere could be another"):
        claims_folder(tmp_path / "engines", service=True)
    (tmp_path / "cores").mkdir(mode=0o500)
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    for service in (True, False):
        assert claims_folder(tmp_path / "engines", service=service) == tmp_path / "cores"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Without claims nobody would know of the other."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cores cannot be claimed"):
        _claim(tmp_path / "file", 1)


def _claim(folder: Path, *cores: int) -> None:
    with claimed(cores, "line1", folder):
        pass
