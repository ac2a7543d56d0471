"""
How every console script starts and ends: flags to a checked model, an error to one line and an exit code.

    exit 0    done                       exit 2         a bad flag or value (one line on stderr)
    exit 130  interrupted from keyboard  edge.errors    one line on stderr, the error's own code
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliPositionalArg,
    CliSettingsSource,
    CliSubCommand,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from edge.errors import EdgeError
from edge.faults import expected_of, value_of
from edge.logline import prefix_of

T = TypeVar("T", bound=BaseModel)

USAGE = 2
INTERRUPTED = 130

_SUB_COMMAND = get_args(CliSubCommand)[-1]
_POSITIONAL = get_args(CliPositionalArg)[-1]


class _FlagsOnly(BaseSettings):
    """A plain model is filled from flags alone: an environment variable called NAME must not become --name."""

    model_config = SettingsConfigDict(
        case_sensitive=True, cli_enforce_required=True, cli_exit_on_error=False, extra="forbid"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def run(program: str, command: type[T], args: Sequence[str] | None, body: Callable[[T], int]) -> int:
    """
    Parse the flags into *command*, call *body* with it, and return the exit code.

    Args:
        program: name of the console script, as in every message.
        command: a BaseModel (flags only) or a BaseSettings (its own sources, flags first). ``--help`` shows its
            docstring and its fields' descriptions; field ``max_tiles`` is ``--max-tiles``. May have sub-commands.
        args: the flags, None for those of this process.
        body: what the script does; returns its exit code.

    Raises:
        SystemExit: ``--help`` was asked for and printed.
    """
    try:
        return body(_parsed(program, command, sys.argv[1:] if args is None else args))
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            _say(program, f"{_described(command, problem)}; see {program} --help")
        return USAGE
    except SettingsError as error:
        _say(program, f"{_first_line(error)}; see {program} --help")
        return USAGE
    except EdgeError as error:
        _say(program, str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def refuse(program: str, message: str) -> int:
    """Say in one line why nothing is done, and return the exit code of a bad flag or value."""
    _say(program, message)
    return USAGE


def _parsed(program: str, command: type[T], args: Sequence[str]) -> T:
    settings: type[Any] = command
    if not issubclass(command, BaseSettings):
        # A flag has one name, also where Python calls its field by another.
        members = {"__doc__": command.__doc__, "model_config": SettingsConfigDict(populate_by_name=False)}
        settings = type(command.__name__, (_FlagsOnly, command), members)
    source: CliSettingsSource[Any] = CliSettingsSource(
        settings,
        cli_prog_name=program,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_implicit_flags=True,
        cli_kebab_case=True,
        cli_exit_on_error=False,
    )
    parsed: T = CliApp.run(settings, cli_args=list(args), cli_settings_source=source)
    return parsed if settings is command else command(**{name: getattr(parsed, name) for name in command.model_fields})


def _described(command: type[BaseModel], problem: Mapping[str, Any]) -> str:
    """Return ``--flag = value: expected ...`` for one of pydantic's problems."""
    where = _flag(command.model_fields, problem["loc"])
    return f"{where}{value_of(problem, typed=True)}: {expected_of(problem)}" if where else expected_of(problem)


def _flag(fields: Mapping[str, FieldInfo], location: Sequence[str | int]) -> str:
    """Return the flag at *location*: ``--flag.key``, ``NAME`` for a positional one, without its sub-commands."""
    if not location:
        return ""
    field = fields.get(str(location[0]))
    if field is not None and _SUB_COMMAND in field.metadata:
        model = get_args(field.annotation)[0]
        return _flag(model.model_fields, location[1:])
    name = ".".join(str(key).replace("_", "-") for key in location)
    return name.upper() if field is not None and _POSITIONAL in field.metadata else f"--{name}"


def _first_line(error: SettingsError) -> str:
    line = str(error).splitlines()[0]
    return line.removeprefix("Error: ").removeprefix("error parsing CLI: ")


def _say(program: str, message: str) -> None:
    sys.stderr.write(f"{prefix_of(logging.ERROR)}{program}: {message}\n")
