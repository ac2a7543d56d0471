"""
Which layers a lower precision moved most, and which cost most: for the report when parity fails, and for ``--keep``.

The two are not the same. Deviations add up from layer to layer, so that deep layers move most whatever is the cause;
what to keep is told by quantising one layer at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edge.inspector.backend import BackendSettings, open_engine
from engines.contract import THRESHOLDS, TILES
from engines.half import CONV
from engines.quantised import DEQUANTISE

TILES_AT_ONCE = 4
MOST_NAMED = 8
_SEEN = ".seen"


def moved_layers(
    reference: bytes, other: bytes, tiles: NDArray[np.uint8], most: int = MOST_NAMED
) -> list[tuple[str, float]]:
    """
    Compare what each convolution makes in two precisions, in ONNX Runtime.

    Args:
        reference: the network in float32.
        other: the same network in a lower precision; its Conv nodes have the same names.
        tiles: (N, h, w, C) as on the line; a few tell enough.
        most: so many are returned.

    Returns:
        (name of the Conv node, relative deviation), the worst first: root of the mean square of the difference over
        that of the reference, 0 = unmoved.

    Raises:
        BundleError: ONNX Runtime refuses one of them.
        ConfigurationError: ONNX Runtime is not installed.
    """
    outputs, others = _conv_outputs(reference), _conv_outputs(other)
    names = [name for name in outputs if name in others]
    expected = _tensors(reference, [outputs[name] for name in names], tiles)
    found = _tensors(other, [others[name] for name in names], tiles)
    moved = zip(names, _relative(expected, found, len(names)), strict=True)
    return sorted(moved, key=lambda layer: -layer[1])[:most]


def costly_layers(
    reference: bytes, quantised: bytes, tiles: NDArray[np.uint8], most: int = MOST_NAMED
) -> list[tuple[str, float]]:
    """
    Quantise one layer at a time, and compare what the last convolution makes: the logits, or near them.

    Args:
        reference: the network in float32.
        quantised: the same network, from engines.quantise; of another precision nothing is returned.
        tiles: (N, h, w, C) as on the line; each layer costs one pass over them.
        most: so many are returned.

    Returns:
        (name of the Conv node, relative deviation of the last one's output), the worst first: those to keep.

    Raises:
        BundleError: ONNX Runtime refuses one of the networks.
        ConfigurationError: ONNX Runtime is not installed.
    """
    names, (last, logits) = _quantised_convolutions(quantised), list(_conv_outputs(reference).items())[-1]
    expected = [[values.copy() for values in some] for some in _tensors(reference, [logits], tiles)]
    costs = []
    for name in names:
        alone = _released(quantised, set(names) - {name})
        found = _tensors(alone, [_conv_outputs(alone)[last]], tiles)
        costs += [(name, deviation) for deviation in _relative(expected, found, 1)]
    return sorted(costs, key=lambda cost: -cost[1])[:most]


def _relative(
    expected: Iterable[Sequence[NDArray[np.float32]]], found: Iterable[Sequence[NDArray[np.float32]]], count: int
) -> list[float]:
    """Return for each of *count* tensors the root of the mean square of the difference over that of *expected*."""
    moved, whole = np.zeros((2, count))
    for some, others in zip(expected, found, strict=True):
        for i, (values, theirs) in enumerate(zip(some, others, strict=True)):
            moved[i] += np.square(theirs - values, dtype=np.float64).sum()
            whole[i] += np.square(values, dtype=np.float64).sum()
    return [float(share) for share in np.sqrt(moved / np.maximum(whole, np.finfo(np.float64).tiny))]


def _quantised_convolutions(network: bytes) -> list[str]:
    graph = onnx.load_from_string(network).graph
    dequantised = {node.output[0] for node in graph.node if node.op_type == DEQUANTISE}
    return [node.name for node in graph.node if node.op_type == CONV and node.input[0] in dequantised]


def _released(network: bytes, names: set[str]) -> bytes:
    """Return the network in which the named convolutions read their tensors unquantised; weights stay as they are."""
    model = onnx.load_from_string(network)
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.name in names:
            node.input[0] = makers[makers[node.input[0]].input[0]].input[0]
    released: bytes = model.SerializeToString()
    return released


def _conv_outputs(network: bytes) -> dict[str, str]:
    return {n.name: n.output[0] for n in onnx.load_from_string(network).graph.node if n.op_type == CONV}


def _tensors(network: bytes, names: Sequence[str], tiles: NDArray[np.uint8]) -> Iterator[list[NDArray[np.float32]]]:
    """Yield the named tensors of a few tiles after the other, as float32; views that the next step overwrites."""
    size = min(TILES_AT_ONCE, len(tiles))
    with open_engine(BackendSettings(name="onnxruntime"), _opened(network, names), TILES, (size,)) as engine:
        if THRESHOLDS in engine.inputs:
            engine.inputs[THRESHOLDS][:] = 0.5  # they act behind the last convolution
        for start in range(0, len(tiles), size):
            some = tiles[start : start + size]
            engine.inputs[TILES][: len(some)] = some
            outputs = engine.run(len(some))
            yield [outputs[f"{name}{_SEEN}"] for name in names]


def _opened(network: bytes, names: Sequence[str]) -> bytes:
    """Return the network with *names* as outputs, too, in float32."""
    model = onnx.load_from_string(network)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    shapes = {value.name: value.type.tensor_type.shape for value in (*inferred.value_info, *inferred.output)}
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for name in names:
        seen = f"{name}{_SEEN}"
        shape = [batch, *(dim.dim_value for dim in shapes[name].dim[1:])]
        model.graph.node.append(helper.make_node("Cast", [name], [seen], seen, to=TensorProto.FLOAT))
        model.graph.output.append(helper.make_tensor_value_info(seen, TensorProto.FLOAT, shape))
    opened: bytes = model.SerializeToString()
    return opened
