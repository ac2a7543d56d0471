"""docs/operations.md says what the code does, where it lists something."""

from __future__ import annotations

from pathlib import Path

from edge.records import ALARMS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_alarm_stands_in_it_with_its_meaning_and_what_to_do() -> None:
    """The table of alarms is that of the records, and leaves nobody without an advice."""
    section = DOCUMENT.partition("## Alarms")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    assert [row[:2] for row in rows] == [[f"`{alarm.value}`", meaning] for alarm, meaning in ALARMS.items()]
    assert all(len(row) == 3 and row[2] for row in rows)
