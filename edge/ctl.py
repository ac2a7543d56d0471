"""``edge-inspectd ctl``: ask a running station, from a shell or a script."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import CliPositionalArg, CliSubCommand, get_subcommand
from rich.console import Console
from rich.text import Text

from edge.commandline import run
from edge.control import TIMEOUT_S, Requester, new_id
from edge.errors import RequestRefused
from edge.records import VERSION, Mode, Verdict
from edge.requests import (
    LONGEST_PAGE,
    AnyAnswer,
    AnyRequest,
    AskStatus,
    Done,
    LedgerAnswer,
    Missing,
    Pause,
    Refused,
    Reload,
    Replay,
    Selftest,
    StatusAnswer,
    Trigger,
    Triggered,
    UseRecipe,
)
from edge.requests import Ledger as AskLedger
from edge.settings import Endpoints, read_station
from edge.tables import (
    line_from_missing,
    line_from_triggered,
    line_from_verdict,
    table_from_cameras,
    table_from_counts,
    table_from_ledger,
    table_from_reasons,
    table_from_status,
)

# They verify on reference frames before they answer.
_LONG_S = 120.0


class Asking(BaseModel):
    """Flags of every command."""

    model_config = ConfigDict(populate_by_name=True)

    config: Path | None = Field(None, description="the station's TOML file: names its control endpoint")
    control: str | None = Field(
        None, description="the station's control endpoint; none = the one of --config, else tcp://127.0.0.1:5559"
    )
    timeout_s: float = Field(TIMEOUT_S, gt=0, description="wait so long for an answer, three times")
    as_json: bool = Field(False, alias="json", description="print the answer as one JSON line")

    @property
    def endpoint(self) -> str:
        """
        Whom to ask.

        Raises:
            ConfigurationError: ``config`` is no station's file.
        """
        if self.control is not None:
            return self.control
        return (Endpoints() if self.config is None else read_station(self.config).endpoints).control

    def request(self) -> AnyRequest:
        """Return what is asked of the station; each command has its own."""
        raise NotImplementedError


class StatusCommand(Asking):
    """Show the state of the station, its cameras, its alarms."""

    def request(self) -> AnyRequest:
        return AskStatus(version=VERSION, id=new_id())


class LedgerCommand(Asking):
    """Show what was triggered and how it was answered, by shift and for ever."""

    shifts: int = Field(3, ge=0, le=1000, description="so many of the last shifts")

    def request(self) -> AnyRequest:
        return AskLedger(version=VERSION, id=new_id(), shifts=self.shifts)


class TriggerCommand(Asking):
    """Trigger a part by software. Exit code 5 without an answer: repeat with the same --request-id, it counts once."""

    part_id: str | None = Field(None, description="the line's own name of the part")
    tag: int | None = Field(None, description="the line's tag, 0..65535")
    counter: int | None = Field(None, description="the line's count of triggers")
    mode: Literal["production", "challenge", "gauge", "simulated"] = Field(
        "simulated", description="what the part counts for"
    )
    cameras: tuple[str, ...] = Field((), description="who shall see it; none = all that are triggered by software")
    request_id: str | None = Field(None, description="id of the request; none = a new one")

    def request(self) -> AnyRequest:
        return Trigger(
            version=VERSION,
            id=self.request_id or new_id(),
            part_id=self.part_id,
            tag=self.tag,
            counter=self.counter,
            mode=Mode(self.mode),
            cameras=self.cameras or None,
        )


class PauseCommand(Asking):
    """Pause inspection: every part is UNKNOWN(paused) until the time is over, or resume is said."""

    reason: CliPositionalArg[str] = Field(description="why, one line: it is published and logged")
    minutes: float = Field(30.0, gt=0, le=24 * 60, description="inspection goes on by itself after so long")
    role: str = Field("operator", description="who says so")

    def request(self) -> AnyRequest:
        return Pause(version=VERSION, id=new_id(), role=self.role, reason=self.reason, minutes=self.minutes)


class ResumeCommand(Asking):
    """End a pause."""

    role: str = Field("operator", description="who says so")

    def request(self) -> AnyRequest:
        return Pause(version=VERSION, id=new_id(), role=self.role, reason="resumed", minutes=0)


class RecipeCommand(Asking):
    """Verify a recipe and make it active; the old one stays when it fails."""

    name: CliPositionalArg[str] = Field(description="NAME of NAME.toml in the station's folder of recipes")
    timeout_s: float = Field(_LONG_S, gt=0, description="wait so long for an answer, three times")

    def request(self) -> AnyRequest:
        return UseRecipe(version=VERSION, id=new_id(), name=self.name)


class SelftestCommand(Asking):
    """Judge the reference frames with the engines in use."""

    timeout_s: float = Field(_LONG_S, gt=0, description="wait so long for an answer, three times")

    def request(self) -> AnyRequest:
        return Selftest(version=VERSION, id=new_id())


class ReloadCommand(Asking):
    """Verify a bundle and make it active between two parts; the old one stays when it fails."""

    bundle: str | None = Field(None, description="folder on the station's machine; none = the one of its settings")
    timeout_s: float = Field(_LONG_S, gt=0, description="wait so long for an answer, three times")

    def request(self) -> AnyRequest:
        return Reload(version=VERSION, id=new_id(), bundle=self.bundle)


class ReplayCommand(Asking):
    """Show verdicts of the journal, oldest first; with --json one line each."""

    epoch: int = Field(0, ge=0, description="after the verdict of this epoch")
    seq: int = Field(0, ge=0, description="and of this number; 0 and 0 = from the oldest that is kept")
    limit: int = Field(100, ge=1, description="so many at most")

    def request(self) -> Replay:
        return self.page(self.epoch, self.seq, self.limit)

    def page(self, epoch: int, seq: int, limit: int) -> Replay:
        return Replay(version=VERSION, id=new_id(), epoch=epoch, seq=seq, limit=min(limit, LONGEST_PAGE))


class Ctl(BaseModel):
    """
    Ask a running station. Each command has its own --help.

    Exit codes: 0 done; 2 a bad flag or file; 5 refused, or no answer. The reason is one line on stderr.
    """

    status: CliSubCommand[StatusCommand] = Field(description="the state of the station, its cameras, its alarms")
    ledger: CliSubCommand[LedgerCommand] = Field(description="what was triggered and how it was answered")
    trigger: CliSubCommand[TriggerCommand] = Field(description="trigger a part by software")
    pause: CliSubCommand[PauseCommand] = Field(description="pause inspection for a while")
    resume: CliSubCommand[ResumeCommand] = Field(description="end a pause")
    recipe: CliSubCommand[RecipeCommand] = Field(description="verify a recipe and make it active")
    selftest: CliSubCommand[SelftestCommand] = Field(description="judge the reference frames")
    reload: CliSubCommand[ReloadCommand] = Field(description="verify a bundle and make it active")
    replay: CliSubCommand[ReplayCommand] = Field(description="verdicts of the journal")


def main(args: list[str] | None = None) -> int:
    """Ask, print the answer, and return the exit code."""
    return run("edge-inspectd ctl", Ctl, args, ask)


def ask(command: Ctl) -> int:
    """
    Carry out one command.

    Raises:
        ConfigurationError: ``--config`` is no station's file.
        RequestRefused: the station refused; carries the code.
        WireError: no answer, or one that is not what the protocol says.
    """
    asking: Any = get_subcommand(command, cli_exit_on_error=False)
    with Requester(asking.endpoint) as requester:
        if isinstance(asking, ReplayCommand):
            _replay(requester, asking)
            return 0
        _show(asking, _answer(requester, asking))
    return 0


def _answer(requester: Requester, asking: Asking) -> AnyAnswer:
    answer = requester.ask(asking.request(), asking.timeout_s)
    if isinstance(answer, Refused):
        raise RequestRefused(answer.code.value, answer.text)
    return answer


def _replay(requester: Requester, asking: ReplayCommand) -> None:
    """Show page after page until the limit, or the journal's end."""
    console = Console()
    epoch, seq, left, end = asking.epoch, asking.seq, asking.limit, False
    while left > 0 and not end:
        page, verdicts = requester.replay(asking.page(epoch, seq, left), asking.timeout_s)
        epoch, seq, left, end = page.epoch, page.seq, left - page.count, page.end
        if page.missing is not None:
            _print_json(page.missing) if asking.as_json else console.print(line_from_missing(page.missing))
        for verdict in verdicts:
            _print_json(verdict) if asking.as_json else console.print(line_from_verdict(verdict))


def _show(asking: Asking, answer: AnyAnswer) -> None:
    if asking.as_json:
        _print_json(answer)
        return
    console = Console()
    if isinstance(answer, StatusAnswer):
        console.print(table_from_status(answer.status))
        console.print(table_from_cameras(answer.status.cameras))
    elif isinstance(answer, LedgerAnswer):
        console.print(table_from_ledger(answer.rows))
        console.print(table_from_reasons(answer.rows))
        console.print(table_from_counts(answer.independent))
    elif isinstance(answer, Triggered):
        console.print(line_from_triggered(answer))
    elif isinstance(answer, Done):
        console.print(Text(answer.text))


def _print_json(record: AnyAnswer | Missing | Verdict) -> None:
    sys.stdout.write(msgspec.json.encode(record).decode() + "\n")
