"""Bottleneck and decoder: what the encoder's levels become."""

from __future__ import annotations

import torch

from training.networks.bottleneck import Halving, Narrowing
from training.networks.decoder import Decoder


def test_every_level_reaches_the_output() -> None:
    """Each level of the encoder is joined: a change in any of them changes the pixels marked."""
    torch.manual_seed(1)
    decoder = Decoder(width=4, level_channels=(3, 5, 7)).eval()
    levels = [torch.rand(1, c, 16 >> i, 24 >> i) for i, c in enumerate((3, 5, 7))]
    deepest = torch.rand(1, 32, 2, 3)
    with torch.no_grad():
        whole = decoder(deepest, levels)
        assert whole.shape == (1, 4, 16, 24)
        for dropped in range(3):
            without = [level * (i != dropped) for i, level in enumerate(levels)]
            assert not torch.equal(decoder(deepest, without), whole)
        assert not torch.equal(decoder(deepest * 0.0, levels), whole)


def test_a_bottleneck_halves_or_narrows() -> None:
    """Behind the plain encoder the size halves and the channels double; behind a backbone only the channels change."""
    x = torch.rand(2, 6, 8, 4)
    assert Halving(6)(x).shape == (2, 12, 4, 2)
    assert Narrowing(6, 5)(x).shape == (2, 5, 8, 4)
