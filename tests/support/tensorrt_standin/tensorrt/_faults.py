"""
What the stand-in does wrong when it is told to: by ``injected()``, or by the variable STANDIN_TRT_FAULT.

refuse:N         from the N-th execute_async_v3 on (1 = the next) it returns False
nan:N            from the N-th computation on outputs of floats are NaN, the others 0
sticky:N         the N-th computation reads where there is nothing: every later CUDA call says so
refuse-capture   execute_async_v3 returns False while its stream captures
spoil-capture    execute_async_v3 waits for the device while its stream captures: the driver refuses the graph
empty-graph      execute_async_v3 returns True while its stream captures, and nothing is captured
build            a network cannot be built
memory           a plan cannot be deserialised for want of memory

``@FILE`` in the variable: what stands in that file, from the moment it is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class _Fault:
    def __init__(self, text: str) -> None:
        self.kind, _, count = text.partition(":")
        self.left = int(count or 1)


_fault = _Fault("")
_variable = os.environ.get("STANDIN_TRT_FAULT", "")


def now(kind: str) -> bool:
    """Count one chance of that fault; tell whether it is to happen."""
    if not wanted(kind):
        return False
    _fault.left -= 1
    return _fault.left < 1


def wanted(kind: str) -> bool:
    """Tell whether that fault is what is to go wrong."""
    global _fault, _variable
    file = Path(_variable[1:]) if _variable.startswith("@") else None
    if _variable and (file is None or file.exists()):
        _fault, _variable = _Fault(file.read_text() if file else _variable), ""
    return _fault.kind == kind


@contextmanager
def injected(text: str) -> Iterator[None]:
    """Do that wrong until the end."""
    global _fault
    before, _fault = _fault, _Fault(text)
    try:
        yield
    finally:
        _fault = before
