"""``python -m edge.schema``: JSON Schema (2020-12) of every header, request and answer, from the records themselves."""

from __future__ import annotations

import json
import sys
from typing import Any, get_args

import msgspec

from edge.requests import AnyAnswer, AnyRequest
from edge.wire import Published


def schema_of_wire() -> dict[str, Any]:
    """Return one schema with every record under ``$defs``, and three that say which may come from where."""
    kinds = {"published": Published, "request": AnyRequest, "answer": AnyAnswer}
    types = [record for kind in kinds.values() for record in get_args(kind)]
    references, definitions = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    by_type = dict(zip(types, references, strict=True))
    choices = {name: {"anyOf": [by_type[record] for record in get_args(kind)]} for name, kind in kinds.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "edge-inspect wire, version 1",
        "$defs": {**definitions, **choices},
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema_of_wire(), indent=2) + "\n")
