"""
TensorRT: runs a plan that ``edge-engine build`` made on this machine; 10.3 to 11.4 by the same calls.

One execution context and one CUDA graph a batch size: a graph holds the addresses and shapes of the context it was
captured from, and is invalid once those change. The contexts share one workspace; they never run at once. A graph is
used if it gives, on other input than it was captured with, what plain enqueue gives; else plain enqueue is.

Every refusal of TensorRT is a returned value, never an exception: each is looked at. Enum members are used by name,
since their numbers differ between versions.

Sources: TensorRT Python API reference, ``ICudaEngine`` and ``IExecutionContext``; NVIDIA/TensorRT issues 3798 (one
context a graph), 2603 (one enqueue before a capture).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import tensorrt as trt  # type: ignore[import-not-found, import-untyped, unused-ignore]
from numpy.typing import NDArray
from typing_extensions import Self

from edge.errors import BundleError, ConfigurationError, InferenceFailed
from edge.inspector.backend import BackendSettings, Engine, batch_for
from edge.inspector.backend.cuda import Gpu, open_gpu
from edge.inspector.backend.libcuda import Graph
from edge.inspector.backend.ports import Ports, Shapes

T = TypeVar("T")

log = logging.getLogger("edge.inspector.tensorrt")

VERSION = f"tensorrt {trt.__version__}"
MENDING = "build it on this machine: edge-engine build"
_TRIAL_SEEDS = (1, 2)


class Log(trt.ILogger):  # type: ignore[misc, unused-ignore]
    """
    Hears what TensorRT says; it must outlive whatever it was given to.

    Args:
        say: given each line from *least* on.

    Attributes:
        reason: the last error; why something was refused.
    """

    def __init__(self, say: Callable[[str], None], least: trt.ILogger.Severity = trt.ILogger.Severity.WARNING) -> None:
        trt.ILogger.__init__(self)
        self._say = say
        self._least = int(least)
        self.reason = "no reason given"

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        line = " ".join(msg.split())
        # The more severe, the lower.
        if int(severity) <= int(trt.ILogger.Severity.ERROR):
            self.reason = line
        if int(severity) <= self._least:
            self._say(f"{severity.name.lower()}: {line}")


class TensorRtEngine:
    """
    An Engine; see there.

    Args:
        graphs: capture a CUDA graph for each batch size; False = plain enqueue.

    Attributes:
        graphed: the batch sizes that run as a graph.
    """

    def __init__(
        self,
        settings: BackendSettings,
        plan: bytes,
        batched_input: str,
        batches: tuple[int, ...],
        graphs: bool = True,
    ) -> None:
        self.backend = VERSION
        self.precision = settings.precision
        self.batches = batches
        self._buckets: dict[int, _Bucket] = {}
        self._log = Log(log.warning)
        with ExitStack() as opened:
            self._gpu = open_gpu(settings.gpu)
            opened.callback(self._gpu.close)
            with self._gpu.current(), ExitStack() as held:
                self._open(held, plan, batched_input)
                if graphs:
                    self._capture()
                self._held = held.pop_all()
            opened.pop_all()
        self.graphed = tuple(size for size, bucket in self._buckets.items() if bucket.graph is not None)

    @property
    def inputs(self) -> Mapping[str, NDArray[Any]]:
        return self._ports.inputs

    def _open(self, held: ExitStack, plan: bytes, batched_input: str) -> None:
        """Deserialise, check, allocate; what is opened is freed by *held*, the last first."""
        held.callback(self._let_go)
        self._runtime = started(self._gpu, self._log, trt.Runtime)
        self._engine = _deserialised(self._runtime, plan, self._gpu, self._log)
        inputs, outputs = _shapes(self._engine, batched_input, self.batches)
        self._ports = Ports(self._gpu, inputs, outputs, batched_input)
        held.callback(self._ports.free)
        size = self._engine.device_memory_size_v2
        workspace = self._gpu.scratch(size)
        held.callback(workspace.free)
        for rows in self.batches:
            self._buckets[rows] = _Bucket(self._gpu, self._log, self._engine, self._ports, batched_input, rows)
            self._buckets[rows].context.set_device_memory(workspace.address, size)
        held.callback(self._free_buckets)

    def _let_go(self) -> None:
        """Drop what TensorRT made, in the order it asks for."""
        self._engine = None
        self._runtime = None

    def _free_buckets(self) -> None:
        self._gpu.synchronize()
        for bucket in self._buckets.values():
            bucket.free()
        self._buckets.clear()

    def _capture(self) -> None:
        """Capture a graph of every batch size, then keep those that answer as plain enqueue does."""
        captured, tried = _TRIAL_SEEDS
        for size, bucket in self._buckets.items():
            # The first enqueue of a shape initialises, which no capture may hold.
            self._answer_to(captured, size, bucket.enqueue)
            try:
                bucket.graph = self._gpu.captured(bucket.enqueue)
            except InferenceFailed as error:
                self._gpu.require_alive()
                log.warning("tensorrt: no CUDA graph of %d rows (%s); they run by plain enqueue", size, error)
        for size, bucket in self._buckets.items():
            if bucket.graph is None:
                continue
            plain = self._answer_to(tried, size, bucket.enqueue)
            if self._answer_to(tried, size, bucket.graph.launch) != plain:
                log.warning(
                    "tensorrt: the CUDA graph of %d rows answers otherwise than plain enqueue; it is not used", size
                )
                bucket.graph.free()
                bucket.graph = None

    def _answer_to(self, seed: int, size: int, run: Callable[[], None]) -> list[bytes]:
        """Return, byte by byte, what *run* makes of trial input."""
        self._ports.fill_for_trial(seed)
        self._ports.feed(size, size)
        run()
        self._gpu.synchronize()
        return [rows.tobytes() for rows in self._ports.answers(size).values()]

    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        size = batch_for(self.batches, n)
        bucket = self._bucket(size)
        with self._gpu.current():
            self._ports.feed(n, size)
            bucket.run()
            self._gpu.synchronize()
        return self._ports.answers(n)

    def stages_ms(self, n: int) -> Mapping[str, float]:
        """Run by plain enqueue; return how long the GPU took to ``upload``, ``compute`` and ``download`` [ms]."""
        size = batch_for(self.batches, n)
        bucket = self._bucket(size)
        with self._gpu.current():
            return self._gpu.timed(
                {
                    "upload": lambda: self._ports.feed(n, size),
                    "compute": bucket.compute,
                    "download": lambda: self._ports.fetch(size),
                }
            )

    def _bucket(self, size: int) -> _Bucket:
        if not self._buckets:
            raise InferenceFailed("tensorrt: the engine is closed")
        return self._buckets[size]

    def gather(self, source: Engine, rows: Sequence[int]) -> bool:
        ports = getattr(source, "_ports", None)
        return isinstance(ports, Ports) and bool(self._buckets) and self._ports.gather(ports, rows)

    def close(self) -> None:
        if not self._buckets:
            return
        try:
            if not self._gpu.lost:
                with self._gpu.current():
                    self._held.close()
        finally:
            self._buckets.clear()
            self._gpu.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Bucket:
    """One batch size: its execution context and, once captured, its graph."""

    def __init__(
        self, gpu: Gpu, log: Log, engine: trt.ICudaEngine, ports: Ports, batched_input: str, size: int
    ) -> None:
        self.graph: Graph | None = None
        self._gpu = gpu
        self._log = log
        self._ports = ports
        self._size = size
        context = engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if context is None:
            raise refusal(gpu, log, f"no execution context for {size} rows", MENDING)
        self.context = context
        shape = (size, *ports.inputs[batched_input].shape[1:])
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        if not (
            context.set_optimization_profile_async(0, gpu.stream_handle)
            and context.set_input_shape(batched_input, shape)
            and all(context.set_tensor_address(name, ports.address(name)) for name in names)
            and not context.infer_shapes()
        ):
            raise refusal(gpu, log, f"the plan does not take {size} rows of shape {shape[1:]}", MENDING)

    def compute(self) -> None:
        """Enqueue the network itself."""
        self._ports.spoil()
        if not self.context.execute_async_v3(self._gpu.stream_handle):
            self._gpu.require_alive()
            raise InferenceFailed(f"tensorrt: enqueue of {self._size} rows was refused ({self._log.reason})")

    def enqueue(self) -> None:
        self.compute()
        self._ports.fetch(self._size)

    def run(self) -> None:
        if self.graph is None:
            self.enqueue()
        else:
            self.graph.launch()

    def free(self) -> None:
        if self.graph is not None:
            self.graph.free()
        self.graph = self.context = None


def _deserialised(runtime: trt.Runtime, plan: bytes, gpu: Gpu, log: Log) -> trt.ICudaEngine:
    engine = runtime.deserialize_cuda_engine(plan) if plan else None
    if engine is None:
        raise refusal(gpu, log, "the plan is damaged, or was built for another TensorRT or GPU", MENDING)
    return engine


def started(gpu: Gpu, log: Log, kind: Callable[[Log], T]) -> T:
    """
    Make a trt.Runtime or trt.Builder; the one place where TensorRT refuses by an exception.

    Raises:
        BundleError: its libraries do not work with this driver.
    """
    try:
        return kind(log)
    except TypeError as error:
        raise refusal(
            gpu, log, "it does not start", "expected a driver at least as new as its CUDA; nvidia-smi names the driver"
        ) from error


def refusal(gpu: Gpu, log: Log, what: str, mending: str) -> ConfigurationError | BundleError:
    """
    Return the error for what TensorRT has refused with nothing but a word in its log.

    Args:
        mending: what to do about it, where memory is not what is missing.

    Raises:
        DeviceLost: that is why.
    """
    gpu.require_alive()
    if "out of memory" in log.reason.lower():
        return ConfigurationError(
            f"{VERSION}: too little memory of the GPU ({log.reason}); end what else uses it (nvidia-smi lists it), or "
            "lower max_tiles"
        )
    return BundleError(f"{VERSION}: {what} ({log.reason}); {mending}")


def _shapes(engine: trt.ICudaEngine, batched_input: str, batches: tuple[int, ...]) -> tuple[Shapes, Shapes]:
    """
    Return shape and dtype of inputs and outputs at the largest batch.

    Raises:
        BundleError: the plan has no such input, or was built for other batch sizes.
    """
    found: dict[bool, dict[str, tuple[tuple[int, ...], np.dtype[Any]]]] = {True: {}, False: {}}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        shape = tuple(batches[-1] if size < 0 else int(size) for size in engine.get_tensor_shape(name))
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
        found[engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT][name] = shape, dtype
    if batched_input not in found[True]:
        raise BundleError(f"tensorrt: the plan has no input '{batched_input}'; found {', '.join(found[True])}")
    least, _, most = (next(iter(dims)) for dims in engine.get_tensor_profile_shape(batched_input, 0))
    if batches[0] < least or batches[-1] > most:
        raise BundleError(
            f"tensorrt: the plan takes {least} to {most} rows, expected {batches[0]} to {batches[-1]}; build it for "
            "this station: edge-engine build"
        )
    return found[True], found[False]
