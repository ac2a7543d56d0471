"""Folder watch against the kernel: more files at once than it can tell of, and none is lost or taken twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
READER = """
import sys
from pathlib import Path
from edge.inspector.camera import Frame
from edge.inspector.camera.folder import FolderCamera
from edge.settings import FolderSource

source = FolderSource(kind="folder", path=Path(sys.argv[1]), afterwards="move", rescan_ms=1000)
camera = FolderCamera(source, "mono8", convert=False, from_arrival=True)
camera.open(1)
print("open", flush=True)
silent = 0
while silent < 15:
    found = camera.read()
    silent = silent + 1 if found is None else 0
    if found is not None:
        print(type(found).__name__, found.source)
"""


def test_an_overflow_of_the_kernels_queue_loses_no_file(tmp_path: Path) -> None:
    """The process stands still while files are renamed into place: what was not told is found, each once."""
    events = int(QUEUE.read_text())
    if events > 20_000:
        pytest.skip(f"the kernel tells of {events} changes at once: too many files to write")
    files = events // 2 + 500  # Closed and renamed: two events each, or more.
    (tmp_path / "in").mkdir()
    data = cv2.imencode(".png", np.full((16, 16), 7, np.uint8))[1].tobytes()
    command = [sys.executable, "-c", READER, str(tmp_path / "in")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
        try:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "open\n"
            reader.send_signal(signal.SIGSTOP)
            for number in range(files):
                (tmp_path / ".part").write_bytes(data)
                (tmp_path / ".part").rename(tmp_path / "in" / ".part")
                # Written and renamed within the folder: both are told.
                with (tmp_path / "in" / ".part").open("ab"):
                    pass
                os.rename(tmp_path / "in" / ".part", tmp_path / "in" / f"{number:05}.png")  # noqa: PTH104 - thousands
            reader.send_signal(signal.SIGCONT)
            said, errors = reader.communicate(timeout=120)
        finally:
            reader.kill()
    assert "overflow" in errors
    assert Counter(said.split()[1::2]) == {f"{number:05}.png": 1 for number in range(files)}
    assert set(said.split()[::2]) == {"Frame"}
    assert len(list((tmp_path / "in" / "done").iterdir())) == files
