"""
The seam to whatever runs a network: an engine knows tensors, their rows and nothing of what they mean.

One vendor a file, imported when it is chosen. An engine is compiled for a few batch sizes, since a fixed shape is
about a fifth faster; a call takes the smallest that holds its rows and repeats row 0 in the rest, so that nothing
stale is computed on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

import edge.quiet  # noqa: F401
from edge.errors import ConfigurationError, InferenceFailed

BackendName = Literal["openvino", "onnxruntime", "tensorrt"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
_EXTRAS: dict[BackendName, str] = {"onnxruntime": "onnx", "tensorrt": "nvidia"}
"""What ``pip install 'edge-inspect[...]'`` brings the vendor's package; OpenVINO comes with the base."""


class BackendSettings(BaseModel):
    """Which vendor runs the networks, at which precision, on how many threads: never left to the vendor's defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: BackendName = Field("openvino", description="what runs the networks")
    precision: Precision = Field(
        "fp32",
        description="arithmetic inside the networks; bf16 needs openvino and a CPU with bf16 units; fp16 and int8 need "
        "edge-engine build",
    )
    threads: int = Field(2, ge=1, le=256, description="CPU threads of one call")
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="where onnxruntime computes; tensorrt always takes the GPU, openvino the CPU"
    )
    gpu: int = Field(0, ge=0, le=63, description="number of the GPU, as the driver counts them")

    @model_validator(mode="after")
    def _can_do_so(self) -> Self:
        if self.precision == "bf16" and self.name != "openvino":
            raise ValueError(f"backend {self.name} computes as its file says, and none says bf16; use fp32 or fp16")
        if self.device == "cuda" and self.name == "openvino":
            raise ValueError("backend openvino computes on the CPU; use device cpu, or backend onnxruntime or tensorrt")
        return self


class Engine(Protocol):
    """One network, ready to run; a context manager that frees it."""

    @property
    def backend(self) -> str:
        """Vendor and version, for instance ``openvino 2026.4.1``."""
        ...

    @property
    def precision(self) -> Precision:
        """The arithmetic inside the network."""
        ...

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes it is compiled for, ascending; the last is the most rows of one call."""
        ...

    @property
    def inputs(self) -> Mapping[str, NDArray[Any]]:
        """
        The buffers the runtime reads, by input name. The caller writes rows 0..n-1 of the batched input before
        ``run(n)``, the other inputs whole; they keep their values between calls.
        """
        ...

    def run(self, n: int) -> Mapping[str, NDArray[Any]]:
        """
        Run the network on the first *n* rows.

        Args:
            n: 1..batches[-1].

        Returns:
            The first n rows of each output, by name. Views of reused buffers: valid until the next call.

        Raises:
            InferenceFailed: the runtime refused; what the buffers hold must not be used.
        """
        ...

    def gather(self, source: Engine, rows: Sequence[int]) -> bool:
        """
        Fill the first rows of the batched input with rows that another engine has read, without leaving the device.

        Args:
            source: the engine whose last ``run`` read them; it keeps them until its next one.
            rows: of its batched input, as many as the next ``run`` here takes.

        Returns:
            False: not possible between these two; nothing was written, and the caller writes ``inputs`` itself.
        """
        ...

    def close(self) -> None:
        """Free the network; a later ``run`` raises InferenceFailed."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_engine(settings: BackendSettings, network: bytes, batched_input: str, batches: Sequence[int]) -> Engine:
    """
    Compile *network* on this machine.

    Args:
        settings: vendor, precision, threads.
        network: an ONNX file, or for tensorrt a plan, as its bytes were verified.
        batched_input: the input whose first dimension is the batch; every output's first dimension is the same.
        batches: batch sizes to compile for, each >= 1.

    Raises:
        ConfigurationError: the vendor's package is not installed, or cannot do what the settings ask.
        BundleError: the vendor refuses the network.
    """
    if not batches or min(batches) < 1:
        raise ConfigurationError(f"batch sizes {list(batches)}: expected at least one, each 1 or more")
    sizes = tuple(sorted(set(batches)))
    return _vendor(settings.name).engine(settings, network, batched_input, sizes)


def backend_version(name: BackendName) -> str:
    """
    Return vendor and version as every engine of it says them, for instance ``openvino 2026.4.1``.

    Raises:
        ConfigurationError: the vendor's package is not installed.
    """
    return _vendor(name).version


class _Vendor(NamedTuple):
    version: str
    engine: Callable[[BackendSettings, bytes, str, tuple[int, ...]], Engine]


def _vendor(name: BackendName) -> _Vendor:
    """Import a vendor's file, and with it the vendor's package."""
    try:
        if name == "openvino":
            from edge.inspector.backend import openvino

            return _Vendor(openvino.VERSION, openvino.OpenVinoEngine)
        if name == "onnxruntime":
            from edge.inspector.backend import onnxruntime

            return _Vendor(onnxruntime.VERSION, onnxruntime.open_onnxruntime)
        from edge.inspector.backend import tensorrt

        return _Vendor(tensorrt.VERSION, tensorrt.TensorRtEngine)
    # OSError: a package of which a library of its own is missing.
    except (ImportError, OSError) as error:
        raise ConfigurationError(
            f"backend '{name}' is not usable ({error}): expected the package of an extra; install "
            f"'edge-inspect[{_EXTRAS.get(name, 'onnx')}]' or choose backend 'openvino'"
        ) from error


def batch_for(batches: tuple[int, ...], n: int) -> int:
    """
    Return the smallest of the ascending *batches* that holds *n* rows.

    Raises:
        InferenceFailed: none does, or n < 1.
    """
    if n >= 1:
        for size in batches:
            if size >= n:
                return size
    raise InferenceFailed(f"{n} rows for an engine compiled for {batches}: expected 1 to {batches[-1]}")


def repeat_first_row(rows: NDArray[Any], n: int, size: int) -> None:
    """Overwrite rows n..size-1 with row 0, so that a padded batch computes on nothing stale."""
    if n < size:
        rows[n:size] = rows[0]


def aligned_zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a C-contiguous array of zeros on a 64-byte boundary: a runtime takes it without a copy."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + 63, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)
