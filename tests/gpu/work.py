"""
How much work a network is, counted from its ONNX file, and how long a GPU would take for it at the rates it has shown.

The roofline: a node takes as long as its operations at the rate of a large matrix product, or as its bytes at the
rate of a large copy, whichever is longer. Two bounds: ``once`` for a network in which every weight, input and output
passes memory once and nothing else does; ``by node`` for one in which each node
reads its inputs and writes its output. TensorRT and cuDNN join nodes, and lie between the two.

Source: Williams, Waterman, Patterson, "Roofline", CACM 52 (2009).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from edge.errors import BundleError

INPUT, OUTPUT = "rows", "products"


@dataclass(frozen=True)
class Work:
    """
    Attributes:
        nodes: (operations, bytes read and written) of each node; a multiplication and an addition are two operations.
        bytes_once: of weights, inputs and outputs.
    """

    nodes: tuple[tuple[float, float], ...]
    bytes_once: float

    @property
    def operations(self) -> float:
        return sum(operations for operations, _ in self.nodes)

    @property
    def bytes_by_node(self) -> float:
        return sum(size for _, size in self.nodes)

    def once_ms(self, operations_per_s: float, bytes_per_s: float) -> float:
        return 1e3 * max(self.operations / operations_per_s, self.bytes_once / bytes_per_s)

    def by_node_ms(self, operations_per_s: float, bytes_per_s: float) -> float:
        return 1e3 * sum(max(count / operations_per_s, size / bytes_per_s) for count, size in self.nodes)


def work_of(network: bytes, rows: int) -> Work:
    """
    Count the work of one call.

    Args:
        network: an ONNX file.
        rows: of the batch: every dimension that has a name becomes so large.

    Raises:
        BundleError: the shape of some tensor cannot be worked out.
    """
    model = onnx.load_from_string(network)
    for port in (*model.graph.input, *model.graph.output):
        for size in port.type.tensor_type.shape.dim:
            if size.HasField("dim_param"):
                size.dim_value = rows
    del model.graph.value_info[:]
    graph = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {port.name: _shape(port) for port in (*graph.input, *graph.value_info, *graph.output)}
    sizes = {name: math.prod(shape) * itemsize for name, (shape, itemsize) in shapes.items()}
    for weight in graph.initializer:
        shapes[weight.name] = tuple(weight.dims), numpy_helper.to_array(weight).itemsize
        sizes[weight.name] = numpy_helper.to_array(weight).nbytes
    nodes = []
    for node in graph.node:
        if node.op_type == "Constant":
            continue
        names = [name for name in (*node.input, *node.output) if name]
        lacking = next((name for name in names if name not in sizes), None)
        if lacking is not None:
            raise BundleError(f"node '{node.name}' of operator {node.op_type}: the shape of '{lacking}' is not known")
        nodes.append((float(_operations(node, shapes)), float(sum(sizes[name] for name in names))))
    weights = {weight.name for weight in graph.initializer}
    outside = {port.name for port in (*graph.input, *graph.output)} | weights
    return Work(tuple(nodes), float(sum(sizes[name] for name in outside)))


def _shape(port: onnx.ValueInfoProto) -> tuple[tuple[int, ...], int]:
    kind = port.type.tensor_type
    if any(not size.HasField("dim_value") for size in kind.shape.dim):
        raise BundleError(f"tensor '{port.name}': a dimension is not known")
    return tuple(size.dim_value for size in kind.shape.dim), helper.tensor_dtype_to_np_dtype(kind.elem_type).itemsize


def _operations(node: onnx.NodeProto, shapes: dict[str, tuple[tuple[int, ...], int]]) -> int:
    """Return 2 for each product that is summed up; of anything else 1 for each number that comes out."""
    made = math.prod(shapes[node.output[0]][0])
    if node.op_type == "Conv":
        return 2 * made * math.prod(shapes[node.input[1]][0][1:])
    if node.op_type == "ConvTranspose":
        return 2 * math.prod(shapes[node.input[0]][0]) * math.prod(shapes[node.input[1]][0][1:])
    if node.op_type in ("MatMul", "Gemm"):
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return 2 * made * shapes[node.input[0]][0][-2 if transposed else -1]
    return made


def product_network(side: int) -> bytes:
    """Return a network that multiplies (rows, side) by a fixed (side, side), float32."""
    weights = np.random.default_rng(3).standard_normal((side, side), np.float32) / side
    graph = helper.make_graph(
        [helper.make_node("MatMul", [INPUT, "weights"], [OUTPUT], name="product")],
        "product",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", side])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", side])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
