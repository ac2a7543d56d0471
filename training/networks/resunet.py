"""
ResUNet: the segmenter. Residual blocks in the shape of a U-Net: encoder, bottleneck, decoder.

Source: Zhang, Liu, Wang, "Road Extraction by Deep Residual U-Net", IEEE GRSL 15 (2018) 749-753, figure 1 and table I:
residual blocks, down-sampling by stride instead of pooling, a projection on every shortcut that changes shape, bilinear
up-sampling followed by a block. One thing differs: a batch norm follows its convolution instead of preceding it, so
that export folds all of them away.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.networks.blocks import require_divisible
from training.networks.bottleneck import Halving, Narrowing
from training.networks.decoder import Decoder
from training.networks.encoders import PlainEncoder, PretrainedEncoder

PLAIN = "plain"
"""Name of the encoder that has no published weights."""


class ResUNet(nn.Module):
    """
    Class logits of every pixel of a tile.

    Width 16 with depth 4 (four halvings) has 2.07 M parameters (one grey channel, four classes), width 8 a quarter.

    Args:
        class_count: K, the number of defect classes; the output has K + 1 planes, plane 0 = sound.
        channels: 1 (mono8) or 3 (bgr8).
        width: channels of the first level, doubled with each halving; with a timm encoder of the decoder's alone.
        depth: number of halvings; tile sides must be divisible by 2**depth.
        encoder: PLAIN, or the name of a timm backbone with a feature map of stride 2**depth.

    Raises:
        ValueError: width or depth is less than one.
        ConfigurationError: timm has no such encoder.
    """

    def __init__(
        self, *, class_count: int, channels: int, width: int = 16, depth: int = 4, encoder: str = PLAIN
    ) -> None:
        super().__init__()
        if depth < 1 or width < 1:
            raise ValueError(f"width {width} and depth {depth} must both be at least 1")
        self.stride = 1 << depth
        self.encoder: PlainEncoder | PretrainedEncoder
        self.bottleneck: Halving | Narrowing
        if encoder == PLAIN:
            self.encoder = PlainEncoder(channels, width, depth)
            self.bottleneck = Halving(self.encoder.level_channels[-1])
        else:
            self.encoder = PretrainedEncoder(encoder, channels, depth)
            self.bottleneck = Narrowing(self.encoder.level_channels[-1], width << depth)
        self.decoder = Decoder(width, self.encoder.level_channels[:depth])
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
        levels = self.encoder(pixels)  # (N, channels of l, h / 2**l, w / 2**l) for l in 0..depth-1, timm: 0..depth
        x = self.bottleneck(levels[-1])  # (N, width * 2**depth, h / 2**depth, w / 2**depth)
        x = self.decoder(x, levels[: len(self.decoder.blocks)])  # (N, width, h, w)
        logits: Tensor = self.head(x)  # (N, K + 1, h, w)
        return logits

    def levels(self) -> list[list[nn.Module]]:
        """Return all that has weights, from input to output: a list for each halving, then decoder, then output."""
        return [*self.encoder.levels(), [self.bottleneck], [self.decoder], [self.head]]

    def backbone_modules(self) -> list[nn.Module]:
        """Return what pretrained weights fill."""
        return [self.encoder, self.bottleneck] if isinstance(self.bottleneck, Halving) else [self.encoder]

    def head_modules(self) -> list[nn.Module]:
        """Return what is new for each task."""
        new: list[nn.Module] = [self.decoder, self.head]
        return new if isinstance(self.bottleneck, Halving) else [self.bottleneck, *new]
