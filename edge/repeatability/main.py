"""``edge-inspectd repeatability``: the same parts shown to a running station again and again, and its agreement."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from pydantic import BaseModel, Field
from pydantic_settings import CliPositionalArg
from rich.console import Console
from rich.text import Text

from edge.calibration import calibrated, read_calibration_of
from edge.commandline import run
from edge.errors import BundleError, ConfigurationError
from edge.presenting import Presenter, wait_for_part
from edge.recipe import read_recipe, work_out
from edge.records import Mode, Verdict
from edge.repeatability.report import keep, report_from_study, show
from edge.repeatability.study import Presentation, Study, read_truth
from edge.rules import Recipe
from edge.settings import Station, read_station
from edge.tables import line_from_verdict
from edge.trust import read_bundle_of


class Repeat(BaseModel):
    """
    Show --parts parts, --presentations times each, and report how far the station agrees with itself.

    Parts are of mode gauge: no products. Each verdict is on disk before the next part is asked for; interrupted, the
    same command goes on where it ended. All parts are shown once, then all again: take each away and put it back.
    """

    config: CliPositionalArg[Path] = Field(description="the station's TOML file")
    parts: int = Field(ge=1, le=1000, description="so many parts; mark them 1, 2, ...")
    presentations: int = Field(ge=2, le=100, description="each is shown so often")
    out: Path = Field(description="folder of this study: presentations.jsonl, report.json, two CSV files")
    truth: Path | None = Field(None, description="CSV file with part,truth (PASS or REJECT), where it is known")
    shuffle: int | None = Field(None, ge=0, description="seed: each round in an order of its own; none = in order")
    camera: str | None = Field(None, description="that sees the parts; needed where several see parts of their own")
    yes: bool = Field(False, description="do not ask for Enter: the parts come by themselves, in that order")
    seconds: float = Field(60.0, gt=0, le=600, description="wait so long for a part that a camera sees by itself")
    control: str | None = Field(None, description="the station's control endpoint; none = the one of its file")
    results: str | None = Field(None, description="the station's results endpoint; none = the one of its file")


def main(args: list[str] | None = None) -> int:
    """Carry out a study, or what is left of one, and return the exit code."""
    return run("edge-inspectd repeatability", Repeat, args, repeat)


def repeat(command: Repeat) -> int:
    """
    Show what was not shown yet, then report.

    Raises:
        ConfigurationError: station, truth or folder do not fit.
        DataError: the study in the folder is another one.
        RequestRefused, NoAnswer, WireError: the station does not take part; what was shown until then is kept.
    """
    station = read_station(command.config)
    names = [str(number + 1).rjust(len(str(command.parts)), "0") for number in range(command.parts)]
    truth = {} if command.truth is None else read_truth(command.truth, names)
    study = Study(command.out)
    _refuse_other_station(command, station, study)
    strangers = {one.part for one in study.shown} - set(names)
    if strangers:
        raise ConfigurationError(f"--out {command.out}: a study of other parts ({min(strangers)}); name another folder")
    console = Console()
    _show_parts(console, command, station, study, names)
    report = report_from_study(study.shown, truth, _limits(station, study.shown[0].verdict))
    show(console, report)
    console.print(Text("written: " + ", ".join(map(str, keep(command.out, report, study.shown)))), soft_wrap=True)
    return 0


def _show_parts(console: Console, command: Repeat, station: Station, study: Study, names: list[str]) -> None:
    control, results = command.control or station.endpoints.control, command.results or station.endpoints.results
    seat = _seat_of(station, command.camera)
    left = [(part, n) for part, n in _order(command, names) if not study.has(part, n)]
    with Presenter(control, results, station, command.seconds) as presenter:
        if left:
            presenter.require_inspecting()
        for part, presentation in left:
            now = datetime.now(timezone.utc)
            part_id = f"gauge-{part}-{presentation}@{now:%Y%m%dT%H%M%S.%f}Z"
            words = "" if command.yes else f"Part {part}, time {presentation}"
            ask = partial(_ask, words, seat, passes_by=presenter.passes_by(seat))
            verdict = presenter.present(part_id, Mode.GAUGE, seat, ask)
            study.add(Presentation(part=part, presentation=presentation, verdict=verdict))
            console.print(Text(f"{part}.{presentation} ").append_text(line_from_verdict(verdict)), soft_wrap=True)


def _refuse_other_station(command: Repeat, station: Station, study: Study) -> None:
    others = {one.verdict.station for one in study.shown} - {station.station}
    if others:
        raise ConfigurationError(
            f"--out {command.out}: a study of station {min(others)}, this is {station.station}; name another folder"
        )


def _ask(words: str, seat: tuple[str, ...], *, passes_by: bool) -> None:
    if words:
        wait_for_part(words, seat, passes_by=passes_by)


def _seat_of(station: Station, camera: str | None) -> tuple[str, ...]:
    """Return the cameras that see the parts of the study together."""
    seats = [seat for seat in station.seats if camera is None or camera in seat]
    if len(seats) == 1:
        return seats[0]
    names = ", ".join(name for seat in station.seats for name in seat)
    if not seats:
        raise ConfigurationError(f"--camera {camera}: the station has none of this name; it has {names}")
    raise ConfigurationError(f"several cameras see parts of their own: give --camera, one of {names}")


def _order(command: Repeat, names: list[str]) -> Iterator[tuple[str, int]]:
    """Yield part and presentation, round by round; the same order each time the study is taken up again."""
    for presentation in range(1, command.presentations + 1):
        order = list(names)
        if command.shuffle is not None:
            random.Random(f"{command.shuffle}/{presentation}").shuffle(order)
        yield from ((part, presentation) for part in order)


def _limits(station: Station, verdict: Verdict) -> Recipe | None:
    """Return the limits that parts were judged by, of the first camera; None where they cannot be told for certain."""
    if verdict.recipe is None:
        return None
    try:
        station = calibrated(station, read_calibration_of(station))
        manifest = read_bundle_of(station, station.bundle.path, {}).manifest
        recipes = work_out(manifest, station, read_recipe(station, verdict.recipe.name))
    except (BundleError, ConfigurationError):
        return None
    same = recipes.hash == verdict.recipe.hash and len(station.cameras) == 1
    return recipes.by_camera[station.cameras[0].name] if same else None
