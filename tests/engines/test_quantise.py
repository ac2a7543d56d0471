"""engines.quantise, quantised, moved: eight bits for TensorRT or for a CPU, what they may hold, what they move."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge.errors import BundleError, ConfigurationError
from edge.inspector.backend import BackendSettings, open_engine
from engines.contract import CLASSIFIER_NAME, CONFIDENCE, LABELS, SCORES, SEGMENTER_NAME, THRESHOLDS, TILES
from engines.half import half_from_network
from engines.lint import classifier_signature, lint, segmenter_signature
from engines.moved import costly_layers, moved_layers
from engines.quantise import SMALLEST_SCALE, convolutions, int8_from_network, outermost
from engines.quantised import Target
from tests.support.bundles import TILE, picture

SIGNATURES = {
    CLASSIFIER_NAME: classifier_signature(TILE, 1, 2),
    SEGMENTER_NAME: segmenter_signature(TILE, 1, 2),
}
TARGETS: list[Target] = ["cpu", "tensorrt"]
NAMES = [CLASSIFIER_NAME, SEGMENTER_NAME]


def tiles(count: int, seed: int = 300) -> NDArray[np.uint8]:
    """(count, h, w, 1): squares bright or dark, or nothing."""
    kinds = ((1,), (2,), (), (1, 2))
    drawn = [picture(seed + i, *kinds[i % 4], height=TILE.height, width=TILE.width) for i in range(count)]
    return np.stack(drawn)[..., np.newaxis]


@pytest.fixture(scope="module")
def quantised(tiny_bundle: Path) -> Callable[[str, Target], bytes]:
    """Return the tiny bundle's networks, quantised once."""
    made: dict[tuple[str, Target], bytes] = {}

    def get(name: str, target: Target) -> bytes:
        key = (name, target)
        if key not in made:
            made[key] = int8_from_network((tiny_bundle / name).read_bytes(), tiles(12), target=target)
        return made[key]

    return get


def answers(network: bytes, backend: str, seen: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
    with open_engine(BackendSettings(name=backend, threads=1), network, TILES, (len(seen),)) as engine:
        engine.inputs[TILES][:] = seen
        if THRESHOLDS in engine.inputs:
            engine.inputs[THRESHOLDS][:] = 0.5
        return {key: value.copy() for key, value in engine.run(len(seen)).items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", TARGETS)
def test_passes_the_lint_of_its_target(
    quantised: Callable[[str, Target], bytes], name: str, target: Target, tiny_bundle: Path
) -> None:
    """Every convolution but the outermost reads eight bits, and the lint finds nothing."""
    network = quantised(name, target)
    assert lint(network, SIGNATURES[name], target) == []
    graph = onnx.load_from_string(network).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    convs = [node for node in graph.node if node.op_type == "Conv"]
    before = (tiny_bundle / name).read_bytes()
    quantised_convs = {conv.name for conv in convs if made_by.get(conv.input[0]) == "DequantizeLinear"}
    assert quantised_convs == {c.name for c in convs if made_by.get(c.input[1]) == "DequantizeLinear"}
    assert quantised_convs == set(convolutions(before)) - set(outermost(before))
    assert [opset.domain for opset in onnx.load_from_string(network).opset_import] == [""]


@pytest.mark.parametrize("target", TARGETS)
def test_is_the_same_each_time(quantised: Callable[[str, Target], bytes], target: Target, tiny_bundle: Path) -> None:
    """Equal networks and equal tiles give equal bytes."""
    network = (tiny_bundle / CLASSIFIER_NAME).read_bytes()
    assert int8_from_network(network, tiles(12), target=target) == quantised(CLASSIFIER_NAME, target)


def test_tensorrts_file_is_signed_symmetric_and_half(quantised: Callable[[str, Target], bytes]) -> None:
    """Scales are float16 and normal, zero points 0 and signed, no bias is quantised: TensorRT does that itself."""
    graph = onnx.load_from_string(quantised(SEGMENTER_NAME, "tensorrt")).graph
    constants = {constant.name: constant for constant in graph.initializer}
    for node in (node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")):
        scale, zero = (constants[name] for name in node.input[1:3])
        assert (scale.data_type, zero.data_type) == (TensorProto.FLOAT16, TensorProto.INT8)
        assert not numpy_helper.to_array(zero).any()
        assert (numpy_helper.to_array(scale) >= SMALLEST_SCALE).all()
    biases = [constants[node.input[2]].data_type for node in graph.node if node.op_type == "Conv"]
    assert set(biases) == {TensorProto.FLOAT16}


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_cpu_file_answers_nearly_as_float32(
    quantised: Callable[[str, Target], bytes], backend: str, tiny_bundle: Path
) -> None:
    """On tiles that it was not calibrated with, scores and masks are near those of float32."""
    seen = tiles(8, seed=900)
    expected = {name: answers((tiny_bundle / name).read_bytes(), backend, seen) for name in NAMES}
    found = {name: answers(quantised(name, "cpu"), backend, seen) for name in NAMES}
    assert np.abs(found[CLASSIFIER_NAME][SCORES] - expected[CLASSIFIER_NAME][SCORES]).max() < 0.1
    labels, wanted = found[SEGMENTER_NAME][LABELS], expected[SEGMENTER_NAME][LABELS]
    assert (wanted > 0).any()
    assert ((labels == wanted) & (wanted > 0)).sum() > 0.95 * ((labels > 0) | (wanted > 0)).sum()
    strays = found[SEGMENTER_NAME][CONFIDENCE].astype(int) - expected[SEGMENTER_NAME][CONFIDENCE]
    assert np.abs(strays).mean() < 4


def test_openvino_computes_the_cpu_file_in_eight_bits(
    quantised: Callable[[str, Target], bytes], tiny_bundle: Path
) -> None:
    """With the precision that the backend asks for, every quantised convolution is an int8 kernel once compiled."""
    core = openvino.Core()
    model = core.read_model(quantised(SEGMENTER_NAME, "cpu"), b"")
    model.reshape({TILES: [2, TILE.height, TILE.width, 1]})
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    kernels = [
        str(node.get_rt_info()["runtimePrecision"].astype(str))
        for node in compiled.get_runtime_model().get_ops()
        if node.get_rt_info()["layerType"].astype(str) == "Convolution"
    ]
    network = (tiny_bundle / SEGMENTER_NAME).read_bytes()
    eight = [kernel for kernel in kernels if kernel in ("u8", "i8")]
    assert len(eight) == len(convolutions(network)) - len(outermost(network)) > 0


def test_kept_layer_stays_as_it_was(tiny_bundle: Path) -> None:
    """A layer that is named reads and holds what it did before, also where a quantised one reads the same tensor."""
    network = (tiny_bundle / SEGMENTER_NAME).read_bytes()
    inner = [name for name in convolutions(network) if name not in outermost(network)]
    graph = onnx.load_from_string(int8_from_network(network, tiles(4), target="cpu", keep=[inner[1]])).graph
    before = {node.name: node for node in onnx.load_from_string(network).graph.node}
    for name in (inner[1], *outermost(network)):
        conv = next(node for node in graph.node if node.name == name)
        assert list(conv.input) == list(before[name].input)


def test_unknown_layer_is_refused(tiny_bundle: Path) -> None:
    """A misspelt name is told, and the closest that there are."""
    network = (tiny_bundle / SEGMENTER_NAME).read_bytes()
    first = convolutions(network)[0]
    with pytest.raises(ConfigurationError, match=f"keep '{first}x': the network has no such Conv node.*{first}"):
        int8_from_network(network, tiles(4), target="cpu", keep=[first + "x"])


def test_no_tiles_are_refused(tiny_bundle: Path) -> None:
    """Scales come from pictures."""
    with pytest.raises(ConfigurationError, match="no tiles to quantise with"):
        int8_from_network((tiny_bundle / CLASSIFIER_NAME).read_bytes(), tiles(4)[:0], target="cpu")


def conv_network(weight: NDArray[np.float32]) -> bytes:
    """Return tiles -> Conv -> Conv of *weight* -> Conv -> scores, of two channels; the outer two change nothing."""
    nodes = [
        helper.make_node("Cast", ["tiles"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["pixels", "unit"], ["read"], "first"),
        helper.make_node("Conv", ["read", "weight"], ["made"], "conv"),
        helper.make_node("Conv", ["made", "unit"], ["scores"], "last"),
    ]
    graph = helper.make_graph(
        nodes,
        "hand-made",
        [helper.make_tensor_value_info("tiles", TensorProto.UINT8, ["N", 2, 4, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 2, 4, 4])],
        [
            numpy_helper.from_array(weight.reshape(2, 2, 1, 1), "weight"),
            numpy_helper.from_array(np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1), "unit"),
        ],
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10).SerializeToString()
    )


def test_scale_of_a_faint_channel_is_lifted() -> None:
    """A scale that float16 holds with few bits is raised, and the weights are rounded to it."""
    faint = np.array([1, 1, 1e-3, 2e-3], np.float32)
    seen = np.full((1, 2, 4, 4), 200, np.uint8)
    graph = onnx.load_from_string(int8_from_network(conv_network(faint), seen, target="tensorrt")).graph
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    weights = next(n for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants)
    values, scales = constants[weights.input[0]], constants[weights.input[1]].astype(float)
    assert scales.min() == pytest.approx(SMALLEST_SCALE)
    restored = (values * scales.reshape(-1, 1, 1, 1)).ravel()
    assert np.abs(restored - faint).max() <= 0.01


def test_activation_that_is_nearly_nothing_is_refused() -> None:
    """Its scale would be no number of float16: the tensor is named."""
    network = conv_network(np.ones(4, np.float32))
    model = onnx.load_from_string(network)
    model.graph.node[1].output[0] = "raw"
    model.graph.node.insert(2, helper.make_node("Mul", ["raw", "small"], ["read"]))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1e-6), "small"))
    with pytest.raises(BundleError, match=r"tensor 'read': scale .*keep the layer that reads it"):
        int8_from_network(model.SerializeToString(), np.full((1, 2, 4, 4), 200, np.uint8), target="tensorrt")


def changed(network: bytes, change: Callable[[onnx.GraphProto], None]) -> bytes:
    model = onnx.load_from_string(network)
    change(model.graph)
    return bytes(model.SerializeToString())


def first_of(graph: onnx.GraphProto, operator: str) -> onnx.NodeProto:
    return next(node for node in graph.node if node.op_type == operator)


def _set(graph: onnx.GraphProto, name: str, value: float) -> None:
    constant = next(c for c in graph.initializer if c.name == name)
    array = np.full_like(numpy_helper.to_array(constant), value)
    constant.CopyFrom(numpy_helper.from_array(array, name))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda graph: _set(graph, first_of(graph, "QuantizeLinear").input[1], 1e-6),
            "goes down to .*, expected 6.1e-05",
        ),
        (lambda graph: _set(graph, first_of(graph, "QuantizeLinear").input[1], np.nan), "goes down to nan"),
        (lambda graph: _set(graph, first_of(graph, "QuantizeLinear").input[2], 3), "is not 0: expected a symmetric"),
        (lambda graph: first_of(graph, "DequantizeLinear").input.pop(), "no constant zero point"),
    ],
)
def test_lint_names_what_tensorrt_would_refuse(
    quantised: Callable[[str, Target], bytes], change: Callable[[onnx.GraphProto], None], told: str
) -> None:
    """Each fault of a quantiser is a line with its node."""
    network = changed(quantised(CLASSIFIER_NAME, "tensorrt"), change)
    findings = lint(network, SIGNATURES[CLASSIFIER_NAME], "tensorrt")
    assert findings
    assert any(re.search(told, finding) for finding in findings), findings


def test_lint_refuses_a_file_of_the_other_target(quantised: Callable[[str, Target], bytes]) -> None:
    """TensorRT quantises signed only; and a bundle's own networks hold floats only."""
    network = quantised(SEGMENTER_NAME, "cpu")
    assert any(
        "expected int8: TensorRT quantises signed" in f for f in lint(network, SIGNATURES[SEGMENTER_NAME], "tensorrt")
    )
    assert any("operator QuantizeLinear" in f for f in lint(network, SIGNATURES[SEGMENTER_NAME]))


def test_moved_layers_are_named_worst_first(quantised: Callable[[str, Target], bytes], tiny_bundle: Path) -> None:
    """Eight bits move layers by per cent, half precision by thousandths, float32 not at all."""
    network = (tiny_bundle / SEGMENTER_NAME).read_bytes()
    seen = tiles(5, seed=700)
    moved = {target: moved_layers(network, quantised(SEGMENTER_NAME, target), seen) for target in TARGETS}
    half = moved_layers(network, half_from_network(network), seen)
    for found in (*moved.values(), half):
        assert {name for name, _ in found} <= set(convolutions(network))
        assert [value for _, value in found] == sorted((value for _, value in found), reverse=True)
    assert 1e-3 < moved["cpu"][0][1] < 0.5
    assert 1e-3 < moved["tensorrt"][0][1] < 0.5
    assert 0 < half[0][1] < 5e-3
    assert moved_layers(network, network, seen, most=1)[0][1] == 0.0


@pytest.mark.parametrize("target", TARGETS)
def test_costly_layers_are_told_one_at_a_time(
    quantised: Callable[[str, Target], bytes], target: Target, tiny_bundle: Path
) -> None:
    """Each quantised layer alone moves the logits by something; to keep the worst moves them less than all together."""
    network = (tiny_bundle / SEGMENTER_NAME).read_bytes()
    seen = tiles(4, seed=700)
    costs = costly_layers(network, quantised(SEGMENTER_NAME, target), seen)
    inner = set(convolutions(network)) - set(outermost(network))
    assert {name for name, _ in costs} <= inner
    assert [cost for _, cost in costs] == sorted((cost for _, cost in costs), reverse=True)
    kept = int8_from_network(network, tiles(12), target=target, keep=[name for name, _ in costs[:3]])
    last = convolutions(network)[-1]
    before, after = (
        dict(moved_layers(network, other, seen, most=99))[last] for other in (quantised(SEGMENTER_NAME, target), kept)
    )
    assert after < before
    assert costly_layers(network, half_from_network(network), seen) == []
