"""What the ResUNet is built of, and what sizes it can take."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != channels_out or stride != 1:
            self.shortcut = projection(channels_in, channels_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, h, w) -> (N, out, h / stride, w / stride)."""
        return torch.relu(self.body(x) + self.shortcut(x))


def projection(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    """Return a 1x1 convolution with its batch norm."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
        nn.BatchNorm2d(channels_out),
    )


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
