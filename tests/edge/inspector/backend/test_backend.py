"""edge.inspector.backend: what every engine does alike."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from pydantic import ValidationError

from edge.errors import BundleError, ConfigurationError, InferenceFailed
from edge.inspector.backend import BackendSettings, Engine, open_engine

BACKENDS = ("openvino", "onnxruntime")


def adding_network() -> bytes:
    """rows uint8 [N, 3], factor float32 [1] -> total [N, 3] = factor * (rows + the sum over all N rows)."""
    nodes = [
        helper.make_node("Cast", ["rows"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["x", "axes"], ["over_rows"], keepdims=1),
        helper.make_node("Add", ["x", "over_rows"], ["added"]),
        helper.make_node("Mul", ["added", "factor"], ["total"]),
    ]
    graph = helper.make_graph(
        nodes,
        "adding",
        [
            helper.make_tensor_value_info("rows", TensorProto.UINT8, ["N", 3]),
            helper.make_tensor_value_info("factor", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("total", TensorProto.FLOAT, ["N", 3])],
        [onnx.numpy_helper.from_array(np.array([0]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    return bytes(model.SerializeToString())


@pytest.fixture(params=BACKENDS)
def engine(request: pytest.FixtureRequest) -> Engine:
    """The adding network, compiled for 1, 2 and 4 rows."""
    settings = BackendSettings(name=request.param, threads=1)
    return open_engine(settings, adding_network(), "rows", (4, 1, 2))


def test_full_batch_is_computed(engine: Engine) -> None:
    """A batch that fills a compiled size gives that network's answer for each row."""
    rows = np.array([[1, 2, 3], [10, 20, 30]], np.uint8)
    engine.inputs["rows"][:2] = rows
    engine.inputs["factor"][:] = 0.5
    total = engine.run(2)["total"]
    assert total.shape == (2, 3)
    np.testing.assert_allclose(total, 0.5 * (rows + rows.astype(float).sum(axis=0)))


def test_padding_repeats_row_zero(engine: Engine) -> None:
    """Three rows in a batch of four: the fourth is row 0, whatever lay there before."""
    engine.inputs["rows"][:] = 99
    engine.inputs["factor"][:] = 1.0
    engine.run(4)
    rows = np.array([[1, 2, 3], [10, 20, 30], [5, 5, 5]], np.uint8)
    engine.inputs["rows"][:3] = rows
    total = engine.run(3)["total"]
    np.testing.assert_allclose(total, rows + rows.astype(float).sum(axis=0) + rows[0])


def test_inputs_are_kept_between_calls(engine: Engine) -> None:
    """What the caller does not write stays: thresholds are written once."""
    engine.inputs["rows"][:1] = 4
    engine.inputs["factor"][:] = 2.0
    assert engine.run(1)["total"][0, 0] == 16.0
    engine.inputs["rows"][:1] = 5
    assert engine.run(1)["total"][0, 0] == 20.0


def test_outputs_are_reused(engine: Engine) -> None:
    """Outputs are views of one buffer: nothing is allocated for a frame."""
    engine.inputs["factor"][:] = 1.0
    first = engine.run(2)["total"]
    assert np.shares_memory(first, engine.run(4)["total"])


@pytest.mark.parametrize("n", [0, 5, -1])
def test_rows_beyond_the_largest_batch_are_refused(engine: Engine, n: int) -> None:
    """Too many rows, or none, are refused with the sizes there are."""
    with pytest.raises(InferenceFailed, match=r"\(1, 2, 4\)"):
        engine.run(n)


def test_closed_engine_does_not_answer(engine: Engine) -> None:
    """After close the old buffers are not passed off as an answer."""
    with engine:
        engine.run(1)
    with pytest.raises(InferenceFailed, match="closed"):
        engine.run(1)


def test_engine_says_what_it_is(engine: Engine) -> None:
    """Vendor, version, precision and batch sizes can be logged."""
    assert engine.backend.split()[0] in BACKENDS
    assert engine.backend.split()[1][0].isdigit()
    assert engine.precision == "fp32"
    assert engine.batches == (1, 2, 4)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("network", [b"", b"no network", adding_network()[:200]])
def test_bytes_that_are_no_network_are_refused(name: str, network: bytes) -> None:
    """A vendor's refusal of a network is one line."""
    with pytest.raises(BundleError, match=f"{name} refuses the network") as refused:
        open_engine(BackendSettings(name=name), network, "rows", (1,))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", BACKENDS)
def test_network_without_the_batched_input_is_refused(name: str) -> None:
    """An input that the network does not have is named."""
    with pytest.raises(BundleError, match="tiles"):
        open_engine(BackendSettings(name=name), adding_network(), "tiles", (1,))


@pytest.mark.parametrize("batches", [(), (0, 1)])
def test_senseless_batch_sizes_are_refused(batches: tuple[int, ...]) -> None:
    """At least one batch size, each of one row or more."""
    with pytest.raises(ConfigurationError, match="batch sizes"):
        open_engine(BackendSettings(), adding_network(), "rows", batches)


def test_vendors_are_imported_when_chosen() -> None:
    """The seam itself loads no vendor's package."""
    code = "import sys, edge.inspector.backend; sys.exit({'openvino', 'onnxruntime'} & set(sys.modules) != set())"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "onnxruntime", "precision": "bf16"}, "none says bf16"),
        ({"name": "tensorrt", "precision": "bf16"}, "none says bf16"),
        ({"name": "openvino", "device": "cuda"}, "computes on the CPU"),
    ],
)
def test_what_a_backend_cannot_do_is_no_setting(settings: dict[str, str], said: str) -> None:
    """A label that is not what is computed would be a silent lie."""
    with pytest.raises(ValidationError, match=said):
        BackendSettings.model_validate(settings)
