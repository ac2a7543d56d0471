"""Locked memory: taken where it may be, refused in one line where it may not."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from edge.errors import ConfigurationError
from edge.memory import _may_exceed, lock_memory, locked_bytes

_LOCKS = """
from edge.memory import lock_memory, locked_bytes
before = locked_bytes()
lock_memory()
used = bytearray(8 << 20)
print(before, locked_bytes() > 8 << 20)
"""


def test_what_is_used_is_locked() -> None:
    """What the process had, and what it takes later."""
    if not _may_exceed():
        pytest.skip("needs the right to lock memory without a limit")
    told = subprocess.run([sys.executable, "-c", _LOCKS], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["0", "True"]


def test_a_limit_is_refused_before_it_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit some later allocation would fail, in the middle of the work."""
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (65536, 65536))
    monkeypatch.setattr("edge.memory._may_exceed", lambda: False)
    with pytest.raises(ConfigurationError, match="only 65536 bytes may be locked"):
        lock_memory()
    assert locked_bytes() == 0
