"""The first part of the ResUNet: from pixels to what the decoder joins again, a level for each size."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.backbone import Backbone, colours_of, strides_of
from training.networks.blocks import ResidualBlock
from training.networks.pixels import Centred


class PlainEncoder(nn.Module):
    """
    Stem, then *depth - 1* residual blocks that halve the size and double the channels; for training from scratch.

    Args:
        channels: of the pixels, 1 or 3.
        width: channels of the first level; doubled with each halving.
        depth: number of levels.
    """

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.level_channels = tuple(width << level for level in range(depth))
        self.centre = Centred()
        self.stem = ResidualBlock(channels, width)
        self.blocks = nn.ModuleList(
            ResidualBlock(width << level, width << (level + 1), stride=2) for level in range(depth - 1)
        )

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(N, C, h, w) in 0..255 -> depth levels, level l of shape (N, width * 2**l, h / 2**l, w / 2**l)."""
        levels = [self.stem(self.centre(pixels))]
        for block in self.blocks:
            levels.append(block(levels[-1]))
        return levels

    def levels(self) -> list[list[nn.Module]]:
        """Return the blocks from input to output, a list for each size."""
        return [[self.stem], *([block] for block in self.blocks)]


class PretrainedEncoder(nn.Module):
    """
    A timm backbone down to stride 2**depth.

    It has no map of the full size, or of half of it, where its stem halves once or twice: the pixels themselves,
    averaged down to that size, stand in. They cost nothing, and show the decoder where an edge runs.

    Args:
        name: of the backbone.
        channels: of the pixels, 1 or 3.
        depth: number of halvings.

    Raises:
        ConfigurationError: timm has no such backbone, or it has no map of stride 2**depth.
    """

    def __init__(self, name: str, channels: int, depth: int) -> None:
        super().__init__()
        self.colours = colours_of(name, channels)
        deepest = 1 << depth
        self.backbone = Backbone(name, [*(s for s in strides_of(name) if s < deepest), deepest])
        found = dict(zip(self.backbone.strides, self.backbone.channels, strict=True))
        self.level_channels = tuple(found.get(1 << level, 3) for level in range(depth + 1))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(N, C, h, w) in 0..255 -> depth + 1 levels, level l of shape (N, level_channels[l], h / 2**l, w / 2**l)."""
        x = self.colours(pixels)  # (N, 3, h, w)
        maps = dict(zip(self.backbone.strides, self.backbone(x), strict=True))
        strides = [1 << level for level in range(len(self.level_channels))]
        return [maps[stride] if stride in maps else _averaged(x, stride) for stride in strides]

    def levels(self) -> list[list[nn.Module]]:
        """Return the backbone's parts from input to output, a list for each size."""
        return self.backbone.levels()


def _averaged(pixels: Tensor, stride: int) -> Tensor:
    return pixels if stride == 1 else F.avg_pool2d(pixels, stride)
