"""What is done about a fault in one of many entries: training refuses, ``data check`` notes it and goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from edge.errors import DataError

Item = TypeVar("Item")
Made = TypeVar("Made")

OnFault = Callable[[DataError], None]
"""Takes a fault; returns to go on without the entry."""


def refuse(error: DataError) -> None:
    """Let the first fault end it all."""
    raise error


def each(items: Iterable[Item], make: Callable[[Item], Made], on_fault: OnFault) -> Iterator[Made]:
    """Yield what is made of each item; an item that raises DataError is left to *on_fault*."""
    for item in items:
        try:
            made = make(item)
        except DataError as error:
            on_fault(error)
        else:
            yield made
