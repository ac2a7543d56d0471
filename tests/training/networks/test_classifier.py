"""The tile classifier."""

from __future__ import annotations

import pytest
import torch

from edge.errors import ConfigurationError
from training.networks.classifier import TileClassifier

BACKBONE = "test_resnet"


def test_a_tile_is_as_suspicious_as_its_worst_cell() -> None:
    """The tile's logit of a class is the largest of its cells."""
    network = TileClassifier(backbone=BACKBONE, class_count=3, channels=1, reduce=2).eval()
    pixels = torch.rand(2, 1, 128, 192) * 255.0
    with torch.no_grad():
        cells, tiles = network.cells(pixels), network(pixels)
    assert cells.shape[:2] == (2, 3)
    assert cells[0, 0].numel() > 1
    assert torch.equal(tiles, cells.amax(dim=(2, 3)))


def test_blue_comes_first_and_grey_is_all_three() -> None:
    """A bgr8 picture of equal channels scores like the same picture as mono8, if the weights are the same."""
    grey = TileClassifier(backbone=BACKBONE, class_count=2, channels=1).eval()
    colour = TileClassifier(backbone=BACKBONE, class_count=2, channels=3).eval()
    colour.load_state_dict(grey.state_dict())
    pixels = torch.rand(1, 1, 96, 96) * 255.0
    with torch.no_grad():
        torch.testing.assert_close(grey(pixels), colour(pixels.repeat(1, 3, 1, 1)))
        red_first = colour.colours(torch.tensor([0.0, 0.0, 255.0]).reshape(1, 3, 1, 1)).flatten()
    assert red_first[0] > 0.0 > red_first[2]


def test_an_unknown_backbone_is_refused_with_near_names() -> None:
    """A mistyped name is answered by names that exist."""
    with pytest.raises(ConfigurationError, match=r"'resnet_18'.*near: .*resnet"):
        TileClassifier(backbone="resnet_18", class_count=1, channels=1)


def test_pixels_may_not_be_reduced_to_nothing() -> None:
    """A factor below one is refused."""
    with pytest.raises(ConfigurationError, match="reduce = 0"):
        TileClassifier(backbone=BACKBONE, class_count=1, channels=1, reduce=0)
