"""
The daemon with another inspector: ``python -I serve.py CONFIG COMMAND...``.

Without COMMAND the inspector is the real one. A script of its own, so that a test can kill it like the real daemon.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import signal
import sys
import tempfile
from pathlib import Path

from edge.settings import Station, read_toml
from edge.station.daemon import serve
from edge.station.supervisor import INSPECTOR
from edge.station.systemd import Notifier

_PR_SET_PDEATHSIG = 1


def main(config: Path, command: list[str]) -> int:
    """Serve until told to stop; return the exit code."""
    # Whoever started it and was killed cannot stop it any more.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    station = Station.model_validate(read_toml(config))
    with tempfile.TemporaryDirectory(prefix="edge-") as folder, contextlib.closing(Notifier()) as notifier:
        return serve(station, Path(folder), notifier, once=False, inspector=command or INSPECTOR)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
