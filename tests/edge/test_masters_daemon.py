"""Challenges and studies of the whole daemon: real files, engines, cameras and sockets."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from shutil import copy, rmtree
from typing import Any

import msgspec
import pytest

from edge.calibration import keep_calibration
from edge.challenge import main as challenge
from edge.control import Requester, new_id
from edge.records import Mode, Outcome, Reason, Status
from edge.repeatability.main import main as repeatability
from edge.requests import AskStatus, Replay, StatusAnswer, Trigger, Triggered
from edge.rig import toml_from_tree
from edge.settings import CalibratedCamera, CalibrationFile, ZoneTable

PATIENCE_S = 60.0
SOUND, BRIGHT, DARK = "1.png", "0.png", "2.png"
"""Pictures that the bundle was made from: without a defect, with a bright square, with a dark one."""
MASTERS = [{"name": "good-1", "expect": "PASS"}, {"name": "bad-1", "expect": "REJECT", "defect": "bright"}]


class Site:
    """A station of one camera that replays the parts it is given, in their order."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder = folder
        self.bundle = bundle
        self.config = folder / "station.toml"
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (folder / "station.log").open("wb")
        self.control = f"ipc://{folder}/control"
        self.more: dict[str, Any] = {"challenge": {"grace_min": 0, "parts": MASTERS}}

    def start(self, pictures: Sequence[str], **camera: Any) -> None:
        """Start the station, anew if it runs, and wait until it inspects."""
        self.stop()
        # The same folder each time: another one would be another camera, of which nothing is proven.
        parts = self.folder / "parts"
        rmtree(parts, ignore_errors=True)
        parts.mkdir()
        for number, name in enumerate(pictures):
            copy(self.bundle.parent / "pictures" / name, parts / f"{number:03}.png")
        source = {"kind": "replay", "path": parts, **camera.pop("source", {})}
        tree = {
            "station": "line1",
            "budget_ms": 20_000,
            "hang_s": 30.0,
            "picture_rate_hz": 0,
            "state_dir": self.folder / "state",
            "bundle": {"path": self.bundle, "allow_unsigned": True},
            "backend": {"threads": 1},
            "cameras": [{"name": "cam1", "height": 100, "width": 170, "source": source, **camera}],
            **self.more,
            "endpoints": {name: f"ipc://{self.folder}/{name}" for name in ("results", "masks", "pictures", "control")},
        }
        self.config.write_text(toml_from_tree(tree), encoding="utf-8")
        command = [sys.executable, "-I", "-m", "edge.station.daemon", str(self.config)]
        self._process = subprocess.Popen(command, stderr=self._log, stdin=subprocess.DEVNULL)
        give_up_s = time.monotonic() + PATIENCE_S
        while self.status().state not in ("ready", "degraded"):
            assert time.monotonic() < give_up_s, self.status()
            time.sleep(0.05)

    def status(self) -> Status:
        with Requester(self.control) as requester:
            asked = AskStatus(version=1, id=new_id())
            return requester.demand(asked, StatusAnswer, timeout_s=PATIENCE_S, attempts=1).status

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            assert self._process.wait(PATIENCE_S) == 0
            self._process = None

    def close(self) -> None:
        self.stop()
        self._log.close()

    def product(self) -> tuple[Outcome, Reason | None]:
        """Trigger a product and return its verdict, by the journal."""
        with Requester(self.control) as requester:
            trigger = Trigger(
                version=1, id=new_id(), part_id=None, tag=None, counter=None, mode=Mode.PRODUCTION, cameras=None
            )
            part = requester.demand(trigger, Triggered).part
            give_up_s = time.monotonic() + PATIENCE_S
            while time.monotonic() < give_up_s:
                _, verdicts = requester.replay(Replay(version=1, id=new_id(), epoch=0, seq=0, limit=1000))
                if found := [(v.outcome, v.reason) for v in verdicts if v.part == part]:
                    return found[0]
                time.sleep(0.02)
        raise AssertionError(f"no verdict of part {part}")


def calibration(folder: Path, box: tuple[int, int, int, int]) -> Path:
    """Write a calibration of the camera with one ignore zone."""
    measured = CalibratedCamera(
        name="cam1",
        date=datetime(2026, 11, 22, tzinfo=timezone.utc),
        by="M. Muster",
        height=100,
        width=170,
        mm_per_px=0.5,
        source=("kind = replay",),
        ignore=(ZoneTable(box=box),),
    )
    keep_calibration(folder / "c.toml", CalibrationFile(version=1, station="line1", cameras=(measured,)), replaced=None)
    return folder / "c.toml"


@pytest.fixture
def site(tmp_path: Path, tiny_bundle: Path) -> Iterator[Site]:
    """Return a site whose station is stopped at the end."""
    site = Site(tmp_path, tiny_bundle)
    yield site
    site.close()


def test_what_lies_in_an_ignore_zone_is_no_defect_on_the_line_either(site: Site) -> None:
    """The inspector works with what the station has read; another zone is another recipe hash."""
    hashes = set()
    for box, outcome in (((0, 0, 170, 99), Outcome.PASS), ((0, 0, 1, 1), Outcome.REJECT)):
        site.more = {"calibration": calibration(site.folder, box)}
        site.start([BRIGHT], trigger="software", most_ignored=0.99)
        recipe = site.status().recipe
        assert recipe is not None
        hashes.add(recipe.hash)
        assert site.product() == (outcome, None)
    assert len(hashes) == 2


def give(site: Site, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Give a challenge of the masters that come next; return exit code and the station's answer."""
    code = challenge([str(site.config), "--by", "M. Muster", "--yes", "--json", "--seconds", "30"])
    said = capsys.readouterr()
    assert said.out, said.err
    return code, json.loads(said.out)


def test_a_challenge_opens_the_line_and_a_failed_one_closes_it(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Fired cameras: closed before, open after, over a restart too, and closed by a bad master that passes."""
    site.start([SOUND, BRIGHT, SOUND], trigger="software")
    assert site.product() == (Outcome.UNKNOWN, Reason.SELFTEST)
    code, answer = give(site, capsys)
    assert (code, answer["passed"]) == (0, True)
    assert [part["found"] for part in answer["parts"]] == [[], ["bright"]]
    assert site.product() == (Outcome.PASS, None)
    site.start([SOUND, SOUND, DARK], trigger="software")
    assert site.status().ready
    assert site.product() == (Outcome.PASS, None)
    code, answer = give(site, capsys)
    assert (code, answer["passed"]) == (9, False)
    assert "bad-1 REJECT for dark, expected REJECT for bright" in answer["text"]
    site.start([SOUND], trigger="software")
    status = site.status()
    assert (status.state, status.challenge is not None and status.challenge.state) == ("degraded", "failed")
    assert site.product() == (Outcome.UNKNOWN, Reason.SELFTEST)


def test_a_camera_that_triggers_by_itself_is_told_which_part_comes(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that runs: each master is the next part after it was named, and no part of the challenge is a product."""
    site.start([SOUND] * 400, source={"rate_hz": 10.0})
    code, answer = give(site, capsys)
    assert code == 9
    assert [part["outcome"] for part in answer["parts"]] == ["PASS", "PASS"]
    with Requester(site.control) as requester:
        _, verdicts = requester.replay(Replay(version=1, id=new_id(), epoch=0, seq=0, limit=1000))
    shown = [v for v in verdicts if v.mode is Mode.CHALLENGE]
    assert [(v.part_id or "").partition("@")[0] for v in shown] == ["good-1", "bad-1"]
    assert {v.outcome for v in verdicts if v.mode is Mode.PRODUCTION} == {Outcome.UNKNOWN}


def test_a_study_is_kept_as_it_goes_and_taken_up_again(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Two parts three times: interrupted after one round, and reported when the rest was shown."""
    round_ = [SOUND, BRIGHT]
    site.start(round_, trigger="software")
    (site.folder / "truth.csv").write_text("part,truth\n1,PASS\n2,REJECT\n")
    out = site.folder / "study"
    flags = [str(site.config), "--parts", "2", "--presentations", "3", "--yes", "--out", str(out)]
    flags += ["--truth", str(site.folder / "truth.csv")]
    # The source has ended after one round: what comes then is UNKNOWN(camera), and no such part is thrown away.
    assert repeatability([*flags[:4], "2", *flags[5:]]) == 0
    report = json.loads((out / "report.json").read_text())
    assert [part["reasons"] for part in report["parts"]] == [{"camera": 1}, {"camera": 1}]
    lines = (out / "presentations.jsonl").read_bytes().splitlines(keepends=True)
    (out / "presentations.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:100])
    site.start(round_ * 2, trigger="software")
    capsys.readouterr()
    assert repeatability(flags) == 0
    assert "the same said every time" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert report["presentations"] == 6
    assert report["agreement"]["within"]["n"] == report["agreement"]["right"]["n"] == 2
    assert report["agreement"]["kappa"] == pytest.approx(1.0)
    assert report["near"] is not None, "the limits of a recipe without a guard band are known"
    area = next(s for s in report["spreads"] if (s["defect"], s["quantity"]) == ("bright", "area_px"))
    assert (area["parts"], area["repeatability_sd"]) == (1, 0.0), "the very same picture each time"
    with (out / "parts.csv").open() as file:
        assert [row["REJECT"] for row in csv.DictReader(file)] == ["0", "3"]
    with (out / "presentations.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6
    assert all(msgspec.json.decode(line)["verdict"]["mode"] == "gauge" for line in lines[:4])
