"""What may hang on the way to the end of a station is bounded, and the bounds add up to less than what is promised."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from edge.rig import toml_from_tree
from edge.station import daemon, journal, log, loop, scribe, supervisor, trials
from tests.support.station import Bench

PROMISED_S = 5.0
PATIENCE_S = 60.0

# The disk hangs once the station is at work, from the record of a clean close on.
_ON_A_HUNG_DISK = """
import sys, threading
from edge.station import daemon, kept, store
never = threading.Event()
began = kept.KeptFile.write
kept.KeptFile.write = lambda file, value: began(file, value) if getattr(value, "failed", True) else never.wait()
store.statements.end_epoch = lambda *_: never.wait()
sys.exit(daemon.main())
"""


def test_the_bounds_add_up_to_less_than_five_seconds() -> None:
    """Engines, a trial, the last commits, dying processes, slow readers, the journal, the log: each at its worst."""
    bounds_s = (
        loop._STOP_LIMIT_US / 1e6,
        trials._DEATH_S,
        loop._LAST_COMMITS_US / 1e6,
        supervisor._DEATH_S,
        daemon._LINGER_MS / 1e3,
        journal._CLOSE_S,
        scribe._CLOSE_S,
        2 * log._LAST_LINES_S,
    )
    assert sum(bounds_s) < PROMISED_S
    # Whoever did not end in the loop's time is not waited for again.
    assert supervisor._SEE_OFF_S <= loop._STOP_LIMIT_US / 1e6


def test_a_stop_does_not_wait_for_engines_that_hang() -> None:
    """The loop ends at its limit, with every part answered, though the inspector never does."""
    bench = Bench(trigger="software")
    bench.get_ready()
    bench.ask(bench.trigger("1"))
    bench.loop.stop_requested = True
    began_us = bench.clock.us
    while not bench.loop._finished():
        bench.after(100)
    assert bench.clock.us - began_us <= loop._STOP_LIMIT_US + 200_000
    bench.loop._end()
    assert [verdict.reason for verdict in bench.publisher.verdicts if verdict.reason is not None]
    assert bench.publisher.statuses[-1].state == "stopped"


def test_a_stop_does_not_wait_for_a_disk_that_hangs(tiny_bundle: Path, tmp_path: Path) -> None:
    """Neither for the record of a clean close nor for the count of failed starts: the process ends in time, well."""
    settings = {
        "station": "line1",
        "budget_ms": 20_000,
        "hang_s": 30.0,
        "bundle": {"path": tiny_bundle, "allow_unsigned": True},
        "backend": {"threads": 1},
        "endpoints": {name: f"ipc://{tmp_path}/{name}" for name in ("results", "masks", "pictures", "control")},
        "cameras": [{"name": "cam1", "height": 100, "width": 170, "source": {"kind": "synthetic", "rate_hz": 20.0}}],
    }
    (tmp_path / "line1.toml").write_text(toml_from_tree(settings))
    (tmp_path / "state").mkdir()
    environment = {**os.environ, "NOTIFY_SOCKET": f"{tmp_path}/notify", "STATE_DIRECTORY": f"{tmp_path}/state"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(f"{tmp_path}/notify")
        notify.settimeout(PATIENCE_S)
        command = [sys.executable, "-c", _ON_A_HUNG_DISK, str(tmp_path / "line1.toml")]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as station:
            while b"STATUS=inspecting" not in notify.recv(4096).splitlines():
                pass
            station.send_signal(signal.SIGTERM)
            began = time.monotonic()
            code = station.wait(PATIENCE_S)
            took_s = time.monotonic() - began
            assert station.stderr is not None
            said = station.stderr.read()
    assert (code, took_s < PROMISED_S) == (0, True), said
    assert "not everything is on the disk" in said
