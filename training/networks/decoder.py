"""The last part of the ResUNet: back to the size of the tile, level by level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.networks.blocks import ResidualBlock


class Decoder(nn.Module):
    """
    Per level, from the deepest: double the size, join the encoder's level, one residual block.

    Args:
        width: channels of the level of full size; doubled with each halving.
        level_channels: of the encoder's levels to be joined, from full size down.
    """

    def __init__(self, width: int, level_channels: Sequence[int]) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=False)
        self.blocks = nn.ModuleList(
            ResidualBlock((width << (level + 1)) + joined, width << level)
            for level, joined in reversed(list(enumerate(level_channels)))
        )

    def forward(self, x: Tensor, levels: list[Tensor]) -> Tensor:
        """(N, width * 2**depth, h / 2**depth, ...) and the *depth* levels above it -> (N, width, h, w)."""
        for block, level in zip(self.blocks, reversed(levels), strict=True):
            x = self.up(x)  # (N, 2c, 2h, 2w)
            x = torch.cat([x, level], dim=1)  # (N, 2c + joined, 2h, 2w)
            x = block(x)  # (N, c, 2h, 2w)
        return x
