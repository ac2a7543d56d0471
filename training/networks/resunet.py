"""
ResUNet: the segmenter. Residual blocks in the shape of a U-Net.

Source: Zhang, Liu, Wang, "Road Extraction by Deep Residual U-Net", IEEE GRSL 15 (2018) 749-753, figure 1 and table I:
residual blocks, down-sampling by stride instead of pooling, a projection on every shortcut that changes shape, bilinear
up-sampling followed by a block. One thing differs: a batch norm follows its convolution instead of preceding it, so
that export folds all of them away.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.networks.pixels import Centred


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 projection where the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut = _projection(channels_in, channels_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, h, w) -> (N, out, h / stride, w / stride)."""
        return torch.relu(self.body(x) + self.shortcut(x))


class Encoder(nn.Module):
    """Stem, then *depth - 1* blocks that halve the size and double the channels; keeps each level for the decoder."""

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.stem = ResidualBlock(channels, width)
        self.blocks = nn.ModuleList(
            ResidualBlock(width << level, width << (level + 1), stride=2) for level in range(depth - 1)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, C, h, w) -> depth levels, level l of shape (N, width * 2**l, h / 2**l, w / 2**l)."""
        levels = [self.stem(x)]
        for block in self.blocks:
            levels.append(block(levels[-1]))
        return levels

    def levels(self) -> list[list[nn.Module]]:
        """Return the blocks from input to output, a list for each size."""
        return [[self.stem], *([block] for block in self.blocks)]


class Bottleneck(nn.Module):
    """The bridge: the last halving, at the largest channel count."""

    def __init__(self, channels_in: int) -> None:
        super().__init__()
        self.down = ResidualBlock(channels_in, 2 * channels_in, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, c, h, w) -> (N, 2c, h / 2, w / 2)."""
        deepest: Tensor = self.down(x)
        return deepest


class Decoder(nn.Module):
    """Per level, from the deepest: double the size, join the encoder's level, one residual block."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=False)
        self.blocks = nn.ModuleList(
            ResidualBlock((width << (level + 1)) + (width << level), width << level) for level in reversed(range(depth))
        )

    def forward(self, x: Tensor, levels: list[Tensor]) -> Tensor:
        """(N, width * 2**depth, h / 2**depth, ...) and the encoder's levels -> (N, width, h, w)."""
        for block, level in zip(self.blocks, reversed(levels), strict=True):
            x = self.up(x)  # (N, 2c, 2h, 2w)
            x = torch.cat([x, level], dim=1)  # (N, 2c + c, 2h, 2w)
            x = block(x)  # (N, c, 2h, 2w)
        return x


class ResUNet(nn.Module):
    """
    Class logits of every pixel of a tile.

    Width 16 with depth 4 (four halvings) has 2.07 M parameters (one grey channel, four classes), width 8 a quarter.

    Args:
        class_count: K, the number of defect classes; the output has K + 1 planes, plane 0 = sound.
        channels: 1 (mono8) or 3 (bgr8).
        width: channels of the first level; doubled with each halving.
        depth: number of halvings; tile sides must be divisible by 2**depth.
    """

    def __init__(self, *, class_count: int, channels: int, width: int = 16, depth: int = 4) -> None:
        super().__init__()
        if depth < 1 or width < 1:
            raise ValueError(f"width {width} and depth {depth} must both be at least 1")
        self.stride = 1 << depth
        self.centre = Centred()
        self.encoder = Encoder(channels, width, depth)
        self.bottleneck = Bottleneck(width << (depth - 1))
        self.decoder = Decoder(width, depth)
        self.head = nn.Conv2d(width, class_count + 1, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """
        Return the logits of each class at each pixel.

        Args:
            pixels: (N, C, h, w) float32 in 0..255, channels as captured; h and w divisible by 2**depth.

        Returns:
            (N, K + 1, h, w) logits; softmax over axis 1 gives probabilities; plane 0 = sound.

        Raises:
            ValueError: h or w is not divisible by 2**depth.
        """
        require_divisible(pixels.shape[-2], pixels.shape[-1], self.stride)
        x = self.centre(pixels)  # (N, C, h, w), about -1.8..1.8
        levels = self.encoder(x)  # (N, width * 2**l, h / 2**l, w / 2**l) for l in 0..depth-1
        x = self.bottleneck(levels[-1])  # (N, width * 2**depth, h / 2**depth, w / 2**depth)
        x = self.decoder(x, levels)  # (N, width, h, w)
        logits: Tensor = self.head(x)  # (N, K + 1, h, w)
        return logits

    def levels(self) -> list[list[nn.Module]]:
        """Return all that has weights, from input to output: a list for each halving, then decoder, then output."""
        return [*self.encoder.levels(), [self.bottleneck], [self.decoder], [self.head]]

    def backbone_modules(self) -> list[nn.Module]:
        """Return what pretrained weights fill."""
        return [self.encoder, self.bottleneck]

    def head_modules(self) -> list[nn.Module]:
        """Return what is new for each task."""
        return [self.decoder, self.head]


def require_divisible(height: int, width: int, stride: int) -> None:
    """
    Refuse a tile that cannot be halved evenly.

    Raises:
        ValueError: says the tile's size and the next sizes that fit [px].
    """
    if height % stride or width % stride:
        fitting = f"{-(-height // stride) * stride}x{-(-width // stride) * stride}"
        raise ValueError(
            f"tile of {height}x{width} px (core + 2 halo) is not divisible by {stride}: choose core and halo so that "
            f"it is, for instance {fitting}"
        )


def _projection(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    if channels_in == channels_out and stride == 1:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
        nn.BatchNorm2d(channels_out),
    )
