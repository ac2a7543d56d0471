"""
ONNX Runtime's CUDA provider: a GPU path that needs no plan; it reads and writes the same memory as TensorRT does.

Its kernels run on our stream, between our copies. Nothing is captured: the provider has its own graphs, and captures by
others are not supported. What the provider lacks would be computed on the CPU without a word, tensors being copied back
and forth: the nodes are looked at once, when the engine is opened.

Sources: ONNX Runtime documentation, "CUDA Execution Provider" (options) and "I/O Binding".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from numpy.typing import NDArray
from typing_extensions import Self

from edge.errors import BundleError, ConfigurationError, InferenceFailed
from edge.inspector.backend import BackendSettings, Engine, batch_for
from edge.inspector.backend.cuda import Gpu, open_gpu
from edge.inspector.backend.onnxruntime import (
    CUDA_PROVIDER,
    REFUSALS,
    VERSION,
    new_session,
    options_of,
    reason_of,
    shape_of,
)
from edge.inspector.backend.ports import Ports

_CPU_PROVIDER = "CPUExecutionProvider"
# What shapes are made of; ONNX Runtime keeps such nodes on the CPU on purpose.
_SHAPE_TYPES = {"int64", "int32", "bool"}


class OnnxRuntimeCudaEngine:
    """
    An Engine; see there.

    Attributes:
        placement: which nodes ran where: names by provider.
    """

    def __init__(self, settings: BackendSettings, network: bytes, batched_input: str, batches: tuple[int, ...]) -> None:
        self.backend = VERSION
        self.precision = settings.precision
        self.batches = batches
        self._batched_input = batched_input
        with ExitStack() as opened:
            self._gpu = open_gpu(settings.gpu)
            opened.callback(self._gpu.close)
            with self._gpu.current(), ExitStack() as held, TemporaryDirectory() as folder:
                self._session = _session(settings, network, self._gpu, Path(folder))
                held.callback(self._let_go)
                self._ports = _ports(self._session, self._gpu, batched_input, batches[-1])
                held.callback(self._ports.free)
                held.callback(self._gpu.synchronize)
                self._bindings = {size: self._binding(size) for size in batches}
                for size in batches:
                    self._enqueue(size, size)
                self._gpu.synchronize()
                self.placement = placement_from_profile(Path(self._session.end_profiling()).read_text())
                refuse_fallen(self.placement.get(_CPU_PROVIDER, ()))
                self._held = held.pop_all()
            opened.pop_all()

    @property
    def inputs(self) -> Mapping[str, NDArray[Any]]:
        return self._ports.inputs

    def _binding(self, size: int) -> Any:
        """Bind *size* rows at the front of the tensors on the GPU."""
        binding, device = self._session.io_binding(), ("cuda", self._gpu.number)
        for name, host in self._ports.inputs.items():
            shape = (size, *host.shape[1:]) if name == self._batched_input else host.shape
            binding.bind_input(name, *device, host.dtype, shape, self._ports.address(name))
        for name, host in self._ports.answers(size).items():
            binding.bind_output(name, *device, host.dtype, host.shape, self._ports.address(name))
        return binding

    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        size = self._size(n)
        with self._gpu.current():
            self._enqueue(n, size)
            self._gpu.synchronize()
        return self._ports.answers(n)

    def stages_ms(self, n: int) -> Mapping[str, float]:
        """Run; return how long the GPU took to ``upload``, ``compute`` and ``download`` [ms]."""
        size = self._size(n)
        with self._gpu.current():
            return self._gpu.timed(
                {
                    "upload": lambda: self._ports.feed(n, size),
                    "compute": lambda: self._compute(size),
                    "download": lambda: self._ports.fetch(size),
                }
            )

    def _size(self, n: int) -> int:
        if not self._bindings:
            raise InferenceFailed("onnxruntime: the engine is closed")
        return batch_for(self.batches, n)

    def _enqueue(self, n: int, size: int) -> None:
        self._ports.feed(n, size)
        self._compute(size)
        self._ports.fetch(size)

    def _compute(self, size: int) -> None:
        self._ports.spoil()
        try:
            self._session.run_with_iobinding(self._bindings[size])
        except REFUSALS as error:
            self._gpu.require_alive()
            raise InferenceFailed(f"onnxruntime: {reason_of(error)}") from error

    def gather(self, source: Engine, rows: Sequence[int]) -> bool:
        ports = getattr(source, "_ports", None)
        return isinstance(ports, Ports) and bool(self._bindings) and self._ports.gather(ports, rows)

    def _let_go(self) -> None:
        self._session = None

    def close(self) -> None:
        if not self._bindings:
            return
        self._bindings.clear()
        try:
            if not self._gpu.lost:
                with self._gpu.current():
                    self._held.close()
        finally:
            self._gpu.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def provider_options(gpu: int, stream_handle: int) -> dict[str, str]:
    """Return what the CUDA provider is told: our stream, and nothing that a network of this precision does not say."""
    return {
        "device_id": str(gpu),
        "user_compute_stream": str(stream_handle),
        # TF32 keeps 10 bits of a float32's 23.
        "use_tf32": "0",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        # Powers of two would take twice the memory that the other network needs, too.
        "arena_extend_strategy": "kSameAsRequested",
        "enable_cuda_graph": "0",
    }


def _session(settings: BackendSettings, network: bytes, gpu: Gpu, profile: Path) -> Any:
    """
    Open a session that is profiled until its first runs are done.

    Raises:
        ConfigurationError: the provider's libraries do not load, ONNX Runtime would go on with the CPU; or too little
            memory.
        BundleError: the network is refused.
    """
    options = options_of(settings)
    options.enable_profiling = True
    options.profile_file_prefix = str(profile / "nodes")
    providers = [(CUDA_PROVIDER, provider_options(gpu.number, gpu.stream_handle)), _CPU_PROVIDER]
    try:
        session = new_session(network, options, providers)
    except REFUSALS as error:
        gpu.require_alive()
        if "memory" in reason_of(error).lower():
            # No fault of the bundle's: another program has the memory, perhaps only now.
            raise ConfigurationError(
                f"GPU {gpu.number} ({gpu.facts.name}): {reason_of(error)}; end what else uses it (nvidia-smi lists it)"
            ) from error
        raise BundleError(f"onnxruntime refuses the network: {reason_of(error)}; export it again") from error
    if CUDA_PROVIDER not in session.get_providers():
        raise ConfigurationError(
            f"device 'cuda': the CUDA provider of {VERSION} does not load, only {', '.join(session.get_providers())}; "
            "install the CUDA and cuDNN it was built for ('edge-inspect[nvidia-onnx]' brings them), or choose 'cpu'"
        )
    # A provider that fails would be replaced by the CPU, in the middle of the line.
    session.disable_fallback()
    return session


def _ports(session: Any, gpu: Gpu, batched_input: str, largest: int) -> Ports:
    inputs = {port.name: shape_of(port, largest) for port in session.get_inputs()}
    if batched_input not in inputs:
        raise BundleError(f"onnxruntime: the network has no input '{batched_input}'; found {', '.join(inputs)}")
    outputs = {port.name: shape_of(port, largest) for port in session.get_outputs()}
    return Ports(gpu, inputs, outputs, batched_input)


def placement_from_profile(text: str) -> Mapping[str, tuple[str, ...]]:
    """
    Return the nodes that ran, by provider, each as ``operator name``; without those that work out shapes on the CPU.

    Args:
        text: a profile of ONNX Runtime's, JSON.
    """
    placed: dict[str, dict[str, None]] = {}
    for event in json.loads(text):
        given = event.get("args", {})
        provider = given.get("provider")
        if event.get("cat") != "Node" or not provider:
            continue
        types = {kind for output in given.get("output_type_shape", ()) for kind in output}
        if provider == _CPU_PROVIDER and types and types <= _SHAPE_TYPES:
            continue
        name = event["name"].removesuffix("_kernel_time")
        placed.setdefault(provider, {})[f"{given.get('op_name')} {name}"] = None
    return {provider: tuple(names) for provider, names in placed.items()}


def refuse_fallen(nodes: Sequence[str]) -> None:
    """
    Refuse a network of which nodes are computed on the CPU.

    Raises:
        ConfigurationError: names some of them.
    """
    if nodes:
        shown = ", ".join(nodes[:3]) + (f" and {len(nodes) - 3} more" if len(nodes) > 3 else "")
        raise ConfigurationError(
            f"device 'cuda': {VERSION} computes {len(nodes)} nodes on the CPU ({shown}): expected none; choose backend "
            "'tensorrt' or device 'cpu'"
        )
