"""The station as the parent of its processes: none of them outlives it, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends; call it first of all."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_if_orphaned(parent: int | None) -> None:
    """
    End this process, as asked for, if its parent had ended before die_with_parent().

    Args:
        parent: process id of the one that started it; None = not known.
    """
    if parent is not None and os.getppid() != parent:
        sys.exit(0)
