"""Memory that stays: pages of this process are neither swapped out nor dropped. Source: man 2 mlockall."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

from edge.errors import ConfigurationError

_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4
_CAP_IPC_LOCK = 1 << 14


def lock_memory() -> None:
    """
    Lock each page of this process once it has been used, now and later.

    Not before it has been used: the libraries reserve many times the memory that they ever touch.

    Raises:
        ConfigurationError: it may not; says which limit to raise.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    # With a limit the lock would be taken, and some later allocation refused in the middle of the work.
    if soft != resource.RLIM_INFINITY and not _may_exceed():
        raise ConfigurationError(
            f"key 'process.lock_memory' = true: only {soft} bytes may be locked; expected no limit: "
            "LimitMEMLOCK=infinity of the service, or ulimit -l unlimited as root; or set it to false"
        )
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_CURRENT | _FUTURE | _ON_FAULT) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise ConfigurationError(f"key 'process.lock_memory' = true: the kernel refuses ({reason}); set it to false")


def locked_bytes(process: int | None = None) -> int:
    """Return how much memory of a process is locked, None = of this one."""
    status = Path(f"/proc/{process or 'self'}/status").read_text(encoding="ascii", errors="replace")
    return 1024 * int(_field(status, "VmLck").split()[0])


def _may_exceed() -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return bool(int(_field(status, "CapEff"), 16) & _CAP_IPC_LOCK)


def _field(status: str, name: str) -> str:
    return next(line.split(":", 1)[1].strip() for line in status.splitlines() if line.startswith(f"{name}:"))
