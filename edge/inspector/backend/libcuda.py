"""
The CUDA driver's library itself, for what pycuda has not: graphs, and the state of the context.

Source: CUDA Driver API reference, "Stream Management", "Graph Management" and "Context Management".
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

_LIBRARY = ctypes.CDLL("libcuda.so.1")
# As trtexec does: what this thread may not do while it captures is refused; other threads go on with their streams.
_CAPTURE_THREAD_LOCAL = 1


class Refused(Exception):
    """The driver says no; what it says is judged by cuda.Gpu.current()."""


class Graph:
    """Work that was captured from a stream, to be launched on it as one."""

    def __init__(self, graph: ctypes.c_void_p, stream: ctypes.c_void_p) -> None:
        self._executable, self._stream = ctypes.c_void_p(), stream
        _call("cuGraphInstantiateWithFlags", ctypes.byref(self._executable), graph, ctypes.c_ulonglong(0))

    def launch(self) -> None:
        """Enqueue it."""
        _call("cuGraphLaunch", self._executable, self._stream)

    def free(self) -> None:
        _call("cuGraphExecDestroy", self._executable)


def captured(stream_handle: int, work: Callable[[], None]) -> Graph:
    """
    Record what *work* enqueues on a stream, without carrying it out.

    Raises:
        Refused: something of it cannot be captured.
    """
    handle, stream = ctypes.c_void_p(), ctypes.c_void_p(stream_handle)
    _call("cuStreamBeginCapture_v2", stream, ctypes.c_int(_CAPTURE_THREAD_LOCAL))
    try:
        work()
    except BaseException:
        # The stream must not stay in capture; why it is given up is already on its way.
        _LIBRARY.cuStreamEndCapture(stream, ctypes.byref(handle))
        if handle.value is not None:
            _LIBRARY.cuGraphDestroy(handle)
        raise
    _call("cuStreamEndCapture", stream, ctypes.byref(handle))
    try:
        return Graph(handle, stream)
    finally:
        _call("cuGraphDestroy", handle)


def fault_of_context() -> str:
    """Return the error that stays in the current context; empty when there is none, also while a stream captures."""
    code = _LIBRARY.cuCtxSynchronize()
    return "" if code == 0 or 900 <= code < 910 else _name_of(code)


def forget_current_context() -> None:
    """Take the current context off the driver's stack, whatever the driver says to it."""
    _LIBRARY.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))


def _call(name: str, *arguments: Any) -> None:
    code = getattr(_LIBRARY, name)(*arguments)
    if code:
        raise Refused(f"{name} failed: {_name_of(code)}")


def _name_of(code: int) -> str:
    name = ctypes.c_char_p()
    _LIBRARY.cuGetErrorName(code, ctypes.byref(name))
    return f"{(name.value or b'unknown').decode()} ({code})"
