"""
The usual way to the same end: the Unet of segmentation_models_pytorch, as its documentation builds it.

It is given what ours is given: raw pixels, normalised inside as its encoder's authors do; tiles, crops, augmentation,
loss, optimiser, learning rate, epochs, choice of the best epoch. Random weights on both sides.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.networks.pixels import BackboneColours

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class PeerUnet(nn.Module):
    """
    Class logits of every pixel of a tile.

    Args:
        encoder: ``resnet18`` or ``resnet34``.
        class_count: K; the output has K + 1 planes.
        channels: 1 (mono8) or 3 (bgr8).
    """

    def __init__(self, encoder: str, class_count: int, channels: int) -> None:
        super().__init__()
        # Not above: it imports torchvision; beside a CPU build of PyTorch ``training`` must come before that.
        import segmentation_models_pytorch as smp

        self.colours = BackboneColours(channels, IMAGENET_MEAN, IMAGENET_DEVIATION)
        self.unet = smp.Unet(encoder, encoder_weights=None, in_channels=3, classes=class_count + 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, C, h, w) in 0..255, sides divisible by 32 -> (N, K + 1, h, w) logits."""
        logits: Tensor = self.unet(self.colours(pixels))
        return logits

    def levels(self) -> list[list[nn.Module]]:
        return [[self.unet]]

    def backbone_modules(self) -> list[nn.Module]:
        return []

    def head_modules(self) -> list[nn.Module]:
        return [self.unet]
