"""``python -m edge.settings_doc > docs/settings.md``: every key of the settings tree, written from the tree itself."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edge.settings import ENVIRONMENT_PREFIX, CameraSettings, ClassRecipe, Daemon, Master, Station, ZoneTable

_HEAD = f"""\
# Settings of a station

One TOML file describes a station: `edge-inspectd station.toml`. `edge-inspectd --check station.toml` validates it and
the bundle, and says what would be done. The same keys are flags (`--endpoints.results tcp://127.0.0.1:6000`,
`--budget-ms 80`) and environment variables (`{ENVIRONMENT_PREFIX}BUDGET_MS=80`,
`{ENVIRONMENT_PREFIX}ENDPOINTS__RESULTS=...`); a flag wins over a variable, a variable over the file. A key that
nobody knows is an error in each of them: one line, exit code 2. A commented example: `systemd/example.toml`.

Written by `make settings-doc` from `edge/settings/`; do not edit.
"""

# By the end of the key; the first that fits counts.
_UNITS = {
    "mm_per_px": "mm/px",
    "_mm2": "mm2",
    "_px": "px",
    "height": "px",
    "width": "px",
    "_bytes": "bytes",
    "_mb": "MB",
    "_days": "days",
    "_min": "min",
    "_h": "h",
    "_hz": "1/s",
    "_ms": "ms",
    "_s": "s",
}
_TYPES = {bool: "true or false", int: "integer", float: "number", str: "text", Path: "path"}
_MANY = {Path: "paths", int: "integers"}
_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "min_length": "length >=", "max_length": "length <="}


def page() -> str:
    """Return docs/settings.md."""
    return "\n".join([_HEAD, *_sections()])


def _sections() -> Iterator[str]:
    yield _section("Station", Station, "at the top of the file")
    yield _section("Cameras", CameraSettings, "`[[cameras]]`, one table for each")
    for source in _models(CameraSettings.model_fields["source"].annotation):
        kind = get_args(source.model_fields["kind"].annotation)[0]
        yield _section(f"Source `{kind}`", source, f'`[cameras.source]` with `kind = "{kind}"`')
    for name, model in _tables_of(CameraSettings):
        yield _section(f"{name.capitalize()} of a camera", model, f"`[cameras.{name}]`")
    yield _section("Zone of a camera", ZoneTable, "`ignore = [...]` of a camera, here or in the calibration")
    for name, model in _tables_of(Station):
        yield _section(name.capitalize(), model, f"`[{name}]`")
    yield _section("Master part", Master, "`[[challenge.parts]]`, one table for each")
    yield _section("Recipe", ClassRecipe, "`[recipe.<class>]`, for instance `[recipe.pits]`")
    flags = {name: field for name, field in Daemon.model_fields.items() if name not in Station.model_fields}
    yield _table("Flags only", "", "of `edge-inspectd`, not in the file", flags)


def _tables_of(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the keys of *model* that are a table of one kind."""
    for name, field in model.model_fields.items():
        models = _models(field.annotation)
        if len(models) == 1:
            yield name, models[0]


def _section(title: str, model: type[BaseModel], where: str) -> str:
    return _table(title, model.__doc__ or "", where, model.model_fields)


def _table(title: str, intro: str, where: str, fields: dict[str, FieldInfo]) -> str:
    lines = [f"## {title}", "", " ".join(f"{intro} Where: {where}.".split()), ""]
    lines += ["| key | type | unit | default | bound | meaning |", "| --- | --- | --- | --- | --- | --- |"]
    for name, field in fields.items():
        cells = [
            f"`{name}`",
            _type(field.annotation),
            _unit(name),
            _default(field),
            _bound(field),
            field.description or "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _type(annotation: Any) -> str:
    """Return a type as an engineer says it: ``integer``, ``one of `a`, `b` ``, ``table``."""
    choices = [part for part in _parts(annotation) if part is not type(None)]
    if len(choices) > 1 and all(_is_model(choice) for choice in choices):
        return "table"
    return " or ".join(dict.fromkeys(_one_type(choice) for choice in choices))


def _one_type(choice: Any) -> str:
    if get_origin(choice) is Literal:
        values = ", ".join(f"`{value}`" for value in get_args(choice))
        return f"one of {values}" if "," in values else values
    if get_origin(choice) is tuple:
        of = get_args(choice)[0]
        if get_origin(of) is tuple:
            return "list of lists"
        return "list of tables" if _is_model(of) else f"list of {_MANY.get(of, 'text')}"
    if get_origin(choice) is dict or _is_model(choice):
        return "table"
    return _TYPES[choice]


def _unit(name: str) -> str:
    return next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    default = field.get_default(call_default_factory=True)
    if default is None or default == "":
        return "none"
    if default == {} or isinstance(default, BaseModel):
        return "see below"
    if isinstance(default, Path):
        return "the bundle that ships"
    if isinstance(default, tuple):
        return f"`{json.dumps(default)}`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _bound(field: FieldInfo) -> str:
    bounds = []
    for constraint in _constraints(field):
        bounds += [f"{sign} {getattr(constraint, name)}" for name, sign in _BOUNDS.items() if hasattr(constraint, name)]
        if getattr(constraint, "pattern", None):
            bounds.append(f"`{constraint.pattern}`")
    return ", ".join(bounds)


def _constraints(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    # Optional[Annotated[...]] keeps its bounds inside the union.
    for part in _parts(field.annotation):
        yield from getattr(part, "__metadata__", ())


def _parts(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the type itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [part for part in _parts(annotation) if _is_model(part)]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


if __name__ == "__main__":
    sys.stdout.write(page())
