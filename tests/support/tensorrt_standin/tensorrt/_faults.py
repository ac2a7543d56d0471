"""
What the stand-in does wrong when it is told to: by ``injected()``, or by the variable STANDIN_TRT_FAULT.

refuse:N         from the N-th execution on (1 = the next) execute_async_v3 returns False
nan:N            from the N-th execution on outputs of floats are NaN, the others 0
sticky:N         the N-th execution reads where there is nothing: every later CUDA call says so
refuse-capture   execute_async_v3 returns False while its stream captures
empty-graph      execute_async_v3 returns True while its stream captures, and nothing is captured
build            a network cannot be built
memory           a plan cannot be deserialised for want of memory
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


class _Fault:
    def __init__(self, text: str) -> None:
        self.kind, _, count = text.partition(":")
        self.left = int(count or 1)


_fault = _Fault(os.environ.get("STANDIN_TRT_FAULT", ""))


def on(kind: str) -> bool:
    """Tell whether that fault is to happen now."""
    return _fault.kind == kind and _fault.left <= 0


def count_execution() -> None:
    _fault.left -= 1


def configured(kind: str) -> bool:
    """Tell whether that fault, which needs no counting, is wanted."""
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
