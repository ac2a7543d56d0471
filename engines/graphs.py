"""
What is exported: a trained model wrapped so that everything that computes on pixels is inside the graph.

Imported by ``edge-engine export`` alone: nothing on the line knows torch.
"""

from __future__ import annotations

import logging
import warnings

import onnx
import torch
from torch import Tensor, nn

from engines.contract import CONFIDENCE, HEALTH, LABELS, OPSET, SCORES, THRESHOLDS, TILES, TileShape
from training.networks.classifier import TileClassifier

INFINITY_KEEPER = 1e-30
"""
A sigmoid turns an infinite logit into a flawless 0 or 1, and a maximum may skip NaN. This share of the logits'
magnitude, too small to be seen beside any finite score, keeps the score infinite or NaN; unlike ``0 * x`` or ``x - x``
no compiler may fold it away.
"""

_NOT_REACHED = -1.0


class ClassifierGraph(nn.Module):
    """
    tiles uint8 [N, h, w, C] -> scores float32 [N, K], finite only if the logits were.

    Args:
        model: whose ``cells`` are float (N, C, h, w) in 0..255 -> logits (N, K, rows, columns); a tile's logit is its
            largest one. Its type of float decides the precision.
    """

    def __init__(self, model: TileClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, tiles: Tensor) -> Tensor:
        cells = self.model.cells(_planes(tiles, self.model)).float()  # (N, K, rows, columns)
        scores = torch.sigmoid(cells.amax(dim=(2, 3)))  # (N, K)
        return scores + INFINITY_KEEPER * cells.abs().sum(dim=(2, 3))  # (N, K)


class SegmenterGraph(nn.Module):
    """
    tiles uint8 [N, h, w, C], thresholds float32 [K] -> labels, confidence uint8 [N, ch, cw], health float32 [N].

    Args:
        model: float (N, C, h, w) in 0..255 -> logits (N, K + 1, h, w), plane 0 = sound.
        tile: whose halo is cut off.
    """

    def __init__(self, model: nn.Module, tile: TileShape) -> None:
        super().__init__()
        self.model = model
        self.tile = tile

    def forward(self, tiles: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = self.logits(tiles)  # (N, K + 1, h, w)
        planes = self.probabilities(logits)  # (N, K, ch, cw)
        reached = planes >= thresholds.reshape(1, -1, 1, 1)
        candidates = torch.where(reached, planes, _NOT_REACHED)  # (N, K, ch, cw)
        best = candidates.argmax(dim=1).float() + 1.0  # (N, ch, cw)
        labels = best * (candidates.amax(dim=1) > _NOT_REACHED).float()  # (N, ch, cw)
        confidence = torch.round(255.0 * planes.amax(dim=1))  # (N, ch, cw)
        # Any infinity or NaN stays one in a sum, whatever its sign; float32 since float16 overflows on a sound network.
        health = logits.sum(dim=(1, 2, 3))  # (N,)
        return labels.to(torch.uint8), confidence.to(torch.uint8), health

    def logits(self, tiles: Tensor) -> Tensor:
        """(N, h, w, C) uint8 -> (N, K + 1, h, w) float32."""
        logits: Tensor = self.model(_planes(tiles, self.model)).float()
        return logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """(N, K + 1, h, w) -> (N, K, ch, cw): of each defect class, the halo cut off."""
        halo = self.tile.halo
        core = logits[:, :, halo : halo + self.tile.core_height, halo : halo + self.tile.core_width]
        return torch.softmax(core, dim=1)[:, 1:]


def _planes(tiles: Tensor, model: nn.Module) -> Tensor:
    """(N, h, w, C) uint8 -> (N, C, h, w) of the model's float. The cast comes first: TensorRT asks for it."""
    return tiles.float().permute(0, 3, 1, 2).to(_float_of(model))


def _float_of(model: nn.Module) -> torch.dtype:
    return next((p.dtype for p in model.parameters() if p.dtype.is_floating_point), torch.float32)


def onnx_from_classifier(graph: ClassifierGraph, tile: TileShape, channels: int, max_tiles: int) -> bytes:
    """Return the ONNX file of a classifier in eval mode."""
    tiles = torch.zeros(2, tile.height, tile.width, channels, dtype=torch.uint8)
    return _exported(graph, (tiles,), [TILES], [SCORES], {TILES: _batch(max_tiles)})


def onnx_from_segmenter(graph: SegmenterGraph, class_count: int, channels: int, max_tiles: int) -> bytes:
    """Return the ONNX file of a segmenter in eval mode."""
    tiles = torch.zeros(2, graph.tile.height, graph.tile.width, channels, dtype=torch.uint8)
    thresholds = torch.full((class_count,), 0.5)
    shapes = {TILES: _batch(max_tiles), THRESHOLDS: None}
    return _exported(graph, (tiles, thresholds), [TILES, THRESHOLDS], [LABELS, CONFIDENCE, HEALTH], shapes)


def _batch(max_tiles: int) -> dict[int, torch.export.Dim]:
    return {0: torch.export.Dim("n", min=1, max=max(max_tiles, 2))}


def _exported(
    graph: nn.Module,
    example: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    shapes: dict[str, dict[int, torch.export.Dim] | None],
) -> bytes:
    # The exporter reports its own use of deprecated interfaces and of operators nobody asked for.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph.eval(),
            example,
            dynamo=True,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model = program.model_proto
    _strip_traces(model)
    network: bytes = model.SerializeToString()
    return network


def _strip_traces(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes about the source code: paths of this machine have no place in a release."""
    graph = model.graph
    for item in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
