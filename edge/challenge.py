"""``edge-inspectd challenge``: show the master parts to a running station, and have it put on record what it said."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import CliPositionalArg
from rich.console import Console
from rich.text import Text

from edge.commandline import run
from edge.control import new_id
from edge.errors import ChallengeFailed, ConfigurationError
from edge.presenting import Presenter, wait_for_part
from edge.records import VERSION, Mode, Outcome
from edge.requests import Challenge, Challenged, Shown
from edge.settings import Master, read_station
from edge.tables import line_from_verdict, table_from_challenged


class ShowMasters(BaseModel):
    """
    Show each master part of the settings' table [challenge] to a running station.

    The station holds its own verdicts against its own settings and keeps the result. Each camera must see each master:
    those that are fired take a picture of it; of one that triggers by itself the next part after Enter is the master.
    Exit codes: 0 when it is passed, 9 a master was judged wrongly, 5 refused, or no part or no answer came.
    """

    model_config = ConfigDict(populate_by_name=True)

    config: CliPositionalArg[Path] = Field(description="the station's TOML file")
    by: str = Field(min_length=1, max_length=200, description="who shows them: it is kept")
    yes: bool = Field(
        False,
        description="do not ask for Enter: each master comes by itself, before each camera, in the file's order",
    )
    seconds: float = Field(60.0, gt=0, le=600, description="wait so long for a part that a camera sees by itself")
    control: str | None = Field(None, description="the station's control endpoint; none = the one of its file")
    results: str | None = Field(None, description="the station's results endpoint; none = the one of its file")
    as_json: bool = Field(False, alias="json", description="print the station's answer as one JSON line")


def main(args: list[str] | None = None) -> int:
    """Give a challenge and return the exit code."""
    return run("edge-inspectd challenge", ShowMasters, args, challenge)


def challenge(command: ShowMasters) -> int:
    """
    Show every master, then have the station judge itself.

    Raises:
        ChallengeFailed: a master was judged wrongly; it is on record.
        ConfigurationError: the settings name no masters.
        RequestRefused, NoAnswer, WireError: nothing is on record.
    """
    station = read_station(command.config)
    if station.challenge is None:
        raise ConfigurationError(f"{command.config}: no table [challenge]: name the master parts there")
    control, results = command.control or station.endpoints.control, command.results or station.endpoints.results
    console = Console(stderr=command.as_json)
    with Presenter(control, results, station, command.seconds) as presenter:
        presenter.require_inspecting()
        places = [(master, seat) for master in station.challenge.parts for seat in station.seats]
        shown = tuple(_shown(console, presenter, master, seat, asks=not command.yes) for master, seat in places)
        request = Challenge(version=VERSION, id=new_id(), by=command.by, parts=shown)
        answer = presenter.requester.demand(request, Challenged)
    if command.as_json:
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    console.print(table_from_challenged(answer))
    if not answer.passed:
        raise ChallengeFailed(f"{answer.text}; no product is inspected until one is passed")
    console.print(Text(answer.text, "green"), soft_wrap=True)
    return 0


def _shown(console: Console, presenter: Presenter, master: Master, seat: tuple[str, ...], *, asks: bool) -> Shown:
    kind = "a good part" if master.expect == Outcome.PASS.value else f"a bad part{_of(master.defect)}"

    def ask() -> None:
        if asks:
            wait_for_part(f"Master {master.name}, {kind}", seat, passes_by=presenter.passes_by(seat))

    now = datetime.now(timezone.utc)
    # The name first: which master it is must be said before it is judged.
    part_id = f"{master.name}@{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}Z"
    verdict = presenter.present(part_id, Mode.CHALLENGE, seat, ask)
    console.print(Text(f"{master.name}: ").append_text(line_from_verdict(verdict)), soft_wrap=True)
    return Shown(name=master.name, part=verdict.part)


def _of(defect: str | None) -> str:
    return "" if defect is None else f" ({defect})"
