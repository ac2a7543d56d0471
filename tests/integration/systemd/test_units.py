"""The unit files are what systemd understands, and nothing that its oldest version we support does not know."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.service.files import UNIT, service_files, shipped

pytestmark = pytest.mark.systemd

# Of the unit and its drop-in, those that came after systemd 230, with the version that brought them. Source: man 5
# systemd.exec, systemd.service, systemd.resource-control, their histories. JetPack 6 has 249.
_OLDEST = 249
_SINCE = {
    "CacheDirectory": 235,
    "CacheDirectoryMode": 235,
    "KeyringMode": 235,
    "LoadCredential": 247,
    "LockPersonality": 235,
    "LogsDirectory": 235,
    "LogsDirectoryMode": 235,
    "ProtectClock": 245,
    "ProtectControlGroups": 232,
    "ProtectHostname": 242,
    "ProtectKernelLogs": 244,
    "ProtectKernelModules": 232,
    "ProtectKernelTunables": 232,
    "ProtectProc": 247,
    "ReadWritePaths": 231,
    "RemoveIPC": 232,
    "RestrictNamespaces": 233,
    "RestrictRealtime": 231,
    "RestrictSUIDSGID": 242,
    "StartLimitIntervalSec": 230,
    "StateDirectory": 235,
    "StateDirectoryMode": 235,
    "TimeoutAbortSec": 243,
}
_OLD = """
    After AmbientCapabilities CapabilityBoundingSet Description DeviceAllow DevicePolicy Environment ExecStart Group
    KillMode LimitCORE LimitMEMLOCK LimitNOFILE Nice NoNewPrivileges NotifyAccess OOMScoreAdjust PrivateTmp ProtectHome
    ProtectSystem Restart RestartSec RestrictAddressFamilies RuntimeDirectory RuntimeDirectoryMode SupplementaryGroups
    SystemCallArchitectures SystemCallErrorNumber SystemCallFilter TimeoutStartSec TimeoutStopSec Type UMask User
    WantedBy WatchdogSec WorkingDirectory
"""


@pytest.fixture
def analyze() -> str:
    """Return systemd-analyze; without it the tests fail in CI (variable CI is set) and are skipped elsewhere."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("systemd-analyze is not installed")
    return tool


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Return the unit as an instance, as it is laid out for this environment's program."""
    program = Path(sys.executable).with_name("edge-inspectd")
    [text] = [file.text for file in service_files(program, machine_key=False) if file.path == UNIT]
    assert text.count(str(program)) == 1
    instance = tmp_path / "edge-inspectd@line1.service"
    instance.write_text(text, encoding="utf-8")
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


def test_an_old_systemd_knows_every_key() -> None:
    """What a newer one brought would be passed over with a warning that nobody reads."""
    text = shipped("edge-inspectd@.service") + shipped("machine-key.conf")
    keys = set(re.findall(r"^([A-Za-z]+)=", text, re.MULTILINE))
    assert keys <= {*re.findall(r"\w+", _OLD), *_SINCE}
    assert set(_SINCE) <= keys
    assert max(_SINCE.values()) <= _OLDEST
