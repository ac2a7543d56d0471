"""
OpenVINO on the CPU: one compiled model and one request for each batch size, all on the same buffers.

Precision, threads, streams and pinning are set, never left to a default: on a CPU with bf16 units OpenVINO's default
is bf16, and its latency mode pins threads, which makes two stations on one machine fight for the same cores.
Source: OpenVINO documentation, "CPU device" (supported properties) and ``openvino.Tensor`` (shared memory).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from numpy.typing import NDArray
from typing_extensions import Self

from edge.errors import BundleError, ConfigurationError, InferenceFailed
from edge.inspector.backend import BackendSettings, Engine, aligned_zeros, batch_for, repeat_first_row

# A file of fp16 or int8 says itself what is computed so; what it leaves open is fp32.
_PRECISIONS = {"fp32": "f32", "bf16": "bf16", "fp16": "f32", "int8": "f32"}


VERSION = f"openvino {ov.__version__.split('-')[0]}"


class OpenVinoEngine:
    """An Engine; see there."""

    def __init__(self, settings: BackendSettings, network: bytes, batched_input: str, batches: tuple[int, ...]) -> None:
        self.backend = VERSION
        self.precision = settings.precision
        self.batches = batches
        self._batched_input = batched_input
        core = ov.Core()
        _require_precision(core, settings.precision)
        try:
            model = core.read_model(network, b"")
            _require_finite_constants(model)
            compiled = {size: _compiled(core, settings, model, batched_input, size) for size in batches}
        except RuntimeError as error:
            raise BundleError(f"openvino refuses the network: {_reason(error)}; export it again") from error
        largest = compiled[batches[-1]]
        self.inputs: Mapping[str, NDArray[Any]] = {p.any_name: _buffer(p) for p in largest.inputs}
        outputs = {p.any_name: _buffer(p) for p in largest.outputs}
        self._outputs = [{name: rows[:n] for name, rows in outputs.items()} for n in range(batches[-1] + 1)]
        self._requests = {size: self._request(model, size) for size, model in compiled.items()}

    def _request(self, model: ov.CompiledModel, size: int) -> ov.InferRequest:
        """Bind a request for *size* rows to the front of the shared buffers."""
        request = model.create_infer_request()
        for name, rows in self.inputs.items():
            shared = rows[:size] if name == self._batched_input else rows
            request.set_tensor(name, ov.Tensor(shared, shared_memory=True))
        for name, rows in self._outputs[size].items():
            request.set_tensor(name, ov.Tensor(rows, shared_memory=True))
        return request

    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        size = batch_for(self.batches, n)
        request = self._requests.get(size)
        if request is None:
            raise InferenceFailed("openvino: the engine is closed")
        repeat_first_row(self.inputs[self._batched_input], n, size)
        try:
            request.start_async()
            request.wait()
        except RuntimeError as error:
            raise InferenceFailed(f"openvino: {_reason(error)}") from error
        return self._outputs[n]

    def gather(self, source: Engine, rows: Sequence[int]) -> bool:
        return False

    def close(self) -> None:
        self._requests.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _require_precision(core: ov.Core, precision: str) -> None:
    capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and "BF16" not in capabilities:
        raise ConfigurationError(
            f"precision 'bf16': this CPU offers openvino {', '.join(capabilities)}; choose precision 'fp32'"
        )


def _require_finite_constants(model: ov.Model) -> None:
    """OpenVINO's ReLU turns NaN into 0: a broken weight deep inside never reaches the outputs, so it is looked for."""
    for node in model.get_ops():
        if node.get_type_name() != "Constant" or not np.issubdtype(node.data.dtype, np.floating):
            continue
        if not np.isfinite(node.data).all():
            raise BundleError(
                f"openvino: weight '{node.get_friendly_name()}' holds NaN or infinity; export the bundle again"
            )


def _compiled(
    core: ov.Core, settings: BackendSettings, model: ov.Model, batched_input: str, size: int
) -> ov.CompiledModel:
    model = model.clone()
    shape = model.input(batched_input).partial_shape
    shape[0] = size
    model.reshape({batched_input: shape})
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _PRECISIONS[settings.precision],
        "INFERENCE_NUM_THREADS": settings.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }
    return core.compile_model(model, "CPU", properties)


def _buffer(port: Any) -> NDArray[Any]:
    return aligned_zeros(tuple(port.shape), np.dtype(port.element_type.to_dtype()))


def _reason(error: RuntimeError) -> str:
    """Return the last line with content: the first ones name OpenVINO's own source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
