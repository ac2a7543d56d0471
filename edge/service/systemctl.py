"""What systemd is asked to do on this machine, once files have been laid out or taken away."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge.errors import ConfigurationError
from edge.service.files import SYSUSERS, TMPFILES, UNIT

_BOOTED = Path("/run/systemd/system")
"""There while systemd runs the machine. Source: man 3 sd_booted."""
_LIMIT_S = 60.0

RELOAD: tuple[tuple[str, ...], ...] = (
    ("systemctl", "daemon-reload"),
    ("udevadm", "control", "--reload"),
)
LAY_OUT: tuple[tuple[str, ...], ...] = (
    # Never without a file: they would go through all that any package has ever wanted.
    ("systemd-sysusers", f"/{SYSUSERS}"),
    ("systemd-tmpfiles", "--create", f"/{TMPFILES}"),
    *RELOAD,
    ("udevadm", "trigger", "--action=change", "--subsystem-match=video4linux", "--subsystem-match=usb"),
)


def runs() -> bool:
    """Tell whether systemd runs this machine."""
    return _BOOTED.is_dir()


def ask(command: Sequence[str]) -> str:
    """Run one of systemd's tools; return why that failed, empty when it did not."""
    if shutil.which(command[0]) is None:
        return f"{command[0]} is not installed"
    try:
        done = _run(command)
    except subprocess.TimeoutExpired:
        return f"no answer within {_LIMIT_S:g} s"
    lines = (done.stderr or done.stdout).strip().splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else f"exit code {done.returncode}")


def stations(root: Path) -> Iterator[str]:
    """
    Yield the stations that are started with the machine, or run: ``edge-inspectd@line1.service``.

    Raises:
        ConfigurationError: systemd does not say which run.
    """
    begins, ends = UNIT.stem, UNIT.suffix
    found = {path.name for path in (root / UNIT).parent.glob(f"*.wants/{begins}*{ends}")}
    if root == Path("/") and runs():
        asked = ("systemctl", "list-units", "--plain", "--no-legend", "--full", f"{begins}*{ends}")
        try:
            listed = _run(asked)
        except subprocess.TimeoutExpired as error:
            raise ConfigurationError(
                f"{' '.join(asked)}: no answer within {_LIMIT_S:g} s; look at systemctl status, then say this again"
            ) from error
        rows = (line.split() for line in listed.stdout.splitlines())
        found |= {row[0] for row in rows if len(row) > 2 and row[2] in ("active", "activating", "deactivating")}
    yield from sorted(found)


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
