"""What is wrong with a value that a person gave, in one line of our words: of a file, a flag, a variable."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_LONGEST = 80
_SECRETS = re.compile(r"(?<=//)[^/]*@|(?<=[?&])(user|pass|pwd|login)[^=&]*=[^&]*&?", re.IGNORECASE)
_NAME = "a name of letters, digits, '_', '.' and '-', that begins with a letter or digit, at most"
SHAPES: Mapping[str, str] = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$": f"{_NAME} 64",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$": f"{_NAME} 40",
    r"^(\*|[A-Za-z0-9][A-Za-z0-9_.-]{0,63})$": f"'*', or {_NAME} 64",
    r"^([01]\d|2[0-3]):[0-5]\d$": "a time of day, as in 06:00",
    r"^[A-Za-z0-9 ]{4}$": "four letters or digits, as in MJPG",
    "^[^/]": "a pattern of names below the folder, as in *.png",
    "^[^/]+$": "a pattern of names without a /, as in *.png",
    r"^\d{1,5},\d{1,5},[1-9]\d{0,4},[1-9]\d{0,4}$": "X,Y,WIDTH,HEIGHT in whole pixels, as in 100,50,400,300",
    r"^[1-9]\d?x[1-9]\d?$": "COLUMNSxROWS, as in 9x6",
    r"^\d{1,5}(\.\d{1,3})?(,\d{1,5}(\.\d{1,3})?){3}$": "X,Y,X,Y in pixels, as in 10.5,20,410.5,20",
}
"""What a text must look like, by the pattern that it is held against."""


def first_of(faults: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the one to tell: a key that nobody knows explains what is missing elsewhere."""
    return next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])


def key_of(fault: Mapping[str, Any]) -> str:
    """Return where it is, as in ``cameras.0.height``."""
    location = [str(part) for part in fault["loc"]]
    if fault["type"].startswith("union_tag_"):
        location.append(_discriminator(fault))
    return ".".join(location)


def value_of(fault: Mapping[str, Any], *, typed: bool = False) -> str:
    """
    Return `` = 'value'``; nothing of a whole table, and no user name or password of an address.

    Args:
        typed: as on a command line: text without quotation marks.
    """
    if fault["type"] == "union_tag_invalid":
        return f" = {fault['ctx']['tag']!r}"
    value = fault["input"]
    if _holds_a_table(value) or fault["type"] == "missing":
        return ""
    text = value if typed and isinstance(value, str) else _text(value)
    return f" = {without_secrets(text)[:_LONGEST]}"


def expected_of(fault: Mapping[str, Any]) -> str:
    """Return what was expected."""
    kind, told = fault["type"], fault["msg"].removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        pattern = fault["ctx"]["pattern"]
        return f"expected {SHAPES.get(pattern, f'text that matches {pattern}')}"
    if kind == "union_tag_invalid":
        return f"expected one of {fault['ctx']['expected_tags']}"
    if kind in ("union_tag_not_found", "missing"):
        return "expected a value, none is given"
    return without_secrets(told.replace("Input should be", "expected", 1))


def words_of(fault: Mapping[str, Any]) -> str:
    """Return all of it: ``key 'cameras.0.height' = 8: expected greater than or equal to 16``."""
    return f"key '{key_of(fault)}'{value_of(fault)}: {expected_of(fault)}"


def without_secrets(text: str) -> str:
    """Return it without the user names and passwords of addresses in it."""
    return _SECRETS.sub("", text)


def _discriminator(fault: Mapping[str, Any]) -> str:
    return str(fault["ctx"]["discriminator"]).strip("'")


def _holds_a_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, (list, tuple)) and any(map(_holds_a_table, value)))


def _text(value: object) -> str:
    # A number of thousands of digits has no decimal form in Python.
    try:
        return repr(value)
    except ValueError:
        return "a number far too large"
