"""docs/protocol.md as tests read it: its tables, and how it writes the fields of a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")

_WORDS = {
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.StrType: "string",
    inspect.BoolType: "boolean",
}


def rows_below(heading: str) -> Iterator[list[str]]:
    """Yield the cells of the first table of three columns below *heading*."""
    table = DOCUMENT.split(f"{heading}\n")[1].split("| --- | --- | --- |\n")[1].split("\n\n")[0]
    for line in table.splitlines():
        yield [cell.strip() for cell in line.strip("|").split("|")]


def pairs_below(text: str, head: str) -> dict[str, str]:
    """Return the table of two columns in *text* that begins with *head*."""
    rows = text.split(head)[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {name.strip("`"): meaning for name, meaning in cells}


def listed(words: Iterable[str]) -> str:
    """Return ``a``, ``b`` or ``c`` as the document writes it."""
    *first, last = [f"`{word}`" for word in words]
    return f"{', '.join(first)} or {last}"


def fields_from_record(record: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """Yield name and type of each field, the tag first."""
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType)
    if info.tag_field is not None:
        yield info.tag_field, f"`{info.tag}`"
    for field in info.fields:
        yield field.encode_name, _type(field.type)


def in_order(kind: str) -> str:
    """Return a list of literals sorted, since msgspec forgets their order; any other type as it is."""
    return ", ".join(sorted(kind.split(", "))) if kind.startswith("`") else kind


def _type(kind: Any) -> str:
    """Return a type as the document writes it."""
    match kind:
        case inspect.UnionType(types=types):
            return " or ".join("null" if isinstance(t, inspect.NoneType) else _type(t) for t in types)
        case inspect.LiteralType(values=values):
            return in_order(", ".join(f"`{value}`" for value in values))
        case inspect.EnumType(cls=cls) if issubclass(cls, Enum):
            return cls.__name__
        case inspect.StructType(cls=cls):
            return cls.__name__
        case inspect.VarTupleType(item_type=item):
            return f"list of {_type(item)}"
        case inspect.TupleType(item_types=items):
            return f"[{', '.join(_type(item) for item in items)}]"
        case inspect.DictType(value_type=value):
            return f"object of {_type(value)}"
    return _WORDS[type(kind)]
