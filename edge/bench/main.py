"""
``edge-bench``: how fast a station is on this machine, and what it costs beyond the engines.

Each round runs a real station over the source, then the same engine calls alone, in turn, so that a machine that gets
slower meanwhile slows both. Quote the medians and the ratio, not a single time.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

import msgspec
from pydantic import AliasChoices, BaseModel, Field, model_validator
from rich.console import Console

from edge.bench.archived import Comparison, compare, print_comparison, read_frames
from edge.bench.bare import BareEngines
from edge.bench.stages import Percentiles, percentiles_by_stage, print_stages
from edge.bundle import Bundle, read_bundle
from edge.commandline import run
from edge.errors import EdgeError
from edge.inspector.backend import BackendName, BackendSettings, Precision
from edge.records import Outcome, Verdict
from edge.rig import Rig, bundle_table
from edge.settings import DEMO_BUNDLE
from engines.contract import PixelFormat

# The budget is long where the machine is slow: an inspector must not be taken for hung within it.
_HANG_BEYOND_BUDGET_S = 5.0


class Bench(BaseModel):
    """Measure a station on a bundle and a source: frames per second, latency by stage, cost outside the engines."""

    bundle: Path = Field(DEMO_BUNDLE, description="the bundle to inspect with")
    source: Path | None = Field(None, description="folder of pictures or a video; none = the built-in steel strip")
    archive: Path | None = Field(
        None, description="a station's archive: replay its pictures, and tell which outcomes differ from the line's"
    )
    frames: int = Field(300, ge=10, description="frames of the strip in each round")
    defect_share: float = Field(0.1, ge=0, le=1, description="share of the strip's frames with a defect")
    rounds: int = Field(5, ge=1, description="rounds of station and bare engines in turn")
    rate_hz: float | None = Field(None, gt=0, le=1000, description="frames per second; none = as fast as consumed")
    height: int = Field(256, ge=16, description="canvas height [px]")
    width: int = Field(1600, ge=16, description="canvas width [px]")
    budget_ms: int = Field(1000, ge=1, description="deadline of each part")
    backend: BackendName = Field("openvino", description="what runs the networks")
    precision: Precision = Field("fp32", description="arithmetic inside the networks")
    threads: int = Field(2, ge=1, description="CPU threads of one call")
    json_file: Path | None = Field(
        None, validation_alias=AliasChoices("json", "json_file"), description="also write everything to this file"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Bench:
        if self.source is not None and self.archive is not None:
            raise ValueError("--source and --archive are both given: keep one of them")
        return self


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One round: the station, then its engine calls alone."""

    frames: int
    frames_per_s: float
    bare_frames_per_s: float
    unknown: int

    @property
    def ratio(self) -> float:
        return self.frames_per_s / self.bare_frames_per_s

    @property
    def beyond_ms(self) -> float:
        """Wall time a frame beyond the engine calls [ms]."""
        return 1000 / self.frames_per_s - 1000 / self.bare_frames_per_s


class Report(msgspec.Struct, frozen=True, kw_only=True):
    machine: str
    backend: str
    bundle: str
    rounds: list[Round]
    stages: dict[str, Percentiles]
    archive: Comparison | None
    """Of the last round; None when no archive was replayed."""


def main(args: list[str] | None = None) -> int:
    """Measure and return the exit code."""
    return run("edge-bench", Bench, args, measure)


def measure(command: Bench) -> int:
    """
    Run all rounds and print the report.

    Raises:
        EdgeError: the station failed; carries its last line.
    """
    console = Console()
    bundle = read_bundle(command.bundle)
    archived = None if command.archive is None else read_frames(command.archive)
    if archived is not None:
        command = command.model_copy(update={"height": archived.height, "width": archived.width})
    verdicts: list[Verdict] = []
    rounds: list[Round] = []
    for number in range(command.rounds):
        seen = _station_round(command, bundle.manifest.format)
        rounds.append(_round(seen, _bare_round(command, bundle, seen)))
        verdicts += seen
        console.print(f"round {number + 1}/{command.rounds}: {_round_line(rounds[-1])}", highlight=False)
    report = Report(
        machine=machine(),
        backend=f"{command.backend} {command.precision}, {command.threads} threads",
        bundle=f"{bundle.manifest.name} {bundle.manifest.version} ({bundle.hash[:12]})",
        rounds=rounds,
        stages=percentiles_by_stage(verdicts),
        archive=None if archived is None else compare(archived, seen),
    )
    _print(report, console)
    if command.json_file is not None:
        command.json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    return 0


def machine() -> str:
    """Return processor, cores in use by this process and Python's version, for people."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


def _station_round(command: Bench, format_: PixelFormat) -> list[Verdict]:
    with Rig(station_settings(command, format_)) as rig:
        verdicts = [event for event in rig.events() if isinstance(event, Verdict)]
    if not verdicts:
        raise EdgeError("the station gave no verdict; is the source empty?")
    return verdicts


def _bare_round(command: Bench, bundle: Bundle, verdicts: list[Verdict]) -> float:
    tiles = max(view.tiles for verdict in verdicts for view in verdict.views)
    settings = BackendSettings(name=command.backend, precision=command.precision, threads=command.threads)
    with BareEngines(bundle, settings, max(tiles, 1)) as engines:
        return engines.replay(verdicts)


def _round(verdicts: list[Verdict], bare_s: float) -> Round:
    span_s = (verdicts[-1].published_us - verdicts[0].trigger_us) / 1e6
    return Round(
        frames=len(verdicts),
        frames_per_s=len(verdicts) / span_s,
        bare_frames_per_s=len(verdicts) / bare_s,
        unknown=sum(verdict.outcome is Outcome.UNKNOWN for verdict in verdicts),
    )


def station_settings(command: Bench, format_: PixelFormat) -> dict[str, Any]:
    """Return the settings tree of the station to measure, for a bundle that takes *format_*."""
    return {
        "station": "bench",
        "budget_ms": command.budget_ms,
        "hang_s": command.budget_ms / 1000 + _HANG_BEYOND_BUDGET_S,
        "picture_rate_hz": 0,
        "bundle": bundle_table(command.bundle),
        "backend": {"name": command.backend, "precision": command.precision, "threads": command.threads},
        "cameras": [
            {
                "name": "bench",
                "height": command.height,
                "width": command.width,
                "convert_to": format_ if command.source or command.archive else None,
                "source": {**_source(command), "rate_hz": command.rate_hz},
            }
        ],
    }


def _source(command: Bench) -> dict[str, Any]:
    if command.archive is not None:
        return {"kind": "archive", "path": command.archive.absolute()}
    if command.source is not None:
        return {"kind": "replay", "path": command.source.absolute()}
    return {"kind": "synthetic", "frames": command.frames, "defect_share": command.defect_share}


def _round_line(row: Round) -> str:
    return (
        f"{row.frames_per_s:.1f} frames/s, engines alone {row.bare_frames_per_s:.1f}, "
        f"ratio {row.ratio:.3f}, {row.unknown} UNKNOWN"
    )


def _print(report: Report, console: Console) -> None:
    print_stages(report.stages, console)
    if report.archive is not None:
        print_comparison(report.archive, console)
    for name, values in {
        "frames/s": [row.frames_per_s for row in report.rounds],
        "frames/s, engines alone": [row.bare_frames_per_s for row in report.rounds],
        "ratio": [row.ratio for row in report.rounds],
        "ms a frame beyond the engines": [row.beyond_ms for row in report.rounds],
    }.items():
        console.print(
            f"{name}: median {statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})", highlight=False
        )
    for line in (report.machine, report.backend, f"bundle {report.bundle}"):
        console.print(line, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
