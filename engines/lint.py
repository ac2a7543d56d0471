"""
What an exported network may hold, so that the oldest TensorRT we support parses it and all backends read it alike.

Source: onnx-tensorrt, docs/operators.md (TensorRT 8.5 to 10: operators and types); NVIDIA/TensorRT issue 3985 (a uint8
input must feed a Cast directly; uint8 converts only from and to float32 and float16).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, numpy_helper

from engines.contract import CONFIDENCE, HEALTH, LABELS, OPSET, SCORES, THRESHOLDS, TILES, TileShape
from engines.quantised import QUANTISERS, Target, quantised_findings, quantised_tensors

_OPERATORS_TEXT = """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv ConvTranspose
    DepthToSpace Div Elu Equal Erf Exp Expand Flatten Floor Gather Gemm GlobalAveragePool GlobalMaxPool Greater
    GreaterOrEqual HardSigmoid HardSwish Identity InstanceNormalization LeakyRelu Less LessOrEqual Log MatMul Max
    MaxPool Min Mul Neg Not Or PRelu Pad Pow Reciprocal ReduceMax ReduceMean ReduceMin ReduceSum Relu Reshape Resize
    Round Selu Shape Sigmoid Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh Tile Transpose
    Unsqueeze Where
"""
OPERATORS = frozenset(_OPERATORS_TEXT.split())

# Operators that may read int64: as a shape, an axis or an index, never as a quantity.
_INT64_READERS_TEXT = """
    Cast Concat Expand Gather Pad ReduceMax ReduceMean ReduceMin ReduceSum Reshape Resize Slice Split Squeeze Tile
    Unsqueeze
"""
_INT64_READERS = frozenset(_INT64_READERS_TEXT.split())

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
_INSIDE = (*_FLOATS, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL)
_BATCH = None
"""Stands in a shape for the one dimension that is not fixed."""

Shape = tuple["int | None", ...]


@dataclass(frozen=True)
class Signature:
    """Element type and shape of every input and output, by name; dimension None is the batch."""

    inputs: dict[str, tuple[int, Shape]]
    outputs: dict[str, tuple[int, Shape]]


def classifier_signature(tile: TileShape, channels: int, class_count: int) -> Signature:
    """Return what engines.contract says of a classifier."""
    return Signature(
        inputs={TILES: (TensorProto.UINT8, (_BATCH, tile.height, tile.width, channels))},
        outputs={SCORES: (TensorProto.FLOAT, (_BATCH, class_count))},
    )


def segmenter_signature(tile: TileShape, channels: int, class_count: int) -> Signature:
    """Return what engines.contract says of a segmenter."""
    core = (_BATCH, tile.core_height, tile.core_width)
    return Signature(
        inputs={
            TILES: (TensorProto.UINT8, (_BATCH, tile.height, tile.width, channels)),
            THRESHOLDS: (TensorProto.FLOAT, (class_count,)),
        },
        outputs={
            LABELS: (TensorProto.UINT8, core),
            CONFIDENCE: (TensorProto.UINT8, core),
            HEALTH: (TensorProto.FLOAT, (_BATCH,)),
        },
    )


def lint(network: bytes, signature: Signature, quantised: Target | None = None) -> list[str]:
    """
    Return one line for each thing an exported network may not hold; empty when it is fit for every backend.

    Args:
        network: an ONNX file.
        signature: what its inputs and outputs must be.
        quantised: for whom it was quantised; None = it was not, and holds floats only.
    """
    try:
        model = onnx.load_from_string(network)
        # First: the checker would look for the other file on this machine.
        elsewhere = [w.name for w in model.graph.initializer if w.data_location == TensorProto.EXTERNAL]
        if elsewhere:
            return [f"weight '{name}' lies in another file: expected everything in one" for name in elsewhere]
        onnx.checker.check_model(model)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    except (DecodeError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return [f"not a valid ONNX file: {_first_line(error)}"]
    graph = model.graph
    types = _types(graph)
    findings = [
        *_model_findings(model),
        *_port_findings("input", signature.inputs, graph.input),
        *_port_findings("output", signature.outputs, graph.output),
    ]
    if quantised is not None:
        findings += quantised_findings(graph, types, quantised)
        graph, types = _without_quantisers(graph, types)
    return [
        *findings,
        *_node_findings(graph, types),
        *_byte_findings(graph, types),
        *_type_findings(graph, types),
        *_weight_findings(graph),
        *_health_findings(graph, types),
    ]


def operator_counts(network: bytes) -> dict[str, int]:
    """Return how often each operator stands in the graph, the most frequent first."""
    counts: dict[str, int] = {}
    for node in onnx.load_from_string(network).graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _model_findings(model: onnx.ModelProto) -> Iterator[str]:
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            yield f"opset domain '{opset.domain}': expected ONNX's own operators only"
        elif opset.version != OPSET:
            yield f"opset {opset.version}: expected {OPSET}"
    for function in model.functions:
        yield f"function '{function.name}': expected a graph without functions"


def _port_findings(
    kind: str, expected: dict[str, tuple[int, Shape]], ports: list[onnx.ValueInfoProto]
) -> Iterator[str]:
    found = {port.name: port.type.tensor_type for port in ports}
    for name in sorted(found.keys() - expected.keys()):
        yield f"{kind} '{name}': expected {', '.join(expected)}"
    for name, (elem_type, shape) in expected.items():
        if name not in found:
            yield f"{kind} '{name}' is missing: found {', '.join(found)}"
            continue
        if found[name].elem_type != elem_type:
            yield f"{kind} '{name}': {_type_name(found[name].elem_type)}, expected {_type_name(elem_type)}"
        sizes = tuple(d.dim_value if d.HasField("dim_value") else _BATCH for d in found[name].shape.dim)
        if sizes != shape:
            yield f"{kind} '{name}': shape {_shape_text(sizes)}, expected {_shape_text(shape)}"


def _node_findings(graph: onnx.GraphProto, types: dict[str, int]) -> Iterator[str]:
    for node in graph.node:
        if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
            yield f"operator {node.op_type} (node '{node.name}'): not in TensorRT 10.3's list; see engines.lint"
        reads_int64 = any(types.get(name) == TensorProto.INT64 for name in node.input)
        if reads_int64 and node.op_type not in _INT64_READERS:
            yield f"operator {node.op_type} (node '{node.name}') computes on int64: expected float"


def _byte_findings(graph: onnx.GraphProto, types: dict[str, int]) -> Iterator[str]:
    """Bytes live on the graph's border only: in by a Cast to float, out by a Cast from float."""
    inputs, outputs = {i.name for i in graph.input}, {o.name for o in graph.output}
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        for name in node.input:
            if types.get(name) != TensorProto.UINT8:
                continue
            if node.op_type != "Cast" or types.get(node.output[0]) not in _FLOATS:
                yield f"operator {node.op_type} (node '{node.name}') reads uint8 '{name}': expected a Cast to float"
    for name, elem_type in types.items():
        if elem_type != TensorProto.UINT8 or name in inputs:
            continue
        maker = makers.get(name)
        if name not in outputs:
            yield f"tensor '{name}' inside the graph is uint8: expected float"
        elif maker is None or maker.op_type != "Cast" or types.get(maker.input[0]) not in _FLOATS:
            yield f"output '{name}' is uint8: expected it from a Cast of a float"


def _type_findings(graph: onnx.GraphProto, types: dict[str, int]) -> Iterator[str]:
    for name, elem_type in types.items():
        if elem_type != TensorProto.UINT8 and elem_type not in _INSIDE:
            yield f"tensor '{name}' is {_type_name(elem_type)}: expected float32 or float16"
    for node in graph.node:
        for name in node.output:
            if name and name not in types:
                yield f"tensor '{name}' (node '{node.name}'): its type cannot be inferred"


def _weight_findings(graph: onnx.GraphProto) -> Iterator[str]:
    for weight in graph.initializer:
        if weight.data_type in _FLOATS and not np.isfinite(numpy_helper.to_array(weight)).all():
            yield f"weight '{weight.name}' holds NaN or infinity"


def _health_findings(graph: onnx.GraphProto, types: dict[str, int]) -> Iterator[str]:
    """A float16 sum over a tile's logits overflows on a sound network."""
    for node in graph.node:
        if HEALTH in node.output and (node.op_type != "ReduceSum" or types.get(node.input[0]) != TensorProto.FLOAT):
            yield f"output '{HEALTH}' comes from {node.op_type}: expected a ReduceSum of float32"


def _without_quantisers(graph: onnx.GraphProto, types: dict[str, int]) -> tuple[onnx.GraphProto, dict[str, int]]:
    """Return what is left for the rules of a network of floats; quantisers have rules of their own."""
    integers = quantised_tensors(graph)
    rest = onnx.GraphProto()
    rest.CopyFrom(graph)
    del rest.node[:]
    rest.node.extend(node for node in graph.node if node.op_type not in QUANTISERS)
    return rest, {name: elem_type for name, elem_type in types.items() if name not in integers}


def _types(graph: onnx.GraphProto) -> dict[str, int]:
    values = [*graph.input, *graph.value_info, *graph.output]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {weight.name: weight.data_type for weight in graph.initializer}


def _type_name(elem_type: int) -> str:
    return str(TensorProto.DataType.Name(elem_type)).lower()


def _shape_text(shape: Shape) -> str:
    return "[" + ", ".join("N" if size is _BATCH else str(size) for size in shape) + "]"


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
