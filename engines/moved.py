"""Which layers a lower precision moved most: for the report when parity fails, and for whoever chooses what to keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edge.inspector.backend import BackendSettings, open_engine
from engines.contract import THRESHOLDS, TILES
from engines.half import CONV

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
    moved, whole = np.zeros((2, len(names)))
    pairs = zip(
        _tensors(reference, [outputs[name] for name in names], tiles),
        _tensors(other, [others[name] for name in names], tiles),
        strict=True,
    )
    for expected, found in pairs:
        for i, (values, others_values) in enumerate(zip(expected, found, strict=True)):
            moved[i] += np.square(others_values - values, dtype=np.float64).sum()
            whole[i] += np.square(values, dtype=np.float64).sum()
    deviations = np.sqrt(moved / np.maximum(whole, np.finfo(np.float64).tiny))
    return [(names[i], float(deviations[i])) for i in np.argsort(-deviations, kind="stable")[:most]]


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
