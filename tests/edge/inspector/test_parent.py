"""A process of the station and its parent: it does not outlive the one that started it."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

from edge.inspector.parent import end_if_orphaned

PATIENCE_MS = 20_000
CHILD = """
import os, sys
from edge.inspector.parent import die_with_parent
die_with_parent()
os.write(int(sys.argv[1]), b"tied")
os.read(int(sys.argv[2]), 1)
"""
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {CHILD!r}, *sys.argv[1:]], pass_fds=[int(fd) for fd in sys.argv[1:]])
"""


def test_the_kernel_ends_it_with_its_parent() -> None:
    """A parent that is killed says nothing to anybody: all the same its child lets go of everything."""
    said, words = os.pipe()
    waits, never = os.pipe()
    with subprocess.Popen([sys.executable, "-c", PARENT, str(words), str(waits)], pass_fds=[words, waits]) as parent:
        os.close(words)
        os.close(waits)
        assert os.read(said, 4) == b"tied"
        parent.kill()
    heard = select.poll()
    heard.register(said)
    assert heard.poll(PATIENCE_MS), "the child lives on"
    assert os.read(said, 4) == b""
    os.close(said)
    os.close(never)


def test_a_parent_that_had_ended_before_is_noticed() -> None:
    """Another parent ends the process as asked for; the right one, and one that is not known, do not."""
    end_if_orphaned(os.getppid())
    end_if_orphaned(None)
    with pytest.raises(SystemExit) as ended:
        end_if_orphaned(os.getppid() + 1)
    assert ended.value.code == 0
