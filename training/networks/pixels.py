"""
From raw pixels to what a network's first convolution wants, as modules: they are part of the network.

Normalisation inside ``forward``, from buffers that travel with the weights, is what keeps training, export and every
backend from disagreeing about it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PIXEL_MEAN = 127.5
PIXEL_SCALE = 70.0


class Centred(nn.Module):
    """Centre raw pixels by one mean and one scale, whatever the channels; for networks trained from scratch."""

    mean: Tensor
    factor: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN))
        self.register_buffer("factor", torch.tensor(1.0 / PIXEL_SCALE))

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, C, h, w) in 0..255 -> the same shape in about -1.8..1.8."""
        return (pixels - self.mean) * self.factor


class BackboneColours(nn.Module):
    """
    Give a backbone the three RGB channels, mean and deviation it was designed for.

    Args:
        channels: 1 (mono8, repeated to three) or 3 (bgr8, reversed to RGB).
        mean: of red, green, blue, in 0..1, as timm states for the backbone.
        deviation: likewise.
    """

    mean: Tensor
    factor: Tensor

    def __init__(self, channels: int, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"{channels} channels: expected 1 (mono8) or 3 (bgr8)")
        self.channels = channels
        self.register_buffer("mean", 255.0 * torch.tensor(mean).reshape(1, 3, 1, 1))
        self.register_buffer("factor", 1.0 / (255.0 * torch.tensor(deviation).reshape(1, 3, 1, 1)))

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 1 or 3, h, w) in 0..255 -> (N, 3, h, w) normalised RGB."""
        if self.channels == 3:
            pixels = torch.cat([pixels[:, 2:3], pixels[:, 1:2], pixels[:, 0:1]], dim=1)  # BGR -> RGB
        return (pixels - self.mean) * self.factor  # mono8: (N, 1, h, w) broadcasts against (1, 3, 1, 1)
