"""engines.graphs: everything that computes on pixels is inside the graph, and every backend computes it alike."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge.inspector.backend import BackendSettings, open_engine
from edge.tiles import labels_from_planes
from engines.contract import CONFIDENCE, HEALTH, LABELS, SCORES, THRESHOLDS, TILES, TileShape
from engines.graphs import ClassifierGraph, SegmenterGraph, onnx_from_classifier, onnx_from_segmenter
from engines.lint import lint, operator_counts, segmenter_signature
from training.networks.classifier import TileClassifier
from training.networks.resunet import ResUNet

TILE = TileShape(core_height=16, core_width=32, halo=4)
BACKENDS = ("openvino", "onnxruntime")
MACHINES = [("openvino", "fp32"), ("openvino", "bf16"), ("onnxruntime", "fp32")]


class Lookup(nn.Module):
    """A segmenter whose logits are its pixels: channel k of the tile holds plane k, coded as 10 * logit + 128."""

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels - 128.0) / 10.0


class Mean(TileClassifier):
    """A classifier with cells of 8 x 8 px and the logits (mean of the cell - 128) * weights."""

    def __init__(self, *weights: float) -> None:
        nn.Module.__init__(self)
        self.weight = nn.Parameter(torch.tensor(weights))

    def cells(self, pixels: Tensor) -> Tensor:
        return (nn.functional.avg_pool2d(pixels, 8) - 128.0) * self.weight.reshape(1, -1, 1, 1)


@pytest.fixture(scope="module")
def lookup_network() -> bytes:
    """Three classes: sound and two kinds of defect."""
    return onnx_from_segmenter(SegmenterGraph(Lookup(), TILE), class_count=2, channels=3, max_tiles=4)


def answers(
    network: bytes, name: str, tiles: NDArray[np.uint8], thresholds: tuple[float, float]
) -> dict[str, NDArray[np.generic]]:
    """Run the segmenter on one backend; return copies."""
    with open_engine(BackendSettings(name=name), network, TILES, (len(tiles),)) as engine:
        engine.inputs[TILES][:] = tiles
        engine.inputs[THRESHOLDS][:] = thresholds
        return {key: value.copy() for key, value in engine.run(len(tiles)).items()}


def random_tiles(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(100, 160, (count, TILE.height, TILE.width, 3), dtype=np.uint8)


def expected_planes(tiles: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, 2, ch, cw) probabilities of the two defect classes in the core."""
    logits = (tiles.astype(float) - 128.0) / 10.0
    exponents = np.exp(logits)
    planes = (exponents / exponents.sum(axis=3, keepdims=True)).transpose(0, 3, 1, 2)[:, 1:]
    return planes[:, :, TILE.halo : -TILE.halo, TILE.halo : -TILE.halo]


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("thresholds", [(0.5, 0.5), (0.6, 0.3), (0.05, 0.9)])
def test_labels_follow_the_rule(lookup_network: bytes, name: str, thresholds: tuple[float, float]) -> None:
    """Labels equal the label rule of edge.tiles at any thresholds, on the tile without its halo."""
    tiles = random_tiles(3)
    labels = answers(lookup_network, name, tiles, thresholds)[LABELS]
    assert labels.shape == (3, TILE.core_height, TILE.core_width)
    for found, planes in zip(labels, expected_planes(tiles), strict=True):
        np.testing.assert_array_equal(found, labels_from_planes(planes, np.array(thresholds)))


@pytest.mark.parametrize("name", BACKENDS)
def test_second_best_class_wins_when_the_best_misses_its_threshold(lookup_network: bytes, name: str) -> None:
    """With p = (.5, .4) and t = (.6, .3) the label is class 2."""
    logits = np.log([0.1, 0.5, 0.4])
    tile = np.broadcast_to(np.round(10 * logits + 128), (1, TILE.height, TILE.width, 3)).astype(np.uint8)
    planes = expected_planes(tile)[0, :, 0, 0]
    assert 0.3 < planes[1] < planes[0] < 0.6
    assert (answers(lookup_network, name, tile, (0.6, 0.3))[LABELS] == 2).all()
    assert (answers(lookup_network, name, tile, (0.3, 0.3))[LABELS] == 1).all()
    assert (answers(lookup_network, name, tile, (0.6, 0.6))[LABELS] == 0).all()


@pytest.mark.parametrize("name", BACKENDS)
def test_confidence_is_the_highest_probability_also_of_sound_pixels(lookup_network: bytes, name: str) -> None:
    """confidence = round(255 max p), whatever the thresholds."""
    tiles = random_tiles(2)
    found = answers(lookup_network, name, tiles, (0.99, 0.99))
    expected = 255 * expected_planes(tiles).max(axis=1)
    assert (found[LABELS] == 0).mean() > 0.9
    assert np.abs(found[CONFIDENCE] - expected).max() <= 0.501


@pytest.mark.parametrize("name", BACKENDS)
def test_health_sums_all_logits(lookup_network: bytes, name: str) -> None:
    """Health covers the halo too: each tile's own sum."""
    tiles = random_tiles(2)
    expected = ((tiles.astype(float) - 128.0) / 10.0).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(answers(lookup_network, name, tiles, (0.5, 0.5))[HEALTH], expected, rtol=1e-4)


class Broken(Lookup):
    """Logits with one pixel, in the halo, that is *value*."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.spots = nn.Parameter(torch.zeros(1, 3, TILE.height, TILE.width))
        with torch.no_grad():
            for i, value in enumerate(values):
                self.spots[0, i, 0, 0] = value

    def forward(self, pixels: Tensor) -> Tensor:
        # A product overflows at run time: weights that are not finite would be refused before.
        return super().forward(pixels) + pixels * self.spots * 1e30


@cache
def broken_network(*values: float) -> bytes:
    """Export once for all backends."""
    return onnx_from_segmenter(SegmenterGraph(Broken(*values), TILE), class_count=2, channels=3, max_tiles=4)


@cache
def mean_network(*weights: float) -> bytes:
    """Export once for all backends."""
    return onnx_from_classifier(ClassifierGraph(Mean(*weights)), TILE, channels=1, max_tiles=4)


@pytest.mark.parametrize(("name", "precision"), MACHINES)
@pytest.mark.parametrize("values", [(1e30,), (-1e30,), (1e30, -1e30)])
def test_health_is_finite_only_if_all_logits_are(name: str, precision: str, values: tuple[float, ...]) -> None:
    """One infinite logit in a halo spoils health; opposite infinities do not cancel."""
    settings = BackendSettings.model_validate({"name": name, "precision": precision})
    with open_engine(settings, broken_network(*values), TILES, (1,)) as engine:
        engine.inputs[TILES][:] = random_tiles(1)
        engine.inputs[THRESHOLDS][:] = 0.5
        assert not np.isfinite(engine.run(1)[HEALTH]).any()


@pytest.mark.parametrize(("name", "precision"), MACHINES)
def test_score_is_finite_only_if_all_its_logits_are(name: str, precision: str) -> None:
    """One infinite cell spoils the score, even one that a maximum would skip; a sigmoid would make it 0, a PASS."""
    settings = BackendSettings.model_validate({"name": name, "precision": precision})
    with open_engine(settings, mean_network(3e38, 0.5), TILES, (2,)) as engine:
        engine.inputs[TILES][:] = 128
        engine.inputs[TILES][0, :8, :8] = 0
        engine.inputs[TILES][1, :8, :8] = 255
        scores = engine.run(2)[SCORES]
    assert not np.isfinite(scores[:, 0]).any()
    assert np.isfinite(scores[:, 1]).all()


@pytest.mark.parametrize("name", BACKENDS)
def test_scores_are_sigmoids(name: str) -> None:
    """For finite logits the score is the sigmoid of the largest and nothing else, within 0..1."""
    values = (0, 127, 128, 129, 255)
    with open_engine(BackendSettings(name=name), mean_network(1.0, -1.0), TILES, (len(values),)) as engine:
        for row, value in enumerate(values):
            engine.inputs[TILES][row] = 128
            engine.inputs[TILES][row, :8, :8] = value
        scores = engine.run(len(values))[SCORES]
        logits = np.array([[max(v - 128.0, 0.0), max(128.0 - v, 0.0)] for v in values])
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-6)
        assert scores.min() >= 0.0
        assert scores.max() <= 1.0


def test_network_names_no_path_of_the_machine(lookup_network: bytes) -> None:
    """The exporter's notes about source files are gone."""
    model = onnx.load_from_string(lookup_network)
    graph = model.graph
    items = itertools.chain([model, graph], graph.node, graph.input, graph.output, graph.value_info, graph.initializer)
    assert all(not item.metadata_props and not item.doc_string for item in items)


def shaken(network: ResUNet) -> ResUNet:
    """Give every batch norm statistics and factors of its own; new ones would hide a norm that is folded wrongly."""
    torch.manual_seed(7)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.normal_(module.bias, std=0.2)
            module.running_mean = torch.randn(module.num_features) * 0.2
            module.running_var = torch.rand(module.num_features) + 0.5
    return network.eval()


# One of each family; the plain encoder is part of every bundle that the tests make.
@pytest.mark.parametrize(
    "encoder",
    ["test_resnet", *(pytest.param(name, marks=pytest.mark.slow) for name in ("resnet18", "test_efficientnet"))],
)
def test_each_encoder_leaves_the_house(encoder: str) -> None:
    """A ResUNet with any encoder passes the lint, holds no batch norm, and answers like PyTorch on every backend."""
    tile = TileShape(core_height=32, core_width=48, halo=8)
    network = shaken(ResUNet(class_count=2, channels=1, width=2, depth=4, encoder=encoder))
    graph = SegmenterGraph(network, tile)
    tiles = np.random.default_rng(5).integers(0, 256, (3, tile.height, tile.width, 1), dtype=np.uint8)
    with torch.no_grad():
        assert network.head.bias is not None
        # So that no class wins everywhere.
        network.head.bias -= graph.logits(torch.from_numpy(tiles)).mean(dim=(0, 2, 3))
        labels, confidence, health = graph(torch.from_numpy(tiles), torch.tensor([0.34, 0.34]))
    assert len(labels.unique()) > 1
    exported = onnx_from_segmenter(graph, class_count=2, channels=1, max_tiles=4)
    assert lint(exported, segmenter_signature(tile, 1, 2)) == []
    assert "BatchNormalization" not in operator_counts(exported)
    for name in BACKENDS:
        found = answers(exported, name, tiles, (0.34, 0.34))
        assert (found[LABELS] == labels.numpy()).mean() > 0.999
        assert np.abs(found[CONFIDENCE].astype(int) - confidence.numpy()).max() <= 1
        np.testing.assert_allclose(found[HEALTH], health.numpy(), rtol=1e-3, atol=1.0)
