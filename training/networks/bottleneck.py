"""The middle of the ResUNet: from the encoder's last level to what the decoder begins with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.networks.blocks import ResidualBlock, projection


class Halving(nn.Module):
    """The last halving, at twice the channels; behind the plain encoder, and trained with it."""

    def __init__(self, channels_in: int) -> None:
        super().__init__()
        self.down = ResidualBlock(channels_in, 2 * channels_in, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c, h, w) -> (N, 2c, h / 2, w / 2)."""
        deepest: Tensor = self.down(x)
        return deepest


class Narrowing(nn.Module):
    """
    A 1x1 convolution to the decoder's channels; behind a pretrained encoder, which has halved often enough.

    It is new for each task and counts as head. Pretrained maps are wide, and as they are would cost the decoder most.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.narrow = projection(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, h, w) -> (N, out, h, w)."""
        return torch.relu(self.narrow(x))
