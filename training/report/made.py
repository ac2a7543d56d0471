"""Sections that every report ends with: what the data are like, and how all of it was made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge.errors import DataError
from training.data.datasets import Dataset
from training.data.findings import Check
from training.data.splits import SPLITS
from training.report.page import Section, Table

MOST_PROBLEMS = 10
NOT_CHECKED = (
    "Near-duplicates and leaks between the splits were not looked for: run edge-train data check on the folder, look "
    "at its pictures, and give its check.json with --check."
)


def read_check(path: Path) -> Check:
    """
    Read what ``edge-train data check`` wrote.

    Raises:
        DataError: there is no such file, or it is another one.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Check)
    except OSError as error:
        raise DataError(f"--check {path}: {error.strerror}; edge-train data check writes it") from error
    except msgspec.DecodeError as error:
        raise DataError(f"--check {path}: not a check.json: {error}; run edge-train data check again") from error


def data_section(dataset: Dataset, check: Check | None) -> Section:
    """Count pictures and groups, and say what the check found."""
    notes = [NOT_CHECKED] if check is None else _findings(dataset, check)
    return Section("The data", tables=(_counts(dataset),), notes=(*notes, *dataset.notes))


def made_section(made_with: Mapping[str, str], more: Mapping[str, str]) -> Section:
    """Show the exact command, and a table of everything else."""
    rest = {key: value for key, value in (*made_with.items(), *more.items()) if key != "command"}
    return Section(
        "How it was made",
        listing=made_with.get("command", "the command was not recorded"),
        tables=(Table(("what", "value"), tuple(rest.items()), prose=True),),
    )


def data_warnings(dataset: Dataset, check: Check | None, dataset_sha256: str) -> list[str]:
    """Return what makes figures on these data worth less than they look."""
    warnings = []
    if dataset_sha256 != dataset.sha256:
        warnings.append(
            f"These are not the data the network learned from (SHA-256 {dataset.sha256[:12]}..., then "
            f"{dataset_sha256[:12]}...): parts it has seen may be among those it is judged by."
        )
    if check is not None and not check.usable:
        wrong = sum(problem.fatal for problem in check.problems)
        warnings.append(f"The data check found {wrong} faults that make figures false: see The data, below.")
    return warnings


def _findings(dataset: Dataset, check: Check) -> list[str]:
    leaking = [pair for pair in check.near if pair.leaks]
    notes = [
        f"The data check looked at {check.images} pictures, {check.unreadable} of them not usable: {len(check.near)} "
        f"pairs look nearly the same, {len(leaking)} of these in two groups, "
        f"{sum(len(set(pair.splits)) > 1 for pair in leaking)} in two splits."
    ]
    if check.images != len(dataset.samples) or check.dataset != dataset.name:
        notes.append(
            f"It is of other data: {check.dataset} with {check.images} pictures, not {dataset.name} with "
            f"{len(dataset.samples)}."
        )
    problems = sorted(check.problems, key=lambda problem: not problem.fatal)
    notes += [f"{'WRONG: ' if problem.fatal else ''}{problem.line}" for problem in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        notes.append(f"... and {len(problems) - MOST_PROBLEMS} more in check.json.")
    return notes


def _counts(dataset: Dataset) -> Table:
    rows = []
    for class_id, name in enumerate(("sound", *dataset.class_names)):
        showing = [sample for sample in dataset.samples if class_id in (sample.class_ids or (0,))]
        cells = []
        for split in SPLITS:
            of_split = [sample for sample in showing if sample.split == split]
            cells.append(f"{len(of_split)} ({len({sample.group for sample in of_split})})")
        rows.append((name, *cells))
    return Table(("class", *SPLITS), tuple(rows), "pictures (independent groups)")
