"""
A network in eight bits: explicit quantisation from tiles of real pictures, for TensorRT or for a CPU.

TensorRT takes signed, symmetric scales only and runs the rest in the type of the scales, hence on the half network.
A CPU gets a file of its own: its runtimes lose accuracy on symmetric activations, and read unsigned ones with a zero
point exactly. Only what convolutions read is quantised; sums, pooling and resizing stay as they were, and so do the
outermost convolutions: the first see the faint texture that eight bits of a wide range blur, the last decide.

Source: ONNX Runtime documentation, "Quantize ONNX models", static quantisation in QDQ format; NVIDIA TensorRT
documentation, "Working with Quantized Types", explicit quantisation.
"""

from __future__ import annotations

# Before ONNX Runtime.
import edge.quiet  # noqa: F401

# isort: split
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# The one use of ONNX Runtime beside its backend: its tool for quantising, which has no other name.
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

from edge.errors import BundleError, ConfigurationError
from engines.contract import OPSET, THRESHOLDS, TILES
from engines.half import CONV, half_from_network, reached
from engines.quantised import DEQUANTISE, QUANTISERS, Target

TILES_AT_ONCE = 4
SMALLEST_SCALE = float(np.finfo(np.float16).smallest_normal)
"""Smaller ones are subnormal in float16."""
_SOME_THRESHOLD = 0.5


def int8_from_network(network: bytes, tiles: NDArray[np.uint8], *, target: Target, keep: Sequence[str] = ()) -> bytes:
    """
    Quantise the ONNX file of a float32 network.

    Args:
        network: as ``edge-engine export`` writes it.
        tiles: (N, h, w, C) as on the line; their ranges become the scales, and larger values are cut.
        target: tensorrt = signed and symmetric with float16 scales, the rest float16; cpu = activations unsigned with a
            zero point, scales and the rest float32.
        keep: names of further Conv nodes that are left as they are.

    Raises:
        ConfigurationError: *keep* names no convolution of the network, or there are no tiles.
        BundleError: a weight does not fit into float16, or a tensor's range does not.
    """
    if not len(tiles):
        raise ConfigurationError("no tiles to quantise with: expected some hundred; name a calibration folder")
    _refuse_unknown(network, keep)
    master = half_from_network(network) if target == "tensorrt" else network
    with TemporaryDirectory() as folder:
        kept = [*outermost(network), *keep]
        model = _quantised(master, tiles, target, kept, Path(folder))
    _tidy(model)
    _release(model.graph, kept)
    if target == "tensorrt":
        _lift_scales(model)
    onnx.checker.check_model(model)
    quantised: bytes = model.SerializeToString(deterministic=True)
    return quantised


def convolutions(network: bytes) -> list[str]:
    """Return the names of the Conv nodes, from input to output: those that ``keep`` may name."""
    return [node.name for node in onnx.load_from_string(network).graph.node if node.op_type == CONV]


def outermost(network: bytes) -> list[str]:
    """Return the names of the Conv nodes before which, or behind which, there is no other: those always kept."""
    nodes = onnx.load_from_string(network).graph.node
    inner = reached(nodes, forward=True) & reached(nodes, forward=False)
    return [node.name for i, node in enumerate(nodes) if node.op_type == CONV and i not in inner]


def _refuse_unknown(network: bytes, keep: Sequence[str]) -> None:
    names = convolutions(network)
    for name in keep:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=3, cutoff=0.0)  # in the order of likeness
            raise ConfigurationError(
                f"keep '{name}': the network has no such Conv node; the closest of {len(names)}: {', '.join(close)}"
            )


def _quantised(
    network: bytes, tiles: NDArray[np.uint8], target: Target, keep: Sequence[str], folder: Path
) -> onnx.ModelProto:
    """Run ONNX Runtime's tool, which speaks in files."""
    source, prepared, made = (folder / name for name in ("source.onnx", "prepared.onnx", "made.onnx"))
    source.write_bytes(network)
    # Without its optimisations: the exporter has folded all there is to fold, and names must stay.
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True, skip_optimization=True)
    signed = target == "tensorrt"
    quantize_static(
        str(prepared),
        str(made),
        _Reader(network, tiles),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=[CONV],
        nodes_to_exclude=list(keep),
        calibrate_method=CalibrationMethod.MinMax,
        extra_options={
            "ActivationSymmetric": signed,
            "WeightSymmetric": True,
            "QuantizeBias": not signed,  # TensorRT does it itself
            "DedicatedQDQPair": False,
            "OpTypesToExcludeOutputQuantization": [CONV],
        },
    )
    return onnx.load(str(made))


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands out the tiles, a few at a time."""

    def __init__(self, network: bytes, tiles: NDArray[np.uint8]) -> None:
        self._feeds = _feeds(network, tiles)

    def get_next(self) -> Mapping[str, NDArray[Any]] | None:
        return next(self._feeds, None)


def _feeds(network: bytes, tiles: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the inputs of one call after the other; thresholds, where there are any, change nothing that counts."""
    ports = {port.name: port.type.tensor_type.shape.dim for port in onnx.load_from_string(network).graph.input}
    others: dict[str, NDArray[Any]] = {}
    if THRESHOLDS in ports:
        others[THRESHOLDS] = np.full(ports[THRESHOLDS][0].dim_value, _SOME_THRESHOLD, np.float32)
    for start in range(0, len(tiles), TILES_AT_ONCE):
        yield {TILES: tiles[start : start + TILES_AT_ONCE], **others}


def _tidy(model: onnx.ModelProto) -> None:
    """Drop what the tool leaves: domains that nothing uses, notes about itself, shapes of before."""
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    del model.metadata_props[:]
    del model.graph.value_info[:]
    model.ClearField("doc_string")


def _release(graph: onnx.GraphProto, keep: Sequence[str]) -> None:
    """Let a kept convolution read the tensor itself where another one's quantisers stand in between."""
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.name not in keep:
            continue
        dequantised = makers.get(node.input[0])
        if dequantised is not None and dequantised.op_type == DEQUANTISE:
            node.input[0] = makers[dequantised.input[0]].input[0]


def _lift_scales(model: onnx.ModelProto) -> None:
    """
    Lift the scales of weights that float16 holds with few bits, and round their weights anew.

    Raises:
        BundleError: the scale of an activation is as small; names the tensor.
    """
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    for node in graph.node:
        if node.op_type not in QUANTISERS:
            continue
        scale = numpy_helper.to_array(constants[node.input[1]])
        if scale.dtype != np.float16 or not (scale < SMALLEST_SCALE).any():
            continue
        if node.input[0] not in constants:
            raise BundleError(
                f"tensor '{node.input[0]}': scale {scale.min():.1e}, expected {SMALLEST_SCALE:.1e} or more: all its "
                "values are nearly 0; keep the layer that reads it in higher precision, or calibrate with more pictures"
            )
        _lift(constants[node.input[0]], constants[node.input[1]], _axis(node))


def _lift(weight: TensorProto, scale: TensorProto, axis: int) -> None:
    before = numpy_helper.to_array(scale).astype(np.float64)
    after = np.maximum(before, SMALLEST_SCALE)
    values = numpy_helper.to_array(weight)
    shape = [-1 if i == axis else 1 for i in range(values.ndim)]
    rounded = np.rint(values * (before / after).reshape(shape if before.size > 1 else [1] * values.ndim))
    weight.CopyFrom(numpy_helper.from_array(rounded.astype(values.dtype), weight.name))
    scale.CopyFrom(numpy_helper.from_array(after.astype(np.float16), scale.name))


def _axis(node: onnx.NodeProto) -> int:
    return next((int(a.i) for a in node.attribute if a.name == "axis"), 1)
