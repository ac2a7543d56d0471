"""docs/operations.md says what the code does, where it lists something."""

from __future__ import annotations

from pathlib import Path

from edge.records import ALARMS

DOCUMENT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_alarm_stands_in_it_with_its_meaning() -> None:
    """The table of alarms is that of the records."""
    rows = [line for line in DOCUMENT.partition("## Alarms")[2].splitlines() if line.startswith("| `")]
    assert rows == [f"| `{alarm.value}` | {meaning} |" for alarm, meaning in ALARMS.items()]
