"""The machine in the box harms nobody: it writes to nothing of the host's, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.peers.systemd.sandbox import Sandbox

pytestmark = pytest.mark.systemd


@pytest.mark.parametrize(
    "place", ["/proc/sysrq-trigger", "/proc/sys/kernel/printk", "/sys/kernel/uevent_helper", "/usr"]
)
def test_nothing_of_the_host_can_be_written(machine: Sandbox, place: str) -> None:
    """By root neither: what is refused is the file system, not a right."""
    if not Path(place).exists():
        pytest.skip(f"no {place} here")
    assert machine.run("test", "-w", place, check=False).returncode == 1
    assert machine.run("test", "-w", "/srv", check=False).returncode == 0


def test_a_machine_that_has_ended_by_itself_is_tidied_up(tmp_path: Path) -> None:
    """And whoever has its number by then is left alone."""
    box = Sandbox({})
    box._group, box._folder = tmp_path / "group", tmp_path / "folder"
    box._group.mkdir()
    box._folder.mkdir()
    box._process = subprocess.Popen(["true"])
    box._init, box._handle = os.getpid(), os.pidfd_open(box._process.pid)
    box._process.wait()
    box._end()
    assert list(tmp_path.iterdir()) == []


def test_a_machine_that_never_booted_is_tidied_up(tmp_path: Path) -> None:
    """What was begun of it is killed."""
    box = Sandbox({})
    box._group, box._folder = tmp_path / "group", tmp_path / "folder"
    box._group.mkdir()
    box._folder.mkdir()
    box._process = subprocess.Popen(["sleep", "60"])
    began = time.monotonic()
    box._end()
    assert time.monotonic() - began < 30
    assert list(tmp_path.iterdir()) == []
