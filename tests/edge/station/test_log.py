"""Log lines by a thread of their own: a reader that hangs does not stop the station."""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import sys
from pathlib import Path

from edge.station.log import _Handler

_TALKS = """
import logging
from edge.station.log import logged
with logged("station"):
    for number in range({lines}):
        logging.getLogger("edge.station").warning("line %d", number)
    open({path!r}, "w").write("done")
"""


def test_lines_come_in_order_behind_the_name(tmp_path: Path) -> None:
    """Up to the last one."""
    program = _TALKS.format(lines=20, path=str(tmp_path / "done"))
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60).stderr
    assert told.decode().splitlines() == [f"station: line {n}" for n in range(20)]


def test_a_pipe_that_nobody_drains_stops_nothing(tmp_path: Path) -> None:
    """More lines than a pipe holds are said, and the process ends all the same."""
    done = tmp_path / "done"
    reader, writer = os.pipe()
    try:
        program = _TALKS.format(lines=50_000, path=str(done))
        process = subprocess.run([sys.executable, "-c", program], stderr=writer, check=False, timeout=60)
        assert process.returncode == 0
        assert done.read_text() == "done"
    finally:
        os.close(reader)
        os.close(writer)


def test_dropped_lines_are_counted() -> None:
    """Whoever reads again learns how many are missing."""
    lines: queue.Queue[logging.LogRecord | None] = queue.Queue(2)
    handler = _Handler(lines)
    for number in range(5):
        handler.handle(logging.LogRecord("edge", logging.INFO, "", 0, f"line {number}", None, None))
    assert [lines.get().getMessage() for _ in range(2)] == ["line 0", "line 1"]  # type: ignore[union-attr]
    handler.handle(logging.LogRecord("edge", logging.INFO, "", 0, "line 5", None, None))
    told = [lines.get().getMessage() for _ in range(2)]  # type: ignore[union-attr]
    assert told == ["3 lines were dropped here: nobody read them", "line 5"]
