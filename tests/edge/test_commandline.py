"""edge.commandline: flags to a model, an error to one line and an exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import CliPositionalArg, CliSubCommand, get_subcommand

from edge.commandline import run
from edge.errors import BundleError


class Cut(BaseModel):
    """Cut a picture into tiles."""

    picture: CliPositionalArg[Path] = Field(description="what to cut")
    max_tiles: int = Field(16, ge=1, description="most tiles")
    fast: bool = Field(False, description="do not look twice")


class Listing(BaseModel):
    """List pictures."""

    model_config = ConfigDict(populate_by_name=True)

    as_json: bool = Field(False, alias="json", description="print JSON")


class Tool(BaseModel):
    """Work on pictures."""

    cut: CliSubCommand[Cut]


def test_flags_become_a_model() -> None:
    """Kebab-case flags and positional arguments fill the model that the body gets; its exit code is returned."""
    seen: list[Cut] = []

    def body(command: Cut) -> int:
        seen.append(command)
        return 7

    assert run("edge-cut", Cut, ["a.png", "--max-tiles", "3", "--fast"], body) == 7
    assert seen == [Cut(picture=Path("a.png"), max_tiles=3, fast=True)]


def test_a_flag_has_one_name(capsys: pytest.CaptureFixture[str]) -> None:
    """That of its alias; the field's own is Python's."""
    seen: list[Listing] = []

    def body(command: Listing) -> int:
        seen.append(command)
        return 0

    assert run("edge-list", Listing, ["--json"], body) == 0
    assert seen == [Listing(as_json=True)]
    assert run("edge-list", Listing, ["--as-json"], body) == 2
    with pytest.raises(SystemExit):
        run("edge-list", Listing, ["--help"], body)
    assert "as-json" not in capsys.readouterr().out


def test_environment_does_not_fill_a_plain_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment variable with a field's name is no flag."""
    monkeypatch.setenv("max_tiles", "5")
    assert run("edge-cut", Cut, ["a.png"], lambda command: command.max_tiles) == 16


def test_value_out_of_bounds_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A bad value names flag, value and expectation, and exits 2 without calling the body."""
    assert run("edge-cut", Cut, ["a.png", "--max-tiles", "0"], lambda _: 0) == 2
    error = capsys.readouterr().err
    assert error == "edge-cut: --max-tiles = 0: expected greater than or equal to 1; see edge-cut --help\n"


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["a.png", "--max-tile", "3"], "--max-tile"),
        (["a.png", "--max-tiles", "many"], "--max-tiles = many"),
        ([], "PICTURE"),
    ],
)
def test_wrong_command_line_is_one_line(args: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown flag, a wrong type and a missing argument are each one line that names it, exit code 2."""
    assert run("edge-cut", Cut, args, lambda _: 0) == 2
    error = capsys.readouterr().err
    assert named in error
    assert error.startswith("edge-cut: ")
    assert error.count("\n") == 1


def test_sub_command_is_not_part_of_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """A bad flag of a sub-command is named as it was typed."""
    assert run("edge-tool", Tool, ["cut", "a.png", "--max-tiles", "0"], lambda _: 0) == 2
    assert capsys.readouterr().err.startswith("edge-tool: --max-tiles = 0: ")


def test_missing_sub_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Without its sub-command the script says which there are."""

    def body(command: Tool) -> int:
        get_subcommand(command, cli_exit_on_error=False)
        return 0

    assert run("edge-tool", Tool, [], body) == 2
    assert "{cut}" in capsys.readouterr().err


def test_product_error_is_one_line_with_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    """An EdgeError from the body ends the script with its message and exit code."""

    def body(_: Cut) -> int:
        raise BundleError("no bundle here")

    assert run("edge-cut", Cut, ["a.png"], body) == 3
    assert capsys.readouterr().err == "edge-cut: no bundle here\n"


def test_interrupt_is_no_traceback() -> None:
    """Ctrl-C ends the script with 130."""

    def body(_: Cut) -> int:
        raise KeyboardInterrupt

    assert run("edge-cut", Cut, ["a.png"], body) == 130


def test_help_describes_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """--help shows the docstring, the flags as they are typed and their descriptions, and exits 0."""
    with pytest.raises(SystemExit) as ended:
        run("edge-cut", Cut, ["--help"], lambda _: 0)
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for part in ("Cut a picture into tiles.", "--max-tiles", "most tiles", "what to cut"):
        assert part in text
