"""What a test asks of the stand-in for the CUDA driver, and tells it to do; only in a process that runs on it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

DRIVER = ctypes.CDLL("libcuda.so.1")
for _name, _types in {
    "standin_cuda_fail": (ctypes.c_long, ctypes.c_int),
    "standin_cuda_memory": (ctypes.c_size_t,),
}.items():
    getattr(DRIVER, _name).argtypes = _types
DRIVER.standin_cuda_calls.restype = ctypes.c_long

KINDS = ("device memory", "host memory", "streams", "events", "graphs", "contexts")
ILLEGAL_ADDRESS = 700
MEMORY = 8 << 30


def live() -> dict[str, int]:
    """Return what is allocated and not yet freed, by kind; what there is none of is left out."""
    counted = {kind: DRIVER.standin_cuda_live(number) for number, kind in enumerate(KINDS)}
    counted["pushed contexts"] = DRIVER.standin_cuda_pushed()
    return {kind: count for kind, count in counted.items() if count}


@contextmanager
def failing(after: int = 0, code: int = ILLEGAL_ADDRESS) -> Iterator[None]:
    """Answer every call with *code*, from the one *after* the next so many on; as before at the end."""
    DRIVER.standin_cuda_fail(after, code)
    try:
        yield
    finally:
        DRIVER.standin_cuda_fail(-1, 0)


@contextmanager
def devices(count: int) -> Iterator[None]:
    """Have so many GPUs."""
    DRIVER.standin_cuda_devices(count)
    try:
        yield
    finally:
        DRIVER.standin_cuda_devices(1)


@contextmanager
def integrated() -> Iterator[None]:
    """Have a GPU that shares the CPU's memory, as on a Jetson."""
    DRIVER.standin_cuda_integrated(1)
    try:
        yield
    finally:
        DRIVER.standin_cuda_integrated(0)


@contextmanager
def memory(size: int) -> Iterator[None]:
    """Have a GPU with *size* bytes."""
    DRIVER.standin_cuda_memory(size)
    try:
        yield
    finally:
        DRIVER.standin_cuda_memory(MEMORY)
