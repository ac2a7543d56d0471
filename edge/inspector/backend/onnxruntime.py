"""
ONNX Runtime on the CPU: the reference beside which the other backends are judged. One session, one binding a batch.

What its use on a GPU (onnxruntime_cuda.py) shares with it stands here: the one file that imports the package.

Source: ONNX Runtime documentation, "Thread management" (spinning, sequential execution) and "I/O binding".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state  # type: ignore[import-untyped]
from typing_extensions import Self

from edge.errors import BundleError, ConfigurationError, InferenceFailed
from edge.inspector.backend import BackendSettings, Engine, aligned_zeros, batch_for, repeat_first_row

# ONNX Runtime's errors share no base; ValueError comes from its Python layer.
REFUSALS = (
    state.EPFail,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoModel,
    state.NotImplemented,
    state.RuntimeException,
    RuntimeError,
    ValueError,
)
DTYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}


VERSION = f"onnxruntime {ort.__version__}"
CUDA_PROVIDER = "CUDAExecutionProvider"


def open_onnxruntime(settings: BackendSettings, network: bytes, batched_input: str, batches: tuple[int, ...]) -> Engine:
    """Open a network where the settings say: on the CPU, or by the CUDA provider."""
    if settings.device == "cpu":
        return OnnxRuntimeEngine(settings, network, batched_input, batches)
    if CUDA_PROVIDER not in ort.get_available_providers():
        raise ConfigurationError(
            f"device 'cuda': {VERSION} has no CUDA provider; put 'edge-inspect[nvidia-onnx]' in the place of "
            "'edge-inspect[onnx]' (pip uninstall onnxruntime first: the two cannot live together), or choose 'cpu'"
        )
    # CUDA and cuDNN as PyPI has them lie where no loader looks.
    ort.preload_dlls()
    # pycuda comes with it.
    from edge.inspector.backend.onnxruntime_cuda import OnnxRuntimeCudaEngine

    return OnnxRuntimeCudaEngine(settings, network, batched_input, batches)


class OnnxRuntimeEngine:
    """An Engine; see there."""

    def __init__(self, settings: BackendSettings, network: bytes, batched_input: str, batches: tuple[int, ...]) -> None:
        self.backend = VERSION
        self.precision = settings.precision
        self.batches = batches
        self._batched_input = batched_input
        try:
            self._session = new_session(network, options_of(settings), ["CPUExecutionProvider"])
        except REFUSALS as error:
            raise BundleError(f"onnxruntime refuses the network: {reason_of(error)}; export it again") from error
        self.inputs: Mapping[str, NDArray[Any]] = {
            port.name: _buffer(port, batches[-1]) for port in self._session.get_inputs()
        }
        if batched_input not in self.inputs:
            raise BundleError(
                f"onnxruntime: the network has no input '{batched_input}'; found {', '.join(self.inputs)}"
            )
        outputs = {port.name: _buffer(port, batches[-1]) for port in self._session.get_outputs()}
        self._outputs = [{name: rows[:n] for name, rows in outputs.items()} for n in range(batches[-1] + 1)]
        self._bindings = {size: self._binding(size) for size in batches}

    def _binding(self, size: int) -> Any:
        """Bind *size* rows at the front of the shared buffers."""
        binding = self._session.io_binding()
        for name, rows in self.inputs.items():
            shared = rows[:size] if name == self._batched_input else rows
            binding.bind_input(name, "cpu", 0, shared.dtype, shared.shape, shared.ctypes.data)
        for name, rows in self._outputs[size].items():
            binding.bind_output(name, "cpu", 0, rows.dtype, rows.shape, rows.ctypes.data)
        return binding

    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        size = batch_for(self.batches, n)
        binding = self._bindings.get(size)
        if binding is None:
            raise InferenceFailed("onnxruntime: the engine is closed")
        repeat_first_row(self.inputs[self._batched_input], n, size)
        try:
            self._session.run_with_iobinding(binding)
        except REFUSALS as error:
            raise InferenceFailed(f"onnxruntime: {reason_of(error)}") from error
        return self._outputs[n]

    def gather(self, source: Engine, rows: Sequence[int]) -> bool:
        return False

    def close(self) -> None:
        self._bindings.clear()
        self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def options_of(settings: BackendSettings) -> Any:
    """Return session options in which nothing is left to a default that matters."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    # Threads that spin between calls take the cores from the other network's engine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def new_session(network: bytes, options: Any, providers: Sequence[Any]) -> Any:
    """Open a session; raises REFUSALS."""
    return ort.InferenceSession(network, options, providers=list(providers))


def shape_of(port: Any, rows: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return a port's shape and dtype; its one unknown dimension, the batch, becomes *rows*."""
    return tuple(size if isinstance(size, int) else rows for size in port.shape), np.dtype(DTYPES[port.type])


def _buffer(port: Any, rows: int) -> NDArray[Any]:
    return aligned_zeros(*shape_of(port, rows))


def reason_of(error: Exception) -> str:
    """Return the first line of what ONNX Runtime says."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
