"""The folder of a study: each presentation on disk as soon as its verdict is there, so that nothing is lost."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from edge.errors import ConfigurationError, DataError
from edge.records import Verdict
from edge.repeatability.agreement import Truth

PRESENTATIONS = "presentations.jsonl"


class Presentation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the study: a part was shown, and what the station said."""

    part: str
    presentation: int
    """1, 2, ...: how often the part was shown by then."""
    verdict: Verdict


class Study:
    """
    Args:
        folder: of one study; made if need be. One that was interrupted goes on where it ended.

    Attributes:
        shown: every presentation until now, in their order.

    Raises:
        DataError: a line of it cannot be read.
        ConfigurationError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / PRESENTATIONS
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.shown = list(_read(self._path))
            self._has = {(one.part, one.presentation) for one in self.shown}
        except OSError as error:
            raise ConfigurationError(f"--out {folder}: {error.strerror}; name a folder that can be written") from error

    def has(self, part: str, presentation: int) -> bool:
        return (part, presentation) in self._has

    def add(self, one: Presentation) -> None:
        """
        Keep a presentation, on the disk before it is told.

        Raises:
            DataError: it was judged by another station, recipe or bundle than the others: that would be two studies in
                one.
            ConfigurationError: it cannot be written.
        """
        self._refuse_other(one)
        try:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(one) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ConfigurationError(
                f"{self._path}: cannot be written ({error.strerror}): part {one.part}, time {one.presentation} is not "
                "kept; mend that and give the same command again"
            ) from error
        self.shown.append(one)
        self._has.add((one.part, one.presentation))

    def _refuse_other(self, one: Presentation) -> None:
        for before in self.shown[:1]:
            if _judged_by(before.verdict) != _judged_by(one.verdict):
                raise DataError(
                    f"{self._path}: begun under station, recipe and bundle {_words(before.verdict)}, now they are "
                    f"{_words(one.verdict)}: begin another study with another --out"
                )


def _read(path: Path) -> Iterable[Presentation]:
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        # Cut off in the middle of being written: that presentation was never told, and is shown again.
        os.truncate(path, whole)
    for number, line in enumerate(data[:whole].splitlines(), 1):
        try:
            yield msgspec.json.decode(line, type=Presentation)
        except (msgspec.DecodeError, ValueError) as error:
            raise DataError(f"{path}, line {number}: {error}; remove the line, or name another --out") from error


def read_truth(path: Path, parts: Iterable[str]) -> Mapping[str, Truth]:
    """
    Read what is known of the parts: a CSV file with the columns ``part`` and ``truth`` (PASS or REJECT).

    Raises:
        ConfigurationError: it cannot be read, says something of a part that the study does not have, or of one twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path}: cannot be read ({error}); name a CSV file with part,truth") from error
    known, truth = set(parts), dict[str, Truth]()
    for number, row in enumerate(rows, 2):
        part, said = (row.get("part") or "").strip(), (row.get("truth") or "").strip()
        if part not in known:
            raise ConfigurationError(
                f"{path}, line {number}: part = '{part}': expected one of {', '.join(sorted(known))}"
            )
        if part in truth:
            raise ConfigurationError(f"{path}, line {number}: part = '{part}': it was named before; expected once")
        if said == "PASS":
            truth[part] = "PASS"
        elif said == "REJECT":
            truth[part] = "REJECT"
        else:
            raise ConfigurationError(f"{path}, line {number}: truth = '{said}': expected PASS or REJECT")
    return truth


def _judged_by(verdict: Verdict) -> tuple[str, str, str]:
    return verdict.station, "" if verdict.recipe is None else verdict.recipe.hash, verdict.bundle_hash


def _words(verdict: Verdict) -> str:
    station, recipe, bundle = _judged_by(verdict)
    return f"{station}, {recipe[:12] or 'none'} and {bundle[:12] or 'none'}"
