"""edge.inspector.backend.openvino: nothing is left to OpenVINO's defaults."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.errors import BundleError, ConfigurationError
from edge.inspector.backend import BackendSettings
from edge.inspector.backend.openvino import OpenVinoEngine, _require_precision


def scaling_network(weight: float) -> bytes:
    """rows uint8 [N, 2] -> y [N, 2] = relu(weight * rows)."""
    nodes = [
        helper.make_node("Cast", ["rows"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "weight"], ["scaled"]),
        helper.make_node("Relu", ["scaled"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "scaling",
        [helper.make_tensor_value_info("rows", TensorProto.UINT8, ["N", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(np.full((1, 2), weight, np.float32), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    return bytes(model.SerializeToString())


def test_properties_are_set() -> None:
    """Precision, threads, streams and pinning of the compiled model are those of the settings."""
    with OpenVinoEngine(BackendSettings(threads=1), scaling_network(1.0), "rows", (1,)) as engine:
        compiled = engine._requests[1].get_compiled_model()
        assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
        assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
        assert compiled.get_property("NUM_STREAMS") == 1
        assert compiled.get_property("ENABLE_CPU_PINNING") is False


@pytest.mark.parametrize("weight", [np.nan, np.inf, -np.inf])
def test_broken_weight_is_found_when_opened(weight: float) -> None:
    """OpenVINO's ReLU hides NaN, so a weight that is not finite refuses the network by its name."""
    with pytest.raises(BundleError, match="'weight' holds NaN or infinity"):
        OpenVinoEngine(BackendSettings(), scaling_network(weight), "rows", (1,))


def test_bf16_needs_a_cpu_that_has_it() -> None:
    """On a CPU without bf16 units the precision is refused instead of emulated."""

    class OldCore:
        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32", "INT8"]

    with pytest.raises(ConfigurationError, match=r"precision 'bf16'.*FP32, INT8.*choose precision 'fp32'"):
        _require_precision(OldCore(), "bf16")
