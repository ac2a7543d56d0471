"""What verdicts say of their own time, as a table of percentiles with the definitions under it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.records import STAGES, Outcome, Verdict

ENGINE_STAGES = ("classify", "segment")

DEFINITIONS = {
    **STAGES,
    "capture": f"{STAGES['capture']}; before the trigger, so no part of total",
    "total": "trigger (the picture is there) to published (the verdict is handed to the socket)",
    "outside": "total less classify and segment: what everything but the engines costs",
}


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Of one stage, over the parts that had it [ms]."""

    parts: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


def percentiles_by_stage(verdicts: Iterable[Verdict]) -> dict[str, Percentiles]:
    """Return percentiles of every stage, and of total and outside, over verdicts that are PASS or REJECT."""
    samples: dict[str, list[int]] = {stage: [] for stage in DEFINITIONS}
    for verdict in verdicts:
        if verdict.outcome is Outcome.UNKNOWN:
            continue
        for stage, us in verdict.timings_us.items():
            samples[stage].append(us)
        total_us = verdict.published_us - verdict.trigger_us
        samples["total"].append(total_us)
        samples["outside"].append(total_us - sum(verdict.timings_us.get(stage, 0) for stage in ENGINE_STAGES))
    return {stage: _percentiles(us) for stage, us in samples.items() if us}


def print_stages(stages: dict[str, Percentiles], console: Console) -> None:
    # As Text: in plain strings rich takes brackets for markup and leaves the unit out.
    table = Table(title=Text("stages [ms]"), title_justify="left")
    for heading in ("stage", "parts", "p50", "p95", "p99", "max"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for name, row in stages.items():
        figures = (f"{ms:.2f}" for ms in (row.p50_ms, row.p95_ms, row.p99_ms, row.max_ms))
        table.add_row(name, str(row.parts), *figures)
    console.print(table)
    definitions = Table.grid(padding=(0, 2))
    definitions.add_column(no_wrap=True)
    for name in stages:
        definitions.add_row(f"  {name}", DEFINITIONS[name])
    console.print(definitions)


def _percentiles(us: list[int]) -> Percentiles:
    p50, p95, p99 = np.percentile(us, [50, 95, 99]) / 1000
    return Percentiles(parts=len(us), p50_ms=float(p50), p95_ms=float(p95), p99_ms=float(p99), max_ms=max(us) / 1000)
