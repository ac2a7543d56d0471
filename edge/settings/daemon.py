"""The settings of edge-inspectd: the station's, from file, environment and flags."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings, CliPositionalArg, PydanticBaseSettingsSource, SettingsConfigDict

from edge.errors import ConfigurationError
from edge.faults import first_of, key_of, value_of, words_of
from edge.settings.station import Station
from edge.settings.toml import read_toml

ENVIRONMENT_PREFIX = "EDGE_"


class TomlFile(PydanticBaseSettingsSource):
    """The file named by ``--config``; checked by itself, so that its faults are told with its name."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError("this source gives the whole tree at once")

    def __call__(self) -> dict[str, Any]:
        _refuse_unknown_environment()
        path = Path(self.current_state["config"])
        tree = read_toml(path)
        try:
            Station.model_validate(tree)
        except ValidationError as error:
            # What is missing here may come from a flag or the environment.
            given = self.current_state
            every = error.errors(include_url=False)
            faults = [fault for fault in every if fault["type"] != "missing" or fault["loc"][0] not in given]
            if faults:
                raise ConfigurationError(_described(path, first_of(faults))) from error
        return tree


class Daemon(BaseSettings, Station):
    """
    Inspect every part that passes the cameras, and publish one verdict each.

    Settings come from the TOML file, EDGE_ variables (EDGE_ENDPOINTS__RESULTS) and the flags below; the last wins.
    """

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__"
    )

    config: CliPositionalArg[Path] = Field(description="the station's TOML file")
    check: bool = Field(False, description="validate configuration and bundle, say what would be done, exit")
    once: bool = Field(False, description="exit 0 when every source has ended and every verdict is out")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlFile(settings_cls)


def read_station(path: Path) -> Station:
    """
    Return the station that a TOML file describes, for the tools around it; flags and environment are the daemon's.

    Raises:
        ConfigurationError: it cannot be read, or is no station's; names the file and the key.
    """
    try:
        return Station.model_validate(read_toml(path))
    except ValidationError as error:
        raise ConfigurationError(_described(path, first_of(error.errors(include_url=False)))) from error


def _refuse_unknown_environment() -> None:
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Daemon.model_fields}
    for name, value in os.environ.items():
        # Case does not matter for the known ones, so it must not hide a mistyped one.
        if name.upper().startswith(ENVIRONMENT_PREFIX) and name.split("__")[0].upper() not in known:
            raise ConfigurationError(
                f"environment: {name} = {value!r} is no setting; expected one of {', '.join(sorted(known))}"
            )


def _described(path: Path, fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        what = "table" if isinstance(fault["input"], (dict, list)) else "key"
        return f"{path}: {what} '{key_of(fault)}'{value_of(fault)} is unknown; {_suggested(fault['loc'])}"
    return f"{path}: {words_of(fault)}"


def _suggested(location: Sequence[str | int]) -> str:
    name, names = str(location[-1]), _names(Station)
    # At the top there are few, and a name of another table is none of them.
    near = difflib.get_close_matches(name, sorted(Station.model_fields if len(location) == 1 else names - {name}), n=1)
    if near:
        return f"did you mean {near[0]}?"
    return "it belongs into another table: docs/settings.md" if name in names else "expected a key of docs/settings.md"


def _names(model: type[BaseModel]) -> set[str]:
    """Return the names of all keys below *model*."""
    names = set(model.model_fields)
    for field in model.model_fields.values():
        for kind in _models_of(field.annotation):
            names |= _names(kind)
    return names


def _models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_of(argument)
