"""
``python -m tests.qualify [SECTION ...]``: what takes too long for every day, section by section, resumable.

Each section leaves SECTION.json (figures, machine, date, commit) and SECTION.txt (its tables, as docs/results.md has
them) in the folder; one that is there at the same scale is shown and not run again. Exit code 1: a promise was broken.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field
from pydantic_settings import CliPositionalArg

from edge.commandline import run
from edge.errors import ConfigurationError
from tests.qualify.report import CONSOLE, circumstances


@dataclass(frozen=True)
class Section:
    """
    Attributes:
        minutes: at scale 1 on two quiet cores; some parts do not shrink with the scale.
        usual: run when no section is named.

    A module of this name has TITLE and ``run(out, scale)``, which prints its tables and returns its figures; under
    ``broken`` a line for each promise that was not kept.
    """

    minutes: float
    usual: bool = True


SECTIONS: dict[str, Section] = {
    "simulation": Section(minutes=20),
    "witness": Section(minutes=9),
    "deadlines": Section(minutes=4),
    "publish": Section(minutes=7),
    "rates": Section(minutes=4),
    "subscribers": Section(minutes=4),
    "fuzz": Section(minutes=8),
    "tampering": Section(minutes=0.5),
    "faults": Section(minutes=16),
    "glass": Section(minutes=5),
    "service": Section(minutes=6),
    "rtsp": Section(minutes=5),
    "folder": Section(minutes=1.5),
    "starts": Section(minutes=2, usual=False),
    "isolation": Section(minutes=13, usual=False),
    "soak": Section(minutes=31),
    "day": Section(minutes=24 * 60, usual=False),
    "folds": Section(minutes=50, usual=False),
    "transfer": Section(minutes=25, usual=False),
    "pitting": Section(minutes=15, usual=False),
    "cost": Section(minutes=5, usual=False),
    "precision": Section(minutes=25, usual=False),
}


class Qualify(BaseModel):
    """Run the long tests and print their tables."""

    sections: CliPositionalArg[list[str]] = Field(
        [], description=f"of {', '.join(SECTIONS)}; none = all but day and those of training"
    )
    again: bool = Field(False, description="run also what has its result already, parts of a section included")
    scale: float = Field(1.0, gt=0, le=10, description="of everything that can be counted or timed; 0.02 = a try")
    out: Path = Field(Path(".cache/qualify"), description="folder of the results")


def qualify(command: Qualify) -> int:
    """
    Run what is asked for and not there yet; return 1 if a promise was broken, else 0.

    Raises:
        ConfigurationError: there is no such section.
    """
    for name in command.sections:
        if name not in SECTIONS:
            raise ConfigurationError(f"section '{name}': expected one of {', '.join(SECTIONS)}")
    command.out.mkdir(parents=True, exist_ok=True)
    names = command.sections or [name for name, section in SECTIONS.items() if section.usual]
    broken = [line for name in names for line in _broken(name, command)]
    for line in broken:
        CONSOLE.print(f"BROKEN {line}", markup=False)
    return 1 if broken else 0


def _broken(name: str, command: Qualify) -> list[str]:
    """Run a section unless its result is there; return what it says is broken."""
    kept = command.out / f"{name}.json"
    result: dict[str, Any] = json.loads(kept.read_bytes()) if kept.exists() and not command.again else {}
    if result.get("scale") == command.scale:
        CONSOLE.print(f"{name}: done before, see {kept}; --again runs it anew", markup=False)
        CONSOLE.print((command.out / f"{name}.txt").read_text(encoding="utf-8"), markup=False)
    else:
        if command.again:
            shutil.rmtree(command.out / name, ignore_errors=True)
        result = _run(name, command)
        kept.with_suffix(".new").write_text(json.dumps(result, indent=1, default=str), encoding="utf-8")
        kept.with_suffix(".new").replace(kept)
    return [f"{name}: {line}" for line in result["figures"].get("broken", [])]


def _run(name: str, command: Qualify) -> dict[str, Any]:
    module = importlib.import_module(f"tests.qualify.{name}")
    minutes = SECTIONS[name].minutes * command.scale
    CONSOLE.print(f"{name}: {module.TITLE}; some {minutes:.1f} minutes", markup=False)
    CONSOLE.export_text(clear=True)
    under = circumstances()
    began = time.monotonic()
    figures = module.run(command.out, command.scale)
    took_s = time.monotonic() - began
    CONSOLE.print(
        f"\n{name}: {took_s:.0f} s at scale {command.scale:g}; {under['date']}, {under['commit']}", markup=False
    )
    (command.out / f"{name}.txt").write_text(CONSOLE.export_text(clear=True), encoding="utf-8")
    return {"section": name, "scale": command.scale, "took_s": round(took_s, 1), **under, "figures": figures}


def main(args: list[str] | None = None) -> int:
    return run("python -m tests.qualify", Qualify, args, qualify)


if __name__ == "__main__":
    sys.exit(main())
