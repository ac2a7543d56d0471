"""engines.lint: graphs that some backend would refuse or read otherwise are named before they leave the house."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from engines.contract import TileShape
from engines.lint import classifier_signature, lint, operator_counts, segmenter_signature

TILE = TileShape(core_height=16, core_width=16, halo=0)
SIGNATURE = classifier_signature(TILE, 1, 2)


def good_nodes() -> list[NodeProto]:
    """tiles -> scores: the means of the tile, twice."""
    return [
        helper.make_node("Cast", ["tiles"], ["pixels"], "first", to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], "mean", keepdims=0),
        helper.make_node("Concat", ["mean", "mean"], ["both"], "both", axis=1),
        helper.make_node("Mul", ["both", "weight"], ["scores"], "last"),
    ]


def network(
    nodes: list[NodeProto],
    opset: int = 19,
    weight: np.ndarray | None = None,
    tiles: tuple[int, list[int | str]] = (TensorProto.UINT8, ["N", 16, 16, 1]),
    scores: tuple[int, list[int | str]] = (TensorProto.FLOAT, ["N", 2]),
    external: bool = False,
) -> bytes:
    """Return a hand-made classifier."""
    weight = np.ones((1, 2), np.float32) if weight is None else weight
    weights = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(np.array([1, 2]), "axes"),
        numpy_helper.from_array(np.array([0]), "zero"),
    ]
    if external:
        onnx.external_data_helper.set_external_data(weights[0], "elsewhere.bin")
        weights[0].ClearField("raw_data")
    graph = helper.make_graph(
        nodes,
        "hand-made",
        [helper.make_tensor_value_info("tiles", *tiles)],
        [helper.make_tensor_value_info("scores", *scores)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return bytes(model.SerializeToString())


def test_good_graph_has_no_findings() -> None:
    """A graph within the rules passes."""
    assert lint(network(good_nodes()), SIGNATURE) == []


def test_exported_networks_have_no_findings(tiny_bundle: Path) -> None:
    """What export writes passes, for both networks."""
    tile = TileShape(core_height=64, core_width=64, halo=16)
    assert lint((tiny_bundle / "classifier.onnx").read_bytes(), classifier_signature(tile, 1, 2)) == []
    assert lint((tiny_bundle / "segmenter.onnx").read_bytes(), segmenter_signature(tile, 1, 2)) == []


def _transposed_bytes() -> list[NodeProto]:
    """A Transpose before the Cast: TensorRT refuses it."""
    nodes = good_nodes()
    nodes[0].input[0] = "turned"
    return [helper.make_node("Transpose", ["tiles"], ["turned"], "turn", perm=[0, 2, 1, 3]), *nodes]


def _cast_to_integer() -> list[NodeProto]:
    nodes = good_nodes()
    nodes[0] = helper.make_node("Cast", ["tiles"], ["whole"], "first", to=TensorProto.INT32)
    return [nodes[0], helper.make_node("Cast", ["whole"], ["pixels"], to=TensorProto.FLOAT), *nodes[1:]]


def _unknown_operator() -> list[NodeProto]:
    nodes = good_nodes()
    nodes[-1].output[0] = "product"
    return [*nodes, helper.make_node("Mish", ["product"], ["scores"], "mish")]


def _double_inside() -> list[NodeProto]:
    nodes = good_nodes()
    nodes[1].input[0] = "rounded"
    return [
        nodes[0],
        helper.make_node("Cast", ["pixels"], ["precise"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["precise"], ["rounded"], to=TensorProto.FLOAT),
        *nodes[1:],
    ]


def _arithmetic_on_int64() -> list[NodeProto]:
    nodes = good_nodes()
    nodes[1].input[1] = "sum"
    return [nodes[0], helper.make_node("Add", ["axes", "zero"], ["sum"], "count"), *nodes[1:]]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: network(_transposed_bytes()), "operator Transpose (node 'turn') reads uint8 'tiles'"),
        (lambda: network(_transposed_bytes()), "tensor 'turned' inside the graph is uint8"),
        (
            lambda: network(_cast_to_integer()),
            "operator Cast (node 'first') reads uint8 'tiles': expected a Cast to float",
        ),
        (lambda: network(_unknown_operator()), "operator Mish (node 'mish'): not in TensorRT 10.3's list"),
        (lambda: network(_double_inside()), "tensor 'precise' is double"),
        (lambda: network(_arithmetic_on_int64()), "operator Add (node 'count') computes on int64"),
        (lambda: network(good_nodes(), opset=20), "opset 20: expected 19"),
        (lambda: network(good_nodes(), external=True), "weight 'weight' lies in another file"),
        (lambda: network(good_nodes(), weight=np.array([[1, np.nan]], np.float32)), "weight 'weight' holds NaN"),
        (
            lambda: network(good_nodes(), tiles=(TensorProto.UINT8, ["N", 16, 24, 1])),
            "input 'tiles': shape [N, 16, 24, 1], expected [N, 16, 16, 1]",
        ),
        (
            lambda: network(
                good_nodes(), tiles=(TensorProto.UINT8, [1, 16, 16, 1]), scores=(TensorProto.FLOAT, [1, 2])
            ),
            "input 'tiles': shape [1, 16, 16, 1], expected [N, 16, 16, 1]",
        ),
        (
            lambda: network(good_nodes(), tiles=(TensorProto.INT8, ["N", 16, 16, 1])),
            "input 'tiles': int8, expected uint8",
        ),
        (lambda: b"no network", "not a valid ONNX file"),
        (lambda: network(good_nodes()[1:]), "not a valid ONNX file"),
    ],
)
def test_bad_graph_is_named(make: Callable[[], bytes], told: str) -> None:
    """Each thing a backend would trip over is a line with its name."""
    findings = lint(make(), SIGNATURE)
    assert any(told in finding for finding in findings), findings
    assert all("\n" not in finding for finding in findings)


def test_wrong_ports_are_named() -> None:
    """A classifier is no segmenter: every port that is missing or too much is told."""
    findings = lint(network(good_nodes()), segmenter_signature(TILE, 1, 2))
    for told in ("input 'thresholds' is missing", "output 'scores': expected", "output 'health' is missing"):
        assert any(told in finding for finding in findings), findings


def _segmenter(health_from: list[NodeProto], labels_from: list[NodeProto]) -> bytes:
    """Return a hand-made segmenter whose logits are its pixels."""
    shape = ["N", 16, 16]
    nodes = [
        helper.make_node("Cast", ["tiles"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "thresholds"], ["product"]),
        helper.make_node("ReduceMax", ["product", "last"], ["plane"], keepdims=0),
        *labels_from,
        helper.make_node("Cast", ["plane"], ["confidence"], to=TensorProto.UINT8),
        *health_from,
    ]
    graph = helper.make_graph(
        nodes,
        "hand-made",
        [
            helper.make_tensor_value_info("tiles", TensorProto.UINT8, [*shape, 1]),
            helper.make_tensor_value_info("thresholds", TensorProto.FLOAT, [2]),
        ],
        [
            helper.make_tensor_value_info("labels", TensorProto.UINT8, shape),
            helper.make_tensor_value_info("confidence", TensorProto.UINT8, shape),
            helper.make_tensor_value_info("health", TensorProto.FLOAT, ["N"]),
        ],
        [numpy_helper.from_array(np.array([3]), "last"), numpy_helper.from_array(np.array([1, 2]), "sides")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    return bytes(model.SerializeToString())


GOOD_LABELS = [helper.make_node("Cast", ["plane"], ["labels"], to=TensorProto.UINT8)]
GOOD_HEALTH = [helper.make_node("ReduceSum", ["plane", "sides"], ["health"], keepdims=0)]


def test_hand_made_segmenter_has_no_findings() -> None:
    """The segmenter that the next tests spoil is within the rules."""
    assert lint(_segmenter(GOOD_HEALTH, GOOD_LABELS), segmenter_signature(TILE, 1, 2)) == []


def test_health_summed_in_half_precision_is_named() -> None:
    """A float16 sum overflows on a sound network."""
    half = [
        helper.make_node("Cast", ["plane"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("ReduceSum", ["half", "sides"], ["half_sum"], keepdims=0),
        helper.make_node("Cast", ["half_sum"], ["health"], to=TensorProto.FLOAT),
    ]
    findings = lint(_segmenter(half, GOOD_LABELS), segmenter_signature(TILE, 1, 2))
    assert findings == ["output 'health' comes from Cast: expected a ReduceSum of float32"]


def test_labels_from_an_integer_are_named() -> None:
    """uint8 is cast from float, since TensorRT converts from nothing else."""
    whole = [
        helper.make_node("Cast", ["plane"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Cast", ["whole"], ["labels"], to=TensorProto.UINT8),
    ]
    findings = lint(_segmenter(GOOD_HEALTH, whole), segmenter_signature(TILE, 1, 2))
    assert findings == ["output 'labels' is uint8: expected it from a Cast of a float"]


def test_operators_are_counted() -> None:
    """The most frequent operator comes first."""
    nodes = [*good_nodes(), helper.make_node("Mul", ["both", "weight"], ["unused"])]
    assert list(operator_counts(network(nodes)).items()) == [("Mul", 2), ("Cast", 1), ("Concat", 1), ("ReduceMean", 1)]
