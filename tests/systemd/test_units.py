"""The unit files are what systemd understands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
INSTALLED = "/opt/edge-inspect/bin/edge-inspectd"

pytestmark = pytest.mark.systemd


@pytest.fixture
def analyze() -> str:
    """Return systemd-analyze; without it the tests fail in CI (variable CI is set) and are skipped elsewhere."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd-analyze is not installed")
    return tool


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Return the unit as an instance, started from where the daemon lies in this environment."""
    text = (UNITS / "edge-inspectd@.service").read_text(encoding="utf-8")
    assert text.count(INSTALLED) == 1
    instance = tmp_path / "edge-inspectd@line1.service"
    instance.write_text(text.replace(INSTALLED, str(Path(sys.executable).with_name("edge-inspectd"))), encoding="utf-8")
    return instance


def test_unit_is_clean(analyze: str, unit: Path) -> None:
    """systemd-analyze verify has nothing to say about the unit."""
    verified = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_mistyped_key_is_seen(analyze: str, unit: Path) -> None:
    """The check above can fail: a key that systemd does not know is told."""
    unit.write_text(unit.read_text(encoding="utf-8").replace("WatchdogSec", "WatchdogSecs"), encoding="utf-8")
    verified = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "WatchdogSecs" in verified.stderr


def test_exposure_stays_low(analyze: str, unit: Path) -> None:
    """Nobody takes the hardening away unseen: the exposure is at most 2.0 of 10."""
    rated = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-200:]
