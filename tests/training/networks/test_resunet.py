"""The segmenter's network."""

from __future__ import annotations

import pytest
import torch

from training.networks.resunet import ResUNet


def parameters(network: torch.nn.Module) -> int:
    """Count the trained numbers."""
    return sum(p.numel() for p in network.parameters())


def test_sizes_are_those_of_the_docstring() -> None:
    """Width 16 with four halvings has 2.07 M parameters, width 8 a quarter of it."""
    assert round(parameters(ResUNet(class_count=4, channels=1)) / 1e6, 2) == 2.07
    assert round(parameters(ResUNet(class_count=4, channels=1, width=8)) / 1e6, 2) == 0.52


@pytest.mark.parametrize(("channels", "depth"), [(1, 4), (3, 2)])
def test_logits_have_the_size_of_the_tile(channels: int, depth: int) -> None:
    """Any tile that can be halved *depth* times gives K + 1 planes of its own size."""
    network = ResUNet(class_count=3, channels=channels, width=4, depth=depth)
    assert network(torch.zeros(2, channels, 48, 64)).shape == (2, 4, 48, 64)


def test_a_tile_that_cannot_be_halved_is_refused() -> None:
    """The error says the size and one that fits."""
    with pytest.raises(ValueError, match=r"40x64 px .* divisible by 16: .* 48x64"):
        ResUNet(class_count=1, channels=1, width=2)(torch.zeros(1, 1, 40, 64))


def test_normalisation_is_part_of_the_network() -> None:
    """Mean and scale of the pixels are saved with the weights."""
    state = ResUNet(class_count=1, channels=1, width=2).state_dict()
    assert {"encoder.centre.mean", "encoder.centre.factor"} <= set(state)
