"""
Run by test_onnxruntime_cuda.py on the stand-in for the CUDA driver: plumbing. No GPU, no CUDA provider.

In the place of the provider stands ONNX Runtime on the CPU; it waits for the stream it is given, and computes in the
"device" memory, which is the CPU's.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from edge.errors import BundleError, ConfigurationError, DeviceLost, InferenceFailed
from edge.inspector.backend import BackendSettings, onnxruntime_cuda, open_engine
from edge.inspector.backend.onnxruntime_cuda import OnnxRuntimeCudaEngine, provider_options
from edge.inspector.backend.tensorrt import TensorRtEngine
from engines.plan import build_plan
from tests.edge.inspector.backend.test_backend import (
    adding_network,
    test_closed_engine_does_not_answer,
    test_full_batch_is_computed,
    test_inputs_are_kept_between_calls,
    test_outputs_are_reused,
    test_padding_repeats_row_zero,
    test_rows_beyond_the_largest_batch_are_refused,
)
from tests.support.cuda.driver import DRIVER, failing, live

ON_CUDA = BackendSettings(name="onnxruntime", device="cuda", threads=1)
BATCHES = (1, 2, 4)

__all__ = [
    "test_closed_engine_does_not_answer",
    "test_full_batch_is_computed",
    "test_inputs_are_kept_between_calls",
    "test_outputs_are_reused",
    "test_padding_repeats_row_zero",
    "test_rows_beyond_the_largest_batch_are_refused",
]


class Session:
    """A session of the CPU that passes for one of the CUDA provider."""

    loads = True
    falls = False

    def __init__(self, network: bytes, options: Any, providers: Sequence[Any]) -> None:
        (self.name, given), self.other = providers
        self.stream = int(given["user_compute_stream"])
        self.works = ort.InferenceSession(network, options, providers=[self.other])

    def get_providers(self) -> list[str]:
        return [self.name, self.other] if self.loads else [self.other]

    def disable_fallback(self) -> None: ...

    def get_inputs(self) -> Any:
        return self.works.get_inputs()

    def get_outputs(self) -> Any:
        return self.works.get_outputs()

    def io_binding(self) -> Binding:
        return Binding(self.works.io_binding())

    def run_with_iobinding(self, binding: Binding) -> None:
        if DRIVER.cuStreamSynchronize(ctypes.c_void_p(self.stream)):
            raise RuntimeError("CUDA failure 700: an illegal memory access was encountered\nexpr=...")
        self.works.run_with_iobinding(binding.works)

    def end_profiling(self) -> str:
        file = Path(self.works.end_profiling())
        if not self.falls:
            file.write_text(file.read_text().replace(self.other, self.name))
        return str(file)


class Binding:
    def __init__(self, works: Any) -> None:
        self.works = works

    def bind_input(self, name: str, device: str, number: int, *rest: Any) -> None:
        assert (device, number) == ("cuda", 0)
        self.works.bind_input(name, "cpu", 0, *rest)

    def bind_output(self, name: str, device: str, number: int, *rest: Any) -> None:
        assert (device, number) == ("cuda", 0)
        self.works.bind_output(name, "cpu", 0, *rest)


@pytest.fixture(autouse=True)
def _provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime_cuda, "new_session", Session)


@pytest.fixture
def engine() -> Iterator[OnnxRuntimeCudaEngine]:
    """The adding network; what it leaves allocated fails the test."""
    gc.collect()  # What a test leaves of a lost GPU goes when it likes.
    before = live()
    opened = OnnxRuntimeCudaEngine(ON_CUDA, adding_network(), "rows", BATCHES)
    yield opened
    opened.close()
    assert live() == before


def add(engine: Any, *values: int) -> list[float]:
    for row, value in enumerate(values):
        engine.inputs["rows"][row] = value
    engine.inputs["factor"][:] = 1.0
    return [float(total) for total in engine.run(len(values))["total"][:, 0]]


def test_missing_provider_names_the_extra() -> None:
    """onnxruntime from the extra onnx has no CUDA provider: which one has, and that they exclude each other."""
    with pytest.raises(ConfigurationError, match=r"no CUDA provider; put 'edge-inspect\[nvidia-onnx\]'"):
        open_engine(ON_CUDA, adding_network(), "rows", BATCHES)


def test_provider_that_does_not_load_is_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime would go on with the CPU; nothing stays allocated."""
    before = live()
    monkeypatch.setattr(Session, "loads", False)
    with pytest.raises(ConfigurationError, match=r"does not load, only CPUExecutionProvider"):
        OnnxRuntimeCudaEngine(ON_CUDA, adding_network(), "rows", BATCHES)
    assert live() == before


def test_node_on_the_cpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes are named; nothing stays allocated."""
    before = live()
    monkeypatch.setattr(Session, "falls", True)
    with pytest.raises(ConfigurationError, match=r"computes 4 nodes on the CPU \(Cast .*, ReduceSum .* and 1 more\)"):
        OnnxRuntimeCudaEngine(ON_CUDA, adding_network(), "rows", BATCHES)
    assert live() == before


def test_placement_is_told(engine: OnnxRuntimeCudaEngine) -> None:
    """Each node that ran, by provider; each once, however many batch sizes ran."""
    (provider,) = engine.placement
    assert provider == "CUDAExecutionProvider"
    assert [node.split()[0] for node in engine.placement[provider]] == ["Cast", "ReduceSum", "Add", "Mul"]


def test_options_leave_nothing_to_chance() -> None:
    """Our stream, no TF32, no graph of its own, no more memory than is asked for."""
    told = provider_options(1, 4711)
    assert told["device_id"] == "1"
    assert told["user_compute_stream"] == "4711"
    assert told["use_tf32"] == "0"
    assert told["enable_cuda_graph"] == "0"
    assert told["arena_extend_strategy"] == "kSameAsRequested"


def test_stages_are_timed(engine: OnnxRuntimeCudaEngine) -> None:
    """Upload, compute and download in milliseconds."""
    add(engine, 1, 2, 3)
    assert list(engine.stages_ms(3)) == ["upload", "compute", "download"]


def test_rows_go_from_one_vendor_to_the_other(engine: OnnxRuntimeCudaEngine) -> None:
    """Both engines' rows lie on the same GPU, and stay there."""
    plan = build_plan(adding_network(), "rows", BATCHES, b"", lambda line: None, gpu=0).plan
    with TensorRtEngine(BackendSettings(name="tensorrt"), plan, "rows", BATCHES) as other:
        add(other, 10, 20, 30)
        assert engine.gather(other, [2, 1])
        engine.inputs["factor"][:] = 1.0
        assert [float(row[0]) for row in engine.run(2)["total"]] == [30 + 50, 20 + 50]
        assert other.gather(engine, [1])
        assert float(other.run(1)["total"][0, 0]) == 40


def test_refused_run_is_no_answer(engine: OnnxRuntimeCudaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ONNX Runtime raises is one line, and the engine may be asked again."""

    def refuse(session: Session, binding: Binding) -> None:
        raise RuntimeError("bad binding\nmore")

    with monkeypatch.context() as patched:
        patched.setattr(Session, "run_with_iobinding", refuse)
        with pytest.raises(InferenceFailed, match=r"^onnxruntime: bad binding$"):
            add(engine, 1)
    assert add(engine, 1) == [2.0]


def test_error_that_stays_is_a_lost_device() -> None:
    """Also when it is ONNX Runtime that meets it first."""
    engine = OnnxRuntimeCudaEngine(ON_CUDA, adding_network(), "rows", BATCHES)
    with failing(5):
        with pytest.raises(DeviceLost, match="ILLEGAL_ADDRESS"):
            add(engine, 1)
        engine.close()


@pytest.mark.parametrize(("network", "said"), [(b"no network", "refuses the network"), (b"", "refuses the network")])
def test_bytes_that_are_no_network_are_refused(network: bytes, said: str) -> None:
    """One line; nothing stays allocated."""
    before = live()
    with pytest.raises(BundleError, match=said):
        OnnxRuntimeCudaEngine(ON_CUDA, network, "rows", BATCHES)
    assert live() == before


def test_network_without_the_batched_input_is_refused() -> None:
    """The inputs there are, are named."""
    with pytest.raises(BundleError, match="no input 'tiles'; found rows, factor"):
        OnnxRuntimeCudaEngine(ON_CUDA, adding_network(), "tiles", BATCHES)
