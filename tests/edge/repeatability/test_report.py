"""The report: its tables say what its files do."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from rich.console import Console

from edge.records import Outcome, Reason, Verdict
from edge.repeatability.report import keep, report_from_study, show
from edge.repeatability.study import Presentation
from edge.rules import Recipe
from tests.support.records import limits, recipe, reject, unknown, verdict

SAID: dict[str, tuple[Verdict, ...]] = {
    "1": (verdict(1), verdict(4)),
    "2": (reject(2), verdict(5)),
    "3": (reject(3), unknown(6, Reason.CAMERA)),
}
SHOWN = [Presentation(part=part, presentation=n + 1, verdict=said[n]) for n in range(2) for part, said in SAID.items()]


def printed(known: Recipe | None) -> str:
    console = Console(file=io.StringIO(), width=120)
    show(console, report_from_study(SHOWN, {"2": "REJECT"}, known))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_tables_tell_parts_agreement_and_spread() -> None:
    """Which parts disagree and why, how many with an interval, and that limits are not known."""
    out = printed(None)
    for words in ("camera 1", "NO", "the same said every time", "1 of 3", "33.3%", "kappa", "limits: not known"):
        assert words in out


def test_what_was_decided_early_is_told() -> None:
    """How many presentations tell no area, and empty cells instead of a 0."""
    early = verdict(7, outcome=Outcome.REJECT, complete=False)
    shown = [*SHOWN, Presentation(part="4", presentation=1, verdict=early)]
    report = report_from_study(shown, {}, None)
    assert report.incomplete == 1
    console = Console(file=io.StringIO(), width=120)
    show(console, report)
    assert isinstance(console.file, io.StringIO)
    assert "of 1 presentations area and peak are left out" in console.file.getvalue()


def test_limits_that_are_known_are_compared() -> None:
    """Of the recipe that was worked out anew."""
    assert "no part lies within 3" in printed(recipe(limits("pits", min_area_px=900.0, gate=0.99)))
    assert "Within 3 deviations of a limit" in printed(recipe(limits("pits", min_area_px=12.0)))


def test_the_files_are_whole(tmp_path: Path) -> None:
    """JSON with everything, a row a part, a row a presentation; nothing half written is left."""
    report = report_from_study(SHOWN, {"2": "REJECT"}, None)
    paths = keep(tmp_path, report, SHOWN)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)
    tree = json.loads((tmp_path / "report.json").read_text())
    assert [part["outcomes"][Outcome.REJECT.value] for part in tree["parts"]] == [0, 1, 1]
    assert tree["parts"][1]["right"] is False
    with (tmp_path / "parts.csv").open() as file:
        assert [row["agrees"] for row in csv.DictReader(file)] == ["1", "0", "0"]
    with (tmp_path / "presentations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["reason"] for row in rows] == ["", "", "", "", "", "camera"]
    assert (rows[0]["score_pits"], rows[5]["score_pits"]) == ("0.25", "")
