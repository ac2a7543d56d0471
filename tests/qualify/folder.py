"""
How soon a file that is renamed into a watched folder is noticed, and how soon its picture is decoded.

The writer is a process of its own. What the station does with the picture is no part of it: see ``faults``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.inspector.camera import Frame
from edge.inspector.camera.folder import FolderCamera
from edge.settings import FolderSource
from tests.qualify.report import percentiles, table

TITLE = "folder watch: from rename to noticed and to decoded"

SIZES = ((256, 1600), (2048, 2048))
ENDINGS = ("bmp", "png")
_FILES = 200
_EVERY_S = {SIZES[0]: 0.03, SIZES[1]: 0.15}
_SILENT_READS = 25
"""Of 0.2 s: the writer has died."""
# Says when it renamed each file; CLOCK_MONOTONIC is the same for all processes.
_WRITER = """
import sys, time
from pathlib import Path
folder, sample, files, every_s = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
data = sample.read_bytes()
for number in range(files):
    (folder / ".part").write_bytes(data)
    at_us = time.monotonic_ns() // 1000
    (folder / ".part").rename(folder / f"{number:04}{sample.suffix}")
    print(at_us)
    time.sleep(every_s)
"""


def run(out: Path, scale: float) -> dict[str, Any]:
    """Write pictures of each size and format, and take them."""
    files = max(10, round(_FILES * scale))
    cases = list(product(SIZES, ENDINGS))
    found = {f"{size[0]}x{size[1]} {ending}": _case(out / "folder", size, ending, files) for size, ending in cases}
    rows = [
        (name, one["bytes"] / 1e6, *(one[of][key] for of in ("noticed", "decoded") for key in ("p50", "p99", "max")))
        for name, one in found.items()
    ]
    columns = ("picture", "MB", *(f"{of} {key}" for of in ("noticed", "decoded") for key in ("p50", "p99", "max")))
    table(f"From rename to noticed and to the decoded picture [ms], {files} files each", columns, rows)
    lost = [f"{name}: {one['lost']} of {files} files not taken" for name, one in found.items() if one["lost"]]
    return {"cases": found, "broken": lost}


def _case(folder: Path, size: tuple[int, int], ending: str, files: int) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "in").mkdir(parents=True)
    # Noise within a surface's range, as a camera has it: PNG halves it.
    noise = np.random.default_rng(1).normal(120, 6, size).clip(0, 255).astype(np.uint8)
    sample = folder / f"sample.{ending}"
    assert cv2.imwrite(str(sample), noise)
    source = FolderSource(kind="folder", path=folder / "in", afterwards="move")
    camera = FolderCamera(source, "mono8", convert=False, from_arrival=True)
    camera.open(1)
    command = [sys.executable, "-c", _WRITER, str(folder / "in"), str(sample), str(files), str(_EVERY_S[size])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        taken = _taken(camera, files)
        renamed_us = [int(line) for line in writer.communicate()[0].split()]
    camera.close()
    noticed_ms = [(seen_us - renamed_us[number]) / 1000 for number, (seen_us, _) in taken.items()]
    decoded_ms = [(had_us - renamed_us[number]) / 1000 for number, (_, had_us) in taken.items()]
    of = {"noticed": percentiles(noticed_ms), "decoded": percentiles(decoded_ms)}
    return {"bytes": sample.stat().st_size, "lost": files - len(taken), **of}


def _taken(camera: FolderCamera, files: int) -> dict[int, tuple[int, int]]:
    """Return by file number when it was noticed and when its picture was there, monotonic."""
    taken: dict[int, tuple[int, int]] = {}
    silent = 0
    while len(taken) < files and silent < _SILENT_READS:
        part = camera.read()
        silent = silent + 1 if part is None else 0
        if isinstance(part, Frame):
            taken[int(Path(part.source).stem)] = part.captured_us, time.monotonic_ns() // 1000
    return taken
