"""engines.half: float16 from the first convolution to the last, as PyTorch computes a folded network in half."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from edge.errors import BundleError
from engines.contract import CLASSIFIER_NAME, SEGMENTER_NAME
from engines.graphs import ClassifierGraph, SegmenterGraph, onnx_from_classifier, onnx_from_segmenter
from engines.half import half_from_network
from engines.lint import classifier_signature, lint, segmenter_signature
from tests.support.bundles import CLASS_NAMES, PAD, TILE, picture
from training.networks.checkpoint import CheckpointSpec, network_from_spec
from training.networks.classifier import TileClassifier

SIGNATURES = {
    CLASSIFIER_NAME: classifier_signature(TILE, 1, 2),
    SEGMENTER_NAME: segmenter_signature(TILE, 1, 2),
}


@pytest.fixture(scope="module", params=[CLASSIFIER_NAME, SEGMENTER_NAME])
def name(request: pytest.FixtureRequest) -> str:
    """Either network."""
    return str(request.param)


def tiles(count: int = 4) -> NDArray[np.uint8]:
    """(count, h, w, 1): a square bright or dark, or nothing."""
    kinds = ((1,), (2,), (), (1, 2))
    drawn = [picture(77 + i, *kinds[i % 4], height=TILE.height, width=TILE.width) for i in range(count)]
    return np.stack(drawn)[..., np.newaxis]


def fold(network: nn.Module, example: Tensor) -> nn.Module:
    """Put each batch norm into the convolution before it, whatever the two are called, and leave it neutral."""
    makers: dict[int, nn.Conv2d] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    kept: list[Tensor] = []  # or the address of a tensor comes again

    def seen(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kept.append(output)
        if isinstance(module, nn.Conv2d):
            makers[id(output)] = module
        elif isinstance(module, nn.BatchNorm2d):
            pairs.append((makers[id(inputs[0])], module))

    hooks = [module.register_forward_hook(seen) for module in network.modules()]
    with torch.no_grad():
        network.eval()(example)
    for hook in hooks:
        hook.remove()
    for conv, norm in pairs:
        weight, bias = nn.utils.fusion.fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        conv.weight, conv.bias = weight, bias
        norm.running_mean, norm.running_var, norm.eps = torch.zeros_like(bias), torch.ones_like(bias), 0.0
        norm.weight, norm.bias = nn.Parameter(torch.ones_like(bias)), nn.Parameter(torch.zeros_like(bias))
    return network


def run(network: bytes, *inputs: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    """Compute node by node as ONNX defines it: a CPU's runtime would quietly take float32."""
    evaluator = ReferenceEvaluator(onnx.load_from_string(network))
    with np.errstate(over="ignore", invalid="ignore"):  # in the half of a sigmoid that is then not taken
        return list(evaluator.run(None, dict(zip(evaluator.input_names, inputs, strict=True))))


def logits_too(network: bytes) -> bytes:
    """Let the network also return what its last convolution makes, in float32."""
    model = onnx.load_from_string(network)
    last = [node for node in model.graph.node if node.op_type == "Conv"][-1].output[0]
    logits = next((n.output[0] for n in model.graph.node if n.op_type == "Cast" and n.input[0] == last), last)
    model.graph.output.append(helper.make_empty_tensor_value_info(logits))
    return bytes(model.SerializeToString())


def networks(name: str) -> tuple[nn.Module, bytes]:
    """Return a network of the tiny bundle's shape whose batch norms have something to fold, and its export."""
    torch.manual_seed(3)
    shared = {"format": "mono8", "tile": TILE, "pad_value": PAD, "class_names": CLASS_NAMES, "made_with": {}}
    shared |= {"dataset": "none", "dataset_sha256": "0" * 64}
    if name == CLASSIFIER_NAME:
        spec = CheckpointSpec(kind="classifier", backbone="test_efficientnet", reduce=2, **shared)
    else:
        spec = CheckpointSpec(kind="segmenter", width=4, depth=2, **shared)
    network = network_from_spec(spec).eval()
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        for values in (norm.running_var, norm.weight.data):
            values.uniform_(0.5, 2.0)
        for values in (norm.running_mean, norm.bias.data):
            values.normal_(0.0, 0.2)
    if isinstance(network, TileClassifier):
        return network, onnx_from_classifier(ClassifierGraph(network), TILE, 1, 4)
    return network, onnx_from_segmenter(SegmenterGraph(network, TILE), 2, 1, 4)


def test_gives_the_numbers_of_a_folded_network_in_pytorchs_half(name: str) -> None:
    """
    What the last convolution makes is PyTorch's, of a folded network in half, to a few roundings of float16.

    Not to the bit: sums are taken in another order, and PyTorch normalises the pixels in float16.
    """
    module, network = networks(name)
    pixels = tiles(2)
    folded = fold(module, torch.zeros(1, 1, TILE.height, TILE.width)).half()
    with torch.inference_mode():
        planes = torch.from_numpy(pixels).permute(0, 3, 1, 2).half()
        logits = (folded.cells(planes) if isinstance(folded, TileClassifier) else folded(planes)).float().numpy()
    inputs = (pixels, np.full(2, 0.5, np.float32))[: 1 + (name == SEGMENTER_NAME)]
    found = run(logits_too(half_from_network(network)), *inputs)[-1]
    assert np.abs(found - logits).max() < 4 * np.finfo(np.float16).eps * np.abs(logits).max()


def test_everything_between_convolutions_is_half_and_nothing_else(tiny_bundle: Path, name: str) -> None:
    """Every convolution reads and makes float16; pixels, softmax, thresholds and health are float32, by few Casts."""
    network = (tiny_bundle / name).read_bytes()
    half = half_from_network(network)
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(half), strict_mode=True)
    types = {v.name: v.type.tensor_type.elem_type for v in (*model.graph.value_info, *model.graph.output)}
    types |= {w.name: w.data_type for w in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv":
            assert {types[tensor] for tensor in (*node.input, *node.output)} == {TensorProto.FLOAT16}
        elif node.op_type in ("Softmax", "ReduceSum", "GreaterOrEqual", "Sub"):
            assert types[node.input[0]] == TensorProto.FLOAT
        elif node.op_type == "Resize":
            assert types[node.input[0]] == TensorProto.FLOAT16
            assert types[node.input[2]] == TensorProto.FLOAT
    casts = [sum(n.op_type == "Cast" for n in onnx.load_from_string(bytes_).graph.node) for bytes_ in (half, network)]
    assert casts[0] == casts[1] + 2
    assert len(half) < 0.7 * len(network)


def test_passes_the_lint_and_is_the_same_each_time(tiny_bundle: Path, name: str) -> None:
    """The half network is as fit for every backend as the one it comes from, and equal networks give equal bytes."""
    network = (tiny_bundle / name).read_bytes()
    assert lint(half_from_network(network), SIGNATURES[name]) == []
    assert half_from_network(network) == half_from_network(network)


def hand_made(weight: NDArray[np.float32], nodes: Callable[[list[NodeProto]], list[NodeProto]] = list) -> bytes:
    """Return tiles -> Conv -> scores, with *nodes* changed."""
    made = nodes(
        [
            helper.make_node("Cast", ["tiles"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("Conv", ["pixels", "weight"], ["scores"], "conv"),
        ]
    )
    graph = helper.make_graph(
        made,
        "hand-made",
        [helper.make_tensor_value_info("tiles", TensorProto.UINT8, ["N", 2, 4, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 2, 4, 4])],
        [numpy_helper.from_array(weight.reshape(2, 2, 1, 1), "weight")],
    )
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10).SerializeToString()
    )


def test_output_of_a_convolution_keeps_its_type() -> None:
    """Where a convolution makes the network's own output, a Cast gives it the type of the contract."""
    half = half_from_network(hand_made(np.array([1, 2, 3, 4], np.float32)))
    assert onnx.load_from_string(half).graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    (found,) = run(half, np.ones((1, 2, 4, 4), np.uint8))
    assert found.dtype == np.float32
    assert found[0, :, 0, 0].tolist() == [3, 7]


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        ([1, 2, 3, 7e4], r"weight 'weight': 7e\+04 does not fit into fp16"),
        ([1, 2, np.nan, 4], "weight 'weight': nan does not fit"),
        ([1e-7, 1e-7, 1e-5, 1e-5], r"weight 'weight': channel 0 \(1 in all\) holds nothing above"),
    ],
)
def test_weight_that_does_not_fit_is_named(weight: list[float], told: str) -> None:
    """A weight that overflows, or loses a whole channel, is refused by name in one line."""
    with pytest.raises(BundleError, match=told) as refused:
        half_from_network(hand_made(np.array(weight, np.float32)))
    assert "\n" not in str(refused.value)


def test_dead_channel_is_no_loss() -> None:
    """A channel that is noise beside the others was dead before."""
    assert half_from_network(hand_made(np.array([1e-9, 1e-9, 1, 1], np.float32)))


def test_network_without_convolution_is_refused() -> None:
    """There is nothing to convert, and saying nothing would be a lie about the precision."""

    def without(nodes: list[NodeProto]) -> list[NodeProto]:
        return [nodes[0], helper.make_node("Relu", ["pixels"], ["scores"])]

    with pytest.raises(BundleError, match="holds no convolution"):
        half_from_network(hand_made(np.ones(4, np.float32), without))
