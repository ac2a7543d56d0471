"""Log lines by a thread of their own: whoever does not read them must not stop the station."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Iterator
from logging.handlers import QueueHandler

from edge.logline import LineFormatter

# Beyond it lines are dropped and counted: a reader that hangs has lost the beginning of a story, not the station.
_LINES_WAITING = 1000
_LAST_LINES_S = 0.25
_STDERR = 2


class _Handler(QueueHandler):
    """Queues a line, or counts it when nobody reads."""

    def __init__(self, lines: queue.Queue[logging.LogRecord | None]) -> None:
        super().__init__(lines)
        self._lines = lines
        self._dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            if self._dropped:
                self._lines.put_nowait(_line(f"{self._dropped} lines were dropped here: nobody read them"))
                self._dropped = 0
            self._lines.put_nowait(record)
        except queue.Full:
            self._dropped += 1


@contextlib.contextmanager
def logged(program: str) -> Iterator[None]:
    """Write what is logged inside to standard error, each line behind the name of the program."""
    lines: queue.Queue[logging.LogRecord | None] = queue.Queue(_LINES_WAITING)
    # A daemon: a pipe that nobody drains must not keep the process from ending.
    writer = threading.Thread(target=_write_on, args=(lines, program), name="log", daemon=True)
    writer.start()
    handler = _Handler(lines)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        with contextlib.suppress(queue.Full):
            lines.put(None, timeout=_LAST_LINES_S)
        writer.join(_LAST_LINES_S)


def _write_on(lines: queue.Queue[logging.LogRecord | None], program: str) -> None:
    # Not through sys.stderr: a write that hangs would hold its lock, and the interpreter waits for that at its end.
    formatter = LineFormatter(program)
    while (record := lines.get()) is not None:
        line = f"{formatter.format(record)}\n".encode(errors="replace")
        try:
            while line:
                line = line[os.write(_STDERR, line) :]
        except OSError:
            return  # Nobody is there to be told.


def _line(text: str) -> logging.LogRecord:
    return logging.LogRecord("edge.station", logging.WARNING, __file__, 0, text, None, None)
