"""Say how long each folder of tests took: ``python -m tests.support.seconds report.xml install=120 static=40``."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

BUDGET_S = {"install": 180, "static": 60, "edge": 210, "engines": 180, "training": 150}
"""On 2 cores, from nothing. Not all of it may be used up: the whole has ten minutes."""
WHOLE_S = 600


def seconds_by_folder(report: Path) -> dict[str, float]:
    """Return the time of the tests in each folder below tests/ [s], set-up of their fixtures included."""
    seconds: dict[str, float] = defaultdict(float)
    for case in ElementTree.parse(report).iter("testcase"):
        folder = case.get("classname", "").split(".")[1:2]
        seconds["".join(folder)] += float(case.get("time", 0))
    return dict(seconds)


def line(parts: dict[str, float]) -> str:
    """Return every part beside what it may take: ``static 41 of 60``."""
    shown = [
        f"{name} {took:.0f}" + (f" of {BUDGET_S[name]}" if name in BUDGET_S else "") for name, took in parts.items()
    ]
    return f"seconds: {', '.join(shown)}; {sum(parts.values()):.0f} of {WHOLE_S} in all"


def main() -> None:
    report, *others = sys.argv[1:]
    before = {name: float(took) for name, took in (part.split("=") for part in others)}
    sys.stdout.write(line({**before, **seconds_by_folder(Path(report))}) + "\n")


if __name__ == "__main__":
    main()
