"""
An NVIDIA GPU as engines use it: its primary context, one stream, memory on both sides, events and graphs.

The one file that imports pycuda, which owns contexts, memory, streams and events; what it lacks is in libcuda.py.
Never ``pycuda.autoinit`` or ``make_context``: TensorRT and ONNX Runtime work in the primary context, and a second one
makes handles invalid between them.

Every method of a Gpu, and of what belongs to it, needs ``with gpu.current()`` around it, in whichever thread: it makes
the context current, and turns what CUDA says into this product's errors.

Sources: CUDA Driver API reference, "Primary Context Management", "Stream Management" and "Graph Management"; pycuda's
``src/cpp/cuda.hpp`` (what its stack of contexts does when a call fails).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError, DeviceLost, InferenceFailed

try:
    import pycuda.driver as cuda  # type: ignore[import-not-found, import-untyped, unused-ignore]
except ImportError as error:
    if "libcuda" in str(error):
        raise ConfigurationError(
            f"no NVIDIA driver on this machine ({error}): expected libcuda.so.1; install the driver, then try "
            "nvidia-smi, or choose backend 'openvino'"
        ) from error
    raise ConfigurationError(
        f"pycuda is not installed ({error}); install 'edge-inspect[nvidia]' or choose backend 'openvino'"
    ) from error
from edge.inspector.backend import libcuda

_PROC = Path("/proc/driver/nvidia/version")
_NON_BLOCKING = 1
_NANS = 0xFFFFFFFF


@dataclass(frozen=True)
class GpuFacts:
    """
    What an engine is built for.

    Attributes:
        driver: version of the driver, where it says one (on a Jetson it does not); and of its CUDA.
        integrated: GPU and CPU share one memory (Jetson).
    """

    name: str
    compute_capability: tuple[int, int]
    driver: str
    memory_mib: int
    integrated: bool

    @property
    def fingerprint(self) -> str:
        """Return the line by which an engine cache tells this GPU and driver from another."""
        major, minor = self.compute_capability
        return f"{self.name}, compute {major}.{minor}, driver {self.driver}, {self.memory_mib} MiB"


def gpu_facts(gpu: int) -> GpuFacts:
    """
    Look a GPU up, without using it.

    Raises:
        ConfigurationError: the driver finds no GPU, or none of that number.
    """
    with _asking():
        cuda.init()
        count = cuda.Device.count()
        if gpu >= count:
            raise ConfigurationError(f"gpu {gpu}: the driver counts {count}, expected 0 to {count - 1}; change 'gpu'")
        device = cuda.Device(gpu)
        return GpuFacts(
            name=device.name(),
            compute_capability=device.compute_capability(),
            driver=driver_from_proc(
                _PROC.read_text(encoding="utf-8") if _PROC.exists() else "", cuda.get_driver_version()
            ),
            memory_mib=device.total_memory() >> 20,
            integrated=bool(device.get_attribute(cuda.device_attribute.INTEGRATED)),
        )


def driver_from_proc(text: str, cuda_version: int) -> str:
    """Return ``580.82.07 (CUDA 13.0)`` from the kernel module's own words and the driver's number, 1000 a major."""
    found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)", text)
    cuda_name = f"CUDA {cuda_version // 1000}.{cuda_version % 1000 // 10}"
    return f"{found[1]} ({cuda_name})" if found else cuda_name


@contextmanager
def _asking() -> Iterator[None]:
    """Before a GPU is in use, whatever CUDA refuses is a thing to mend outside."""
    try:
        yield
    except cuda.Error as error:
        raise ConfigurationError(
            f"the NVIDIA driver has no usable GPU ({error}): expected one; try nvidia-smi, then restart the machine or "
            "choose backend 'openvino'"
        ) from error


class Gpu:
    """
    One GPU's context and one stream, on which everything happens in order.

    Attributes:
        facts: what it is.
        stream_handle: the stream's address, as TensorRT and ONNX Runtime want it.
        lost: why no call can succeed any more; empty while they can.
    """

    def __init__(self, gpu: int) -> None:
        self.facts = gpu_facts(gpu)
        self.number = gpu
        self.users = 0
        self.lost = ""
        self._valid = True
        with _asking():
            self._context = cuda.Device(gpu).retain_primary_context()
        with self.current():
            self._stream = cuda.Stream(_NON_BLOCKING)
            self.stream_handle = int(self._stream.handle)

    @contextmanager
    def current(self) -> Iterator[None]:
        """
        Make the context current in this thread.

        Raises:
            DeviceLost: CUDA reports an error that stays; now and from now on.
            ConfigurationError: the GPU has not enough memory.
            InferenceFailed: CUDA refuses a call; the next may succeed.
        """
        if self.lost:
            raise DeviceLost(self.lost)
        try:
            self._context.push()
        except cuda.Error as error:
            lost = self._losing(error)
            self._invalidate()
            raise lost from error
        try:
            yield
        except (cuda.Error, libcuda.Refused) as error:
            raise self._judged(error) from error
        finally:
            self._pop()

    def require_alive(self) -> None:
        """
        Ask whether an error that stays has happened; for after a refusal of somebody else's.

        Raises:
            DeviceLost: it has.
        """
        fault = libcuda.fault_of_context()
        if fault:
            raise self._losing(fault)

    def synchronize(self) -> None:
        """Wait until everything on the stream has been done; only then outputs may be read."""
        self._stream.synchronize()

    # ---- memory

    def tensor(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
        """Allocate a tensor of zeros."""
        return Tensor(self, shape, dtype)

    def scratch(self, size: int) -> Scratch:
        """Allocate *size* bytes that only the GPU uses."""
        return Scratch(cuda.mem_alloc(max(size, 1)))

    # ---- time

    def timed(self, steps: Mapping[str, Callable[[], None]]) -> dict[str, float]:
        """Carry *steps* out, one after the other on the stream; return how long the GPU worked on each [ms]."""
        marks = [self._mark()]
        for step in steps.values():
            step()
            marks.append(self._mark())
        self.synchronize()
        took_ms = (begun.time_till(ended) for begun, ended in pairwise(marks))
        return dict(zip(steps, took_ms, strict=True))

    def _mark(self) -> Any:
        event = cuda.Event()
        event.record(self._stream)
        return event

    # ---- graphs

    def captured(self, work: Callable[[], None]) -> libcuda.Graph:
        """
        Record what *work* enqueues, without carrying it out.

        Args:
            work: has been done once before, so that nothing is initialised on the way; enqueues only.

        Raises:
            InferenceFailed: something of it cannot be captured; raised here and not at the end of ``current()``, so
                that whoever captures can go on without a graph.
        """
        try:
            return libcuda.captured(self.stream_handle, work)
        except (cuda.Error, libcuda.Refused) as error:
            raise self._judged(error) from error

    # ---- the end

    def close(self) -> None:
        """Leave it; the last user frees stream and context. A lost GPU is only left: no call would succeed."""
        with _LOCK:
            self.users -= 1
            if self.users:
                return
            for key in [key for key, gpu in _OPEN.items() if gpu is self]:
                del _OPEN[key]
        if self.lost:
            return
        with self.current():
            self.synchronize()
            del self._stream
        # pycuda's detach() of a context that is not on its stack pushes it and leaves it there, and in another thread
        # than the one that opened it does nothing. So: onto its stack, off the driver's, released.
        try:
            self._context.push()
        except cuda.Error as error:
            raise self._losing(error) from error
        libcuda.forget_current_context()
        self._context.detach()

    def _pop(self) -> None:
        if not self.lost:
            try:
                cuda.Context.pop()
                return
            except cuda.Error as error:
                self._losing(error)
        self._invalidate()
        libcuda.forget_current_context()

    def _invalidate(self) -> None:
        """
        Tell pycuda that a lost context is gone.

        Otherwise it aborts the process: when memory of the context is freed and a call fails, or when a thread ends
        that could not pop it.
        """
        if self._valid:
            self._valid = False
            self._context.detach()
        cuda.Context.get_current()  # drops what is not valid from this thread's stack

    def _judged(self, error: Exception) -> Exception:
        if isinstance(error, cuda.MemoryError):
            return ConfigurationError(
                f"GPU {self.number} ({self.facts.name}, {self.facts.memory_mib} MiB): {error}; end what else uses it "
                "(nvidia-smi lists it), or lower max_tiles"
            )
        if not libcuda.fault_of_context():
            return InferenceFailed(f"GPU {self.number}: {error}")
        return self._losing(error)

    def _losing(self, why: object) -> DeviceLost:
        self.lost = self.lost or f"GPU {self.number} ({self.facts.name}) is lost: {why}; only a new process can use it"
        return DeviceLost(self.lost)


_OPEN: dict[tuple[int, threading.Thread], Gpu] = {}
_LOCK = threading.Lock()


def open_gpu(gpu: int) -> Gpu:
    """
    Return the GPU with the stream that all engines share which this thread opens; whoever asks also closes it.

    Not one stream a process: a bundle is got ready in a thread of its own while the line runs, and what the line does
    meanwhile must not end up in the graphs that are captured there.

    Raises:
        ConfigurationError: see gpu_facts().
    """
    key = (gpu, threading.current_thread())
    with _LOCK:
        if key not in _OPEN or _OPEN[key].lost:
            _OPEN[key] = Gpu(gpu)
        _OPEN[key].users += 1
        return _OPEN[key]


class Scratch:
    """Memory that only the GPU uses; *address* is where."""

    def __init__(self, allocation: Any) -> None:
        self._allocation = allocation
        self.address = int(allocation)

    def free(self) -> None:
        self._allocation.free()


class Tensor:
    """
    Pinned memory that the host reads and writes, and memory of the GPU; on an integrated GPU both are one, mapped.

    Attributes:
        host: what the host sees; gone after free().
        address: where the GPU sees it.
    """

    def __init__(self, gpu: Gpu, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        mapped = gpu.facts.integrated
        self._gpu = gpu
        self.host: NDArray[Any] = cuda.pagelocked_empty(
            shape, dtype, mem_flags=cuda.host_alloc_flags.DEVICEMAP if mapped else 0
        )
        self.host.view(np.uint8)[...] = 0
        self._device: Any = None
        try:
            if not mapped:
                self._device = cuda.mem_alloc(self.host.nbytes)
            self.address = int(self._allocation.get_device_pointer() if mapped else self._device)
        except cuda.Error:
            self._allocation.free()
            raise

    @property
    def _allocation(self) -> Any:
        return self.host.base

    @property
    def row_bytes(self) -> int:
        return self.host.nbytes // len(self.host)

    def upload(self, rows: int) -> None:
        """Enqueue the copy of the first *rows* to the GPU; nothing to do where both are one."""
        if self._device is not None:
            cuda.memcpy_htod_async(self.address, self.host[:rows], self._gpu._stream)

    def download(self, rows: int) -> None:
        """Enqueue the copy of the first *rows* from the GPU."""
        if self._device is not None:
            cuda.memcpy_dtoh_async(self.host[:rows], self.address, self._gpu._stream)

    def take_row(self, row: int, source: Tensor, source_row: int) -> None:
        """Enqueue the copy, on the GPU, of a row of *source*, whose rows are as long."""
        size = self.row_bytes
        cuda.memcpy_dtod_async(self.address + row * size, source.address + source_row * size, size, self._gpu._stream)

    def fill_nan(self) -> None:
        """Enqueue the writing of NaN over the whole tensor, of float32, on the GPU."""
        cuda.memset_d32_async(self.address, _NANS, self.host.size, self._gpu._stream)

    def free(self) -> None:
        """Free both sides; the stream must have been waited for."""
        if self._device is not None:
            self._device.free()
        self._allocation.free()
        del self.host
