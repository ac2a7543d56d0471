"""The demo with the bundle that ships: what a newcomer sees first must be true."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import pytest

from edge.demo import main
from edge.records import Outcome, Verdict
from edge.synthetic import Strip

FRAMES = 48
SEED = 2024


def test_it_shows_verdicts_that_fit_the_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Every frame has its verdict; most defective frames are rejected, most sound ones pass; pictures are there.

    The summary stands apart from the live table, and no line of it is broken on a terminal of 80 columns.
    """
    monkeypatch.setenv("COLUMNS", "80")
    out = tmp_path / "demo-out"
    flags = f"--frames {FRAMES} --rate-hz 6 --seed {SEED} --defect-share 0.4"
    assert main(["--out", str(out), *flags.split()]) == 0
    lines = (out / "verdicts.jsonl").read_bytes().splitlines()
    verdicts = [msgspec.json.decode(line, type=Verdict) for line in lines]
    assert [v.views[0].frame for v in verdicts] == list(range(1, FRAMES + 1))
    strip = Strip(SEED, 0.4)
    defective = {v.part: bool(strip.frame(v.views[0].frame or 0).labels.any()) for v in verdicts}
    # A machine that is too slow today says UNKNOWN: that is no wrong verdict, but most must be given.
    given = [v for v in verdicts if v.outcome is not Outcome.UNKNOWN]
    assert len(given) > FRAMES / 2
    right = [v for v in given if (v.outcome is Outcome.REJECT) == defective[v.part]]
    assert len(right) > 0.7 * len(given)
    assert cv2.imread(str(out / "overview.png")) is not None
    said = capsys.readouterr().out
    assert all(word in said for word in ("Dice", "frames/s", "first verdict after", "parity"))
    assert "\n\nverdicts against the truth\n" in said
    assert "\nmasks received, Dice on the frames that have the class\n" in said
    (starts,) = [line for line in said.splitlines() if line.startswith("start [s]")]
    assert "parity" in starts
    assert "warm-up" in starts


def test_it_does_not_write_over_older_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not empty is refused with one line."""
    (tmp_path / "kept.txt").write_text("mine")
    assert main(["--out", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().err
