"""Signed, altered and old bundles, and the last good one, with the whole daemon: real files, engines and processes."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge.bundle import read_bundle
from edge.client import Event
from edge.records import Alarm, Audit, Outcome, Status, Verdict
from edge.rig import Rig, toml_from_tree
from edge.station.lastgood import FOLDER
from tests.support.signing import Signer

PATIENCE_S = 60.0
SOURCE = {"kind": "synthetic", "rate_hz": 10.0}


class Site:
    """A station's folders: its state, a bundle of release 7, the signer it trusts."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder, self.unsigned = folder, bundle
        self.signer = Signer(folder)
        self.state = folder / "state"
        self.bundle = self.signer.copy(bundle, folder / "bundle", release=7)
        self.hash = read_bundle(self.bundle).hash

    def settings(self, **bundle: Any) -> dict[str, Any]:
        return {
            "station": "line1",
            "budget_ms": 20_000,
            "hang_s": 30.0,
            "state_dir": self.state,
            "bundle": {"path": self.bundle, "trusted_keys": [self.signer.public], **bundle},
            "backend": {"threads": 1},
            "cameras": [{"name": "cam1", "height": 100, "width": 170, "source": SOURCE}],
        }

    def release(self, number: int) -> None:
        """Put another signed release where the station looks."""
        shutil.rmtree(self.bundle)
        self.signer.copy(self.unsigned, self.bundle, release=number)

    def run(self, **bundle: Any) -> list[Event]:
        """Run the station until it has given a verdict and kept a copy of what it inspects with."""
        seen: list[Event] = []
        with Rig(self.settings(**bundle), flags=()) as rig:
            for event in rig.events(PATIENCE_S):
                seen.append(event)
                given = [e for e in seen if isinstance(e, Verdict) and e.outcome is not Outcome.UNKNOWN]
                if given and (self.state / FOLDER / given[-1].bundle_hash).is_dir():
                    rig.process.send_signal(signal.SIGTERM)
        return seen

    def start(self, *flags: str, **bundle: Any) -> subprocess.CompletedProcess[str]:
        """Start a station that is expected to end by itself."""
        config = self.folder / "line1.toml"
        names = ("results", "masks", "pictures", "control")
        endpoints = {name: f"ipc://{self.folder}/{name}" for name in names}
        config.write_text(toml_from_tree({"endpoints": endpoints, **self.settings(**bundle)}))
        command = [sys.executable, "-m", "edge.station.daemon", str(config), *flags]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.fixture
def site(tmp_path: Path, tiny_bundle: Path) -> Site:
    return Site(tmp_path, tiny_bundle)


def judged_by(events: list[Event]) -> set[str]:
    return {e.bundle_hash for e in events if isinstance(e, Verdict) and e.outcome is not Outcome.UNKNOWN}


def alarmed(events: list[Event]) -> bool:
    return any(Alarm.LAST_GOOD_BUNDLE in e.alarms for e in events if isinstance(e, Status) and e.ready)


def test_a_station_outlives_the_bundle_it_cannot_use(site: Site) -> None:
    """
    Altered, then taken away, then an old one in its place: each start goes on with the last good one, and says so.

    The new release ends it.
    """
    first = site.run()
    assert (judged_by(first), alarmed(first)) == ({site.hash}, False)
    assert read_bundle(site.state / FOLDER / site.hash).hash == site.hash

    network = site.bundle / "segmenter.onnx"
    network.write_bytes(network.read_bytes()[:-1])
    altered = site.run()
    assert (judged_by(altered), alarmed(altered)) == ({site.hash}, True)
    [told] = [e.detail for e in altered if isinstance(e, Audit) and e.event.value == "last_good_bundle"] or [""]
    assert "segmenter.onnx has SHA-256" in told or not told  # Nobody may have listened yet; the alarm stays.

    shutil.rmtree(site.bundle)
    site.signer.copy(site.unsigned, site.bundle, release=6)
    old = site.run()
    assert (judged_by(old), alarmed(old)) == ({site.hash}, True)
    assert any("release 6, but release 7 was active" in e.detail for e in old if isinstance(e, Status))

    site.release(8)
    new = site.run()
    assert (judged_by(new), alarmed(new)) == ({read_bundle(site.bundle).hash}, False)
    assert len(list((site.state / FOLDER).iterdir())) == 2


def test_going_back_on_purpose_is_allowed_on_purpose(site: Site) -> None:
    """--check refuses it like the start; allow_older = true is enough."""
    site.run()
    site.release(6)
    checked = site.start("--check")
    assert checked.returncode == 3
    assert "release 6, but release 7 was active here before" in checked.stderr
    back = site.run(allow_older=True)
    assert (judged_by(back), alarmed(back)) == ({read_bundle(site.bundle).hash}, False)


def test_a_copy_the_settings_would_refuse_is_refused(site: Site) -> None:
    """The key is not trusted any more: neither the bundle nor its copies are used, and the exit says both."""
    site.run()
    stranger = Signer(site.folder, "stranger")
    ended = site.start(trusted_keys=[stranger.public])
    assert ended.returncode == 3
    line = ended.stderr.strip().splitlines()[-1]
    assert line.count("no trusted key has signed") == 2
    assert "nor can the last good one be used" in line
    assert str(site.state / FOLDER / site.hash) in line
