"""The GPU itself, through edge.inspector.backend.cuda: memory, stream, events, graphs; and how fast it copies."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable

import numpy as np
import pycuda.driver as cuda

from edge.inspector.backend.cuda import Gpu, Tensor, open_gpu
from tests.gpu.checks import Checks, require

_ROUNDS = 20
_EVENT_ROUNDS = 5
_LIFES = 30
_SLACK = 8 << 20
"""What of a GPU's memory may come and go with the driver's own needs [bytes]."""


def check_device(checks: Checks, number: int) -> None:
    """Check what the engines stand on."""
    for name, work in {
        "pycuda: memory of both sides": _memory,
        "pycuda: copies on the GPU, NaN": _copies,
        "pycuda: order on the stream": _order,
        "pycuda: events": _events,
        "pycuda: graph, captured and launched": _graph,
        "pycuda: another thread": _other_thread,
    }.items():
        with checks.check(name) as said:
            gpu = open_gpu(number)
            try:
                with gpu.current():
                    said += work(gpu)
            finally:
                gpu.close()
    with checks.check("pycuda: everything is given back") as said:
        said += _leaks(number)


def _memory(gpu: Gpu) -> list[str]:
    tensor = _random(gpu, (4, 1 << 20))
    sent = tensor.host.copy()
    tensor.upload(4)
    gpu.synchronize()
    if not gpu.facts.integrated:
        tensor.host[:] = 0
    tensor.download(4)
    gpu.synchronize()
    require(np.array_equal(tensor.host, sent), "what came back is not what was sent")
    tensor.free()
    return ["mapped, one memory" if gpu.facts.integrated else "pinned, and copied there and back"]


def _copies(gpu: Gpu) -> list[str]:
    source, target = _random(gpu, (4, 1 << 16)), gpu.tensor((4, 1 << 16), np.dtype(np.uint8))
    source.upload(4)
    for row in range(4):
        target.take_row(row, source, 3 - row)
    target.download(4)
    floats = gpu.tensor((2, 1000), np.dtype(np.float32))
    floats.fill_nan()
    floats.download(2)
    gpu.synchronize()
    require(np.array_equal(target.host, source.host[::-1]), "rows that were copied on the GPU differ")
    require(bool(np.isnan(floats.host).all()), f"{np.isnan(floats.host).sum()} of 2000 floats are NaN, expected all")
    for tensor in (source, target, floats):
        tensor.free()
    return []


def _order(gpu: Gpu) -> list[str]:
    """Let 200 copies, each of what the one before has written, run without waiting in between."""
    ring = _random(gpu, (201, 1 << 14))
    first = ring.host[0].copy()
    ring.upload(201)
    for row in range(200):
        ring.take_row(row + 1, ring, row)
    ring.download(201)
    gpu.synchronize()
    require(bool((ring.host == first).all()), "copies did not run one after the other")
    ring.free()
    return ["200 dependent copies"]


def _events(gpu: Gpu) -> list[str]:
    large, small = _random(gpu, (2, 32 << 20)), _random(gpu, (2, 1 << 10))
    steps: dict[str, Callable[[], None]] = {
        "large": lambda: large.take_row(1, large, 0),
        "small": lambda: small.take_row(1, small, 0),
    }
    rounds = []
    for _ in range(_EVENT_ROUNDS):
        began_s = time.perf_counter()
        rounds.append(gpu.timed(steps))
        wall_ms = 1e3 * (time.perf_counter() - began_s)
        # Events count in steps of half a microsecond.
        require(sum(rounds[-1].values()) <= wall_ms + 0.01, f"events say {rounds[-1]} ms, the clock {wall_ms}")
    for tensor in (large, small):
        tensor.free()
    least = {name: min(took[name] for took in rounds) for name in steps}
    require(0 <= least["small"] <= least["large"], f"32 MiB took {least['large']} ms, 1 KiB {least['small']}")
    return [f"32 MiB {least['large']:.3f} ms, 1 KiB {least['small']:.3f} ms"]


def _graph(gpu: Gpu) -> list[str]:
    source, target = _random(gpu, (2, 1 << 16)), gpu.tensor((2, 1 << 16), np.dtype(np.uint8))

    def work() -> None:
        source.upload(2)
        target.take_row(0, source, 1)
        target.take_row(1, source, 0)
        target.download(2)

    work()
    gpu.synchronize()
    source.host[:] = ~source.host
    graph = gpu.captured(work)
    gpu.synchronize()
    require(not np.array_equal(target.host, source.host[::-1]), "capturing has carried the work out")
    for _ in range(2):
        source.host[:] = ~source.host
        graph.launch()
        gpu.synchronize()
        require(np.array_equal(target.host, source.host[::-1]), "the graph gives other bytes than its work")
    graph.free()
    source.free()
    target.free()
    return ["launched twice on other input"]


def _other_thread(gpu: Gpu) -> list[str]:
    """Fill a tensor in a thread of its own, as a bundle is got ready while the line runs."""
    found: list[object] = []

    def work() -> None:
        other = open_gpu(gpu.number)
        try:
            with other.current():
                found.append(other.stream_handle)
                found.extend(_memory(other))
        finally:
            other.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    require(len(found) == 2, "the other thread did not come to its end")
    require(found[0] != gpu.stream_handle, "two threads share a stream")
    return []


def _leaks(number: int) -> list[str]:
    gpu = open_gpu(number)
    try:
        free = []
        for _ in range(_LIFES):
            with gpu.current():
                tensor, scratch = gpu.tensor((4, 4 << 20), np.dtype(np.uint8)), gpu.scratch(16 << 20)
                tensor.free()
                scratch.free()
                free.append(cuda.mem_get_info()[0])
    finally:
        gpu.close()
    lost = free[0] - free[-1]
    require(lost <= _SLACK, f"{lost >> 20} MiB less after {_LIFES} times 32 MiB, or another process took them")
    return [f"{_LIFES} times 32 MiB, {max(lost, 0) >> 20} MiB less"]


def copy_rates(number: int, row_mib: int) -> dict[str, float]:
    """
    Measure how fast memory is copied, median of 20 [GB/s].

    Args:
        row_mib: size of one copy; larger than the GPU's cache.

    Returns:
        ``on the GPU`` (read and written bytes both count), ``to the GPU`` and ``from the GPU`` out of pinned memory.
        Where both are one memory, only the first.
    """
    gpu = open_gpu(number)
    try:
        with gpu.current():
            tensor = gpu.tensor((2, row_mib << 20), np.dtype(np.uint8))
            steps: dict[str, tuple[int, Callable[[], None]]] = {
                "on the GPU": (2, lambda: tensor.take_row(1, tensor, 0))
            }
            if not gpu.facts.integrated:
                steps["to the GPU"] = (2, lambda: tensor.upload(2))
                steps["from the GPU"] = (2, lambda: tensor.download(2))
            rates = {}
            for name, (rows, step) in steps.items():
                took_ms = [gpu.timed({name: step})[name] for _ in range(_ROUNDS)]
                rates[name] = rows * (row_mib << 20) / max(statistics.median(took_ms), 1e-6) / 1e6
            tensor.free()
            return rates
    finally:
        gpu.close()


def _random(gpu: Gpu, shape: tuple[int, ...]) -> Tensor:
    tensor = gpu.tensor(shape, np.dtype(np.uint8))
    tensor.host[:] = np.random.default_rng(11).integers(0, 256, shape, np.uint8)
    return tensor
