"""
A log line as whoever reads standard error wants it: systemd's journal with its priority, a person without.

Source: man 3 sd-daemon (prefixes), man 5 systemd.exec (JOURNAL_STREAM).
"""

from __future__ import annotations

import logging
import os

_STDERR = 2
# syslog's numbers; the first whose level is reached counts.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7


def journal_reads() -> bool:
    """Tell whether standard error ends in systemd's journal."""
    try:
        status = os.fstat(_STDERR)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM", "") == f"{status.st_dev}:{status.st_ino}"


def prefix_of(level: int) -> str:
    """Return what the journal takes a line's priority from, ``<3>`` for an error; empty where no journal reads."""
    if not journal_reads():
        return ""
    return f"<{next((number for least, number in _PRIORITIES if level >= least), _DEBUG)}>"


class LineFormatter(logging.Formatter):
    """Each line of a message, tracebacks too, behind its priority and the name of the program."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        begin = f"{prefix_of(record.levelno)}{self._program}: "
        return "\n".join(begin + line for line in super().format(record).splitlines() or [""])
