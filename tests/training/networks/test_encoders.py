"""The two encoders of the ResUNet."""

from __future__ import annotations

import pytest
import torch

from edge.errors import ConfigurationError
from training.networks.encoders import PlainEncoder, PretrainedEncoder
from training.networks.resunet import ResUNet


def test_plain_levels_halve_and_double() -> None:
    """Each level has half the size and twice the channels of the one before."""
    levels = PlainEncoder(1, width=4, depth=3)(torch.zeros(1, 1, 32, 48))
    assert [tuple(level.shape[1:]) for level in levels] == [(4, 32, 48), (8, 16, 24), (16, 8, 12)]


def test_pixels_stand_in_where_a_backbone_has_no_map() -> None:
    """Levels above the first map are the normalised pixels, averaged down to the size."""
    encoder = PretrainedEncoder("test_convnext", channels=1, depth=3).eval()
    pixels = torch.rand(1, 1, 32, 64) * 255.0
    levels = encoder(pixels)
    assert [tuple(level.shape[2:]) for level in levels] == [(32, 64), (16, 32), (8, 16), (4, 8)]
    assert tuple(level.shape[1] for level in levels) == encoder.level_channels
    assert torch.equal(levels[0], encoder.colours(pixels))
    torch.testing.assert_close(levels[1][0, 1, 0, 0], levels[0][0, 1, :2, :2].mean())


@pytest.mark.parametrize(("name", "depth"), [("test_resnet", 4), ("test_efficientnet", 5), ("test_convnext", 3)])
def test_any_backbone_makes_a_segmenter(name: str, depth: int) -> None:
    """K + 1 planes of the tile's size, and every weight is in one level."""
    network = ResUNet(class_count=3, channels=3, width=2, depth=depth, encoder=name)
    assert network(torch.zeros(2, 3, 64, 96)).shape == (2, 4, 64, 96)
    sorted_out = [id(p) for level in network.levels() for part in level for p in part.parameters()]
    assert sorted(sorted_out) == sorted(id(p) for p in network.parameters())


def test_of_a_pretrained_segmenter_only_the_encoder_is_backbone() -> None:
    """The bottleneck narrows to this decoder's width: it is new, like the decoder and the output."""
    network = ResUNet(class_count=1, channels=1, width=2, encoder="test_resnet")
    assert network.backbone_modules() == [network.encoder]
    assert network.head_modules() == [network.bottleneck, network.decoder, network.head]
    plain = ResUNet(class_count=1, channels=1, width=2)
    assert plain.backbone_modules() == [plain.encoder, plain.bottleneck]
    assert plain.head_modules() == [plain.decoder, plain.head]


def test_a_backbone_that_does_not_go_so_deep_is_refused() -> None:
    """Depth 6 asks for a map of stride 64."""
    with pytest.raises(ConfigurationError, match="no feature map of stride 64"):
        ResUNet(class_count=1, channels=1, depth=6, encoder="test_resnet")
