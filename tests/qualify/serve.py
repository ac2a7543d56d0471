"""
The daemon with another inspector: ``python -I serve.py CONFIG COMMAND...``.

Without COMMAND it is ``edge-inspectd`` as it is installed. A script of its own, that dies with who has started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import signal
import sys
import tempfile
from pathlib import Path

from edge import inspectd
from edge.settings import Station, read_toml
from edge.station.daemon import serve
from edge.station.systemd import Notifier

_PR_SET_PDEATHSIG = 1


def main(config: Path, command: list[str]) -> int:
    """Serve until told to stop; return the exit code."""
    # Whoever started it and was killed cannot stop it any more.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if not command:
        return inspectd.main([str(config)])
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    station = Station.model_validate(read_toml(config))
    with tempfile.TemporaryDirectory(prefix="edge-") as folder, contextlib.closing(Notifier()) as notifier:
        return serve(station, Path(folder), notifier, once=False, inspector=command)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
