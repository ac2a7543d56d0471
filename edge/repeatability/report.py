"""What a study comes to: worked out from its presentations, shown as tables, kept as JSON and CSV."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.errors import ConfigurationError
from edge.records import Outcome
from edge.repeatability.agreement import CONFIDENCE, Agreement, Share, Truth, agreement
from edge.repeatability.spread import (
    NEAR_SDS,
    QUANTITIES,
    Measured,
    Near,
    Spread,
    measured,
    near_limits,
    spreads,
)
from edge.repeatability.study import Presentation
from edge.rules import Recipe

_STYLES = {Outcome.PASS: "green", Outcome.UNKNOWN: "yellow", Outcome.REJECT: "bold red"}


class PartReport(msgspec.Struct, frozen=True, kw_only=True):
    part: str
    truth: Truth | None
    outcomes: dict[str, int]
    reasons: dict[str, int]
    """Of those that are UNKNOWN."""
    agrees: bool
    """The same was said every time, and something was said: not UNKNOWN."""
    right: bool | None
    """None without a truth."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of a study, as report.json holds it."""

    version: Literal[1]
    station: str
    recipe_hash: str
    bundle_hash: str
    presentations: int
    incomplete: int
    """Presentations with a verdict whose masks were not complete: they tell no area and no peak."""
    confidence: float
    parts: tuple[PartReport, ...]
    agreement: Agreement
    spreads: tuple[Spread, ...]
    near: tuple[Near, ...] | None
    """None where the limits are not known."""


def report_from_study(shown: Sequence[Presentation], truth: Mapping[str, Truth], recipe: Recipe | None) -> Report:
    """
    Work out what the presentations come to.

    Args:
        shown: one or more.
        recipe: limits that they were judged by; None = not known.
    """
    outcomes: dict[str, list[Outcome]] = {}
    found: dict[str, list[dict[str, Measured]]] = {}
    for one in shown:
        outcomes.setdefault(one.part, []).append(one.verdict.outcome)
        found.setdefault(one.part, []).append(measured(one.verdict))
    first = shown[0].verdict
    spread = spreads(found)
    return Report(
        version=1,
        station=first.station,
        recipe_hash="" if first.recipe is None else first.recipe.hash,
        bundle_hash=first.bundle_hash,
        presentations=len(shown),
        incomplete=sum(not one.verdict.complete for one in shown if one.verdict.outcome is not Outcome.UNKNOWN),
        confidence=CONFIDENCE,
        parts=tuple(_part(part, [one for one in shown if one.part == part], truth.get(part)) for part in outcomes),
        agreement=agreement(outcomes, truth),
        spreads=spread,
        near=None if recipe is None else near_limits(found, recipe),
    )


def _part(part: str, shown: Sequence[Presentation], truth: Truth | None) -> PartReport:
    said = [one.verdict.outcome.value for one in shown]
    return PartReport(
        part=part,
        truth=truth,
        outcomes={outcome.value: said.count(outcome.value) for outcome in Outcome},
        reasons=dict(Counter(one.verdict.reason.value for one in shown if one.verdict.reason is not None)),
        agrees=len(set(said)) == 1 and Outcome.UNKNOWN.value not in said,
        right=None if truth is None else set(said) == {truth},
    )


# ---- for people ----------------------------------------------------------------------------------------------


def show(console: Console, report: Report) -> None:
    """Print the report's tables."""
    console.print(_table_of_parts(report))
    console.print(_table_of_agreement(report))
    console.print(_table_of_spreads(report))
    if report.incomplete:
        words = f"of {report.incomplete} presentations area and peak are left out: decided before all was seen"
        console.print(Text(words, "yellow"), soft_wrap=True)
    if report.near is None:
        console.print(
            Text("limits: not known (another recipe, an engine with a guard band, or no bundle here)", "yellow")
        )
    elif report.near:
        console.print(_table_of_near(report.near))
    else:
        console.print(Text(f"no part lies within {NEAR_SDS:g} of its standard deviations of a limit", "green"))


def _table_of_parts(report: Report) -> Table:
    table = _table("Parts", "part", "truth", *(outcome.value for outcome in Outcome), "agrees", "UNKNOWN because of")
    for part in report.parts:
        counts = (
            Text(str(part.outcomes[outcome.value] or "-"), _STYLES[outcome] if part.outcomes[outcome.value] else "")
            for outcome in Outcome
        )
        agrees = Text("yes" if part.agrees else "NO", "" if part.agrees else "bold red")
        truth = Text(part.truth or "-", "bold red" if part.right is False else "")
        reasons = Text(", ".join(f"{reason} {n}" for reason, n in part.reasons.items()))
        table.add_row(Text(part.part), truth, *counts, agrees, reasons)
    return table


def _table_of_agreement(report: Report) -> Table:
    table = _table("Agreement", "of parts", "so many", "share", f"{report.confidence:.0%} interval")
    found = report.agreement
    for words, counted in (
        ("the same said every time", found.within),
        ("right every time", found.right),
        ("bad ones a PASS at least once", found.missed),
        ("good ones not a PASS at least once", found.false_alarms),
        ("UNKNOWN at least once", found.unknown),
    ):
        if counted is not None:
            table.add_row(words, *_cells(counted))
    kappa = "not defined" if found.kappa is None else f"{found.kappa:.3f}"
    table.add_row("kappa (Fleiss)", "", kappa, "")
    return table


def _cells(counted: Share) -> tuple[str, str, str]:
    return f"{counted.n} of {counted.of}", f"{counted.value:.1%}", f"{counted.low:.1%} to {counted.high:.1%}"


def _table_of_spreads(report: Report) -> Table:
    table = _table("Repeatability", "class", "quantity", "parts", "standard deviation", "worst range", "of part")
    for spread in report.spreads:
        if spread.parts:
            sd = "-" if spread.repeatability_sd is None else f"{spread.repeatability_sd:.4g}"
            worst = (f"{spread.worst_range:.4g}", Text(spread.worst_part))
            table.add_row(Text(spread.defect), spread.quantity, str(spread.parts), sd, *worst)
    return table


def _table_of_near(near: Sequence[Near]) -> Table:
    table = _table(
        f"Within {NEAR_SDS:g} deviations of a limit", "part", "class", "quantity", "mean", "deviation", "limit"
    )
    for one in near:
        figures = (f"{figure:.4g}" for figure in (one.mean, one.sd, one.limit))
        table.add_row(Text(one.part), Text(one.defect), one.quantity, *figures)
    return table


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table


# ---- for machines --------------------------------------------------------------------------------------------


def keep(folder: Path, report: Report, shown: Sequence[Presentation]) -> tuple[Path, ...]:
    """
    Write report.json, parts.csv and presentations.csv, each whole or not at all.

    Raises:
        ConfigurationError: they cannot be written.
    """
    texts = {
        "report.json": msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n",
        "parts.csv": _csv(_rows_of_parts(report)),
        "presentations.csv": _csv(_rows_of_presentations(shown)),
    }
    try:
        for name, text in texts.items():
            half = folder / f"{name}.new"
            with half.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            half.replace(folder / name)
    except OSError as error:
        raise ConfigurationError(f"--out {folder}: {error.strerror}; name a folder that can be written") from error
    return tuple(folder / name for name in texts)


def _csv(rows: Iterator[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _rows_of_parts(report: Report) -> Iterator[Sequence[object]]:
    yield "part", "truth", *(outcome.value for outcome in Outcome), "agrees", "right"
    for part in report.parts:
        right = "" if part.right is None else int(part.right)
        yield part.part, part.truth or "", *part.outcomes.values(), int(part.agrees), right


def _rows_of_presentations(shown: Sequence[Presentation]) -> Iterator[Sequence[object]]:
    classes = list(dict.fromkeys(name for one in shown for name in measured(one.verdict)))
    names = [f"{quantity}_{name}" for name in classes for quantity in QUANTITIES]
    yield "part", "presentation", "utc_us", "epoch", "seq", "number", "outcome", "reason", *names
    for one in shown:
        said, values = one.verdict, measured(one.verdict)
        reason = "" if said.reason is None else said.reason.value
        found = [getattr(values[name], q) if name in values else None for name in classes for q in QUANTITIES]
        cells = ["" if value is None else value for value in found]
        yield (
            one.part,
            one.presentation,
            said.utc_us,
            said.epoch,
            said.seq,
            said.part,
            said.outcome.value,
            reason,
            *cells,
        )
