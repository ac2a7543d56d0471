"""edge.faults: what is wrong with a value, in words; no tables, no secrets, no regular expressions."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from edge.calibrate.main import Calibrate
from edge.cameras.focus import Focus
from edge.faults import SHAPES, first_of, value_of, without_secrets, words_of
from edge.settings import Station
from edge.watch import Subscribe


def patterns(model: type[BaseModel]) -> set[str]:
    """Return every pattern that a text of *model* is held against."""
    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            found.update([node["pattern"]] if isinstance(node.get("pattern"), str) else [])
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                walk(child)

    walk(model.model_json_schema())
    return found


def faults(tree: dict[str, Any]) -> list[Any]:
    with pytest.raises(ValidationError) as caught:
        Station.model_validate(tree)
    return list(caught.value.errors(include_url=False))


def test_every_shape_has_words() -> None:
    """A regular expression is no answer; and no words are left of a shape that is no more."""
    found = set[str]().union(*map(patterns, (Station, Calibrate, Focus, Subscribe)))
    assert found == set(SHAPES)


def test_an_unknown_key_is_told_first() -> None:
    """It explains what is missing."""
    assert first_of(faults({"station": "l", "camera": []}))["loc"] == ("camera",)
    assert first_of(faults({"station": "l"}))["loc"] == ("cameras",)


def test_no_table_is_printed() -> None:
    """Nor a list of tables: there may be anything in them."""
    camera = {"name": "top", "source": {"kind": "usb", "device": "rtsp://joe:secret@host/cam"}}
    told = [words_of(fault) for fault in faults({"station": "l", "cameras": [camera]})]
    assert told[0].startswith("key 'cameras.0.source.kind' = 'usb': expected one of 'synthetic', 'replay'")
    assert "secret" not in " ".join(told)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("rtsp://joe:secret@host/cam", "rtsp://host/cam"),
        ("http://host/a.mjpg?user=joe&pwd=secret&x=1", "http://host/a.mjpg?x=1"),
        ("['rtsp://joe:secret@a/', 'rtsp://b/']", "['rtsp://a/', 'rtsp://b/']"),
        ("rtsp://joe:s@cret@host/", "rtsp://host/"),
        ("mail@host", "mail@host"),
    ],
)
def test_addresses_lose_their_secrets(text: str, left: str) -> None:
    """User names and passwords; the rest stays."""
    assert without_secrets(text) == left


def test_a_value_is_short() -> None:
    """And a number that Python cannot print is named, not printed."""
    fault = {"type": "greater_than", "loc": ("budget_ms",), "msg": "Input should be less than 2", "ctx": {}}
    assert value_of({**fault, "input": "x" * 500}) == f" = '{'x' * 79}"
    assert value_of({**fault, "input": "soon"}, typed=True) == " = soon"
    assert value_of({**fault, "input": 10**5000}) == " = a number far too large"
