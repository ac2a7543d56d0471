"""
A network in half precision: every convolution and all between them in float16, the rest in float32 as before.

Like PyTorch's ``.half()`` of a network whose batch norms are folded, which the exporter has done; the pixels are
normalised in float32, so that nothing is rounded before the first convolution. Softmax, thresholds and health behind
the last one stay float32: a float16 sum over a tile overflows on a sound network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edge.errors import BundleError

CONV = "Conv"
_HALF_SUFFIX = ".half"
_FLOAT_SUFFIX = ".float"

_FLOAT32_INPUTS = {"Resize": (1, 2)}
"""Inputs that stay float32 whatever the node computes in: region of interest and scales."""

_BITS_LEFT = 2.0**-20
"""Below this a float16 keeps fewer than four bits."""
_NOISE = 2.0**-11
"""A channel so small beside the largest of its weight is lost in the rounding of the others: dead already."""


def half_from_network(network: bytes) -> bytes:
    """
    Convert the ONNX file of a float32 network; equal networks give equal bytes.

    Args:
        network: as ``edge-engine export`` writes it.

    Raises:
        BundleError: there is no convolution, or a weight does not fit into float16; names it.
    """
    model = onnx.load_from_string(network)
    graph = model.graph
    inside = _between_convolutions(graph)
    if not inside:
        raise BundleError("the network holds no convolution: nothing to compute in fp16; use its fp32 form")
    floats = _float_tensors(model)
    _Conversion(graph, inside, floats).run()
    del graph.value_info[:]
    onnx.checker.check_model(model)
    converted: bytes = model.SerializeToString(deterministic=True)
    return converted


class _Conversion:
    """One graph on its way to half precision."""

    def __init__(self, graph: onnx.GraphProto, inside: set[int], floats: set[str]) -> None:
        self._graph = graph
        self._inside = inside
        self._floats = floats
        self._weights = {weight.name: weight for weight in graph.initializer}
        self._made_inside = {name for i in inside for name in graph.node[i].output if name in floats}
        self._converted: set[str] = set()

    def run(self) -> None:
        nodes = list(self._nodes())
        nodes += [self._cast(f"{o.name}{_HALF_SUFFIX}", o.name, TensorProto.FLOAT) for o in self._outputs_inside()]
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        used = {name for node in nodes for name in node.input}
        kept = [weight for weight in self._graph.initializer if weight.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _outputs_inside(self) -> Iterable[onnx.ValueInfoProto]:
        """Outputs of the graph that a convolution itself makes: their type is the contract's, not ours."""
        return [output for output in self._graph.output if output.name in self._made_inside]

    def _nodes(self) -> Iterator[NodeProto]:
        """Yield every node in the old order, each Cast before its first reader."""
        renamed = {output.name: f"{output.name}{_HALF_SUFFIX}" for output in self._outputs_inside()}
        for i, node in enumerate(self._graph.node):
            inside = i in self._inside
            for place, name in enumerate(node.input):
                if name not in self._floats or (inside and place in _FLOAT32_INPUTS.get(node.op_type, ())):
                    continue
                if inside and name not in self._made_inside:
                    yield from self._into(name)
                    node.input[place] = f"{name}{_HALF_SUFFIX}"
                elif not inside and name in self._made_inside:
                    yield from self._out_of(name, renamed.get(name, name))
                    node.input[place] = f"{name}{_FLOAT_SUFFIX}"
                else:
                    node.input[place] = renamed.get(name, name)
            if inside:
                _retype(node)
                node.output[:] = [renamed.get(name, name) for name in node.output]
            yield node

    def _into(self, name: str) -> Iterator[NodeProto]:
        """Make ``NAME.half``: of a weight once and for all, of anything else by a Cast."""
        half = f"{name}{_HALF_SUFFIX}"
        if half in self._converted:
            return
        self._converted.add(half)
        if name in self._weights:
            self._graph.initializer.append(_half_weight(self._weights[name], half))
        else:
            yield self._cast(name, half, TensorProto.FLOAT16)

    def _out_of(self, name: str, made: str) -> Iterator[NodeProto]:
        """Make ``NAME.float`` by a Cast."""
        single = f"{name}{_FLOAT_SUFFIX}"
        if single not in self._converted:
            self._converted.add(single)
            yield self._cast(made, single, TensorProto.FLOAT)

    def _cast(self, source: str, target: str, to: int) -> NodeProto:
        return helper.make_node("Cast", [source], [target], f"cast_{target}", to=to)


def _between_convolutions(graph: onnx.GraphProto) -> set[int]:
    """Return the index of every convolution, and of every node on a way from one to another."""
    behind = reached(graph.node, forward=True)
    before = reached(graph.node, forward=False)
    return {i for i, node in enumerate(graph.node) if node.op_type == CONV or (i in behind and i in before)}


def reached(nodes: Iterable[NodeProto], *, forward: bool) -> set[int]:
    """Return the indices of the nodes that read, directly or not, what a convolution makes; backward: it reads."""
    tensors: set[str] = set()
    found: set[int] = set()
    numbered = list(enumerate(nodes))  # topologically sorted, as ONNX asks
    for i, node in numbered if forward else reversed(numbered):
        entered, left = (node.input, node.output) if forward else (node.output, node.input)
        reached = any(name in tensors for name in entered)
        if reached:
            found.add(i)
        if reached or node.op_type == CONV:
            tensors.update(name for name in left if name)
    return found


def _float_tensors(model: onnx.ModelProto) -> set[str]:
    """Return the names of all float32 tensors, weights included."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*graph.input, *graph.value_info, *graph.output]
    tensors = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    return tensors | {weight.name for weight in graph.initializer if weight.data_type == TensorProto.FLOAT}


def _retype(node: NodeProto) -> None:
    """Let a Cast that made float32 make float16."""
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16


def _half_weight(weight: TensorProto, name: str) -> TensorProto:
    """
    Round a weight to float16.

    Raises:
        BundleError: a number overflows, or a whole output channel loses its meaning.
    """
    values = numpy_helper.to_array(weight)
    largest = np.abs(values).max(initial=0.0)
    if not largest <= np.finfo(np.float16).max:
        raise BundleError(
            f"weight '{weight.name}': {largest:.3g} does not fit into fp16 (65504 at most); "
            "use fp32, or train the network again"
        )
    lost = _lost_channels(values)
    if lost:
        raise BundleError(
            f"weight '{weight.name}': channel {lost[0]} ({len(lost)} in all) holds nothing above {_BITS_LEFT:.1e}, "
            "where fp16 rounds it away; use fp32, or train the network again"
        )
    return numpy_helper.from_array(values.astype(np.float16), name)


def _lost_channels(values: NDArray[np.float32]) -> list[int]:
    """Return the output channels that float16 rounds away though they are no noise beside the others."""
    if values.size == 0 or values.ndim == 1:  # a bias that small is nothing beside what it is added to
        return []
    channels = np.abs(values).reshape(values.shape[0] if values.ndim > 1 else 1, -1).max(axis=1)
    lost = (channels < _BITS_LEFT) & (channels > _NOISE * channels.max())
    return [int(i) for i in np.flatnonzero(lost)]
