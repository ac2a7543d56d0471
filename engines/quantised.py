"""
What a quantised network may hold: pairs of QuantizeLinear and DequantizeLinear, and eight-bit numbers only in them.

Source: NVIDIA TensorRT documentation, "Working with Quantized Types" (explicit quantisation: signed, zero point 0,
scales as constants); ONNX operators QuantizeLinear and DequantizeLinear, version 19.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, numpy_helper

Target = Literal["cpu", "tensorrt"]

QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"
QUANTISERS = frozenset({QUANTISE, DEQUANTISE})

_SMALLEST: dict[int, float] = {
    TensorProto.FLOAT16: float(np.finfo(np.float16).smallest_normal),
    TensorProto.FLOAT: 1e-30,
}
_BYTES = (TensorProto.INT8, TensorProto.UINT8)


def quantised_tensors(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the integers that belong to quantisation: values, weights, zero points, biases."""
    made = {node.output[0] for node in graph.node if node.op_type == QUANTISE}
    read = {name for node in graph.node if node.op_type == DEQUANTISE for name in (node.input[0], *node.input[2:])}
    return made | read | {name for node in graph.node if node.op_type == QUANTISE for name in node.input[2:]}


def quantised_findings(graph: onnx.GraphProto, types: dict[str, int], target: Target) -> Iterator[str]:
    """
    Yield a line for each quantiser that *target* would refuse or read otherwise.

    Args:
        types: element type of every tensor, by name.
        target: tensorrt = signed and symmetric; cpu = unsigned activations, too.
    """
    constants = {constant.name: constant for constant in graph.initializer}
    for node in graph.node:
        if node.op_type in QUANTISERS:
            yield from _scale_findings(node, constants)
            yield from _zero_point_findings(node, constants, target)
            yield from _value_findings(node, constants, types)
    yield from _pair_findings(graph)


def _scale_findings(node: NodeProto, constants: dict[str, TensorProto]) -> Iterator[str]:
    scale = constants.get(node.input[1])
    if scale is None:
        yield f"{_named(node)}: scale '{node.input[1]}' is computed: expected a constant"
        return
    values, least = numpy_helper.to_array(scale), _SMALLEST.get(scale.data_type, 0.0)
    if not (np.isfinite(values).all() and (values >= least).all()):
        yield f"{_named(node)}: scale '{scale.name}' goes down to {values.min():.1e}, expected {least:.1e} or more"


def _zero_point_findings(node: NodeProto, constants: dict[str, TensorProto], target: Target) -> Iterator[str]:
    if len(node.input) < 3 or node.input[2] not in constants:
        yield f"{_named(node)}: no constant zero point, so that its type is left open: expected one"
        return
    zero = constants[node.input[2]]
    of_bias = node.op_type == DEQUANTISE and zero.data_type == TensorProto.INT32 and node.input[0] in constants
    if target == "tensorrt" and zero.data_type != TensorProto.INT8:
        yield f"{_named(node)}: {_type_name(zero.data_type)}, expected int8: TensorRT quantises signed"
    elif zero.data_type not in _BYTES and not of_bias:
        yield f"{_named(node)}: {_type_name(zero.data_type)}, expected int8 or uint8"
    asymmetric = bool(numpy_helper.to_array(zero).any())
    if asymmetric and (target == "tensorrt" or zero.data_type != TensorProto.UINT8):
        yield f"{_named(node)}: zero point '{zero.name}' is not 0: expected a symmetric scale"


def _value_findings(node: NodeProto, constants: dict[str, TensorProto], types: dict[str, int]) -> Iterator[str]:
    """What goes in and comes out: a scale of float16 must not meet a tensor of float32."""
    scale = constants.get(node.input[1])
    real = node.input[0] if node.op_type == QUANTISE else node.output[0]
    if scale is not None and types.get(real, scale.data_type) != scale.data_type:
        yield (
            f"{_named(node)}: scale is {_type_name(scale.data_type)}, tensor '{real}' {_type_name(types[real])}: "
            "expected the same type"
        )


def _pair_findings(graph: onnx.GraphProto) -> Iterator[str]:
    """Nothing but a DequantizeLinear reads what a QuantizeLinear makes."""
    made = {node.output[0]: node for node in graph.node if node.op_type == QUANTISE}
    for node in graph.node:
        for name in node.input:
            if name in made and node.op_type != DEQUANTISE:
                yield f"{_named(node)} reads '{name}' of a {QUANTISE}: expected a {DEQUANTISE} between"


def _named(node: NodeProto) -> str:
    return f"operator {node.op_type} (node '{node.name}')"


def _type_name(elem_type: int) -> str:
    return str(TensorProto.DataType.Name(elem_type)).lower()
