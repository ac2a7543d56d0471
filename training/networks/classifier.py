"""The tile classifier: which defect classes a tile's core holds. A timm backbone and a dense head."""

from __future__ import annotations

from torch import Tensor, nn

from edge.errors import ConfigurationError
from training.networks.backbone import Backbone, colours_of

DROPOUT = 0.1
CELL_STRIDE = 16
"""The feature map that is scored: deeper ones blur small defects, and cost more than all before them."""


class TileClassifier(nn.Module):
    """
    Logits of each defect class in each tile; one independent sigmoid a class, since a tile may hold several.

    The head is dense: it scores every cell of a feature map of stride 16, and the tile's logit is that of its most
    suspicious cell. An average over the tile, as is usual, drowns a defect that fills a hundredth of it; and
    scored cells can be trained from masks, which tell where a defect is and not only that there is one.

    Args:
        backbone: a timm model name, for instance ``mobilenetv3_small_100``; one with feature maps.
        class_count: K.
        channels: 1 (mono8) or 3 (bgr8).
        reduce: average-pool factor applied to the pixels first. The classifier sees every tile of every frame;
            2 makes it about three times cheaper.

    Raises:
        ConfigurationError: timm has no such backbone, or it has no feature map of stride 16.
    """

    def __init__(self, *, backbone: str, class_count: int, channels: int, reduce: int = 1) -> None:
        super().__init__()
        if reduce < 1:
            raise ConfigurationError(f"reduce = {reduce}: expected 1 (full size), 2, 3, ...")
        self.reduce = nn.AvgPool2d(reduce) if reduce > 1 else nn.Identity()
        self.colours = colours_of(backbone, channels)
        self.backbone = Backbone(backbone, [CELL_STRIDE])
        self.head = nn.Sequential(nn.Dropout2d(DROPOUT), nn.Conv2d(self.backbone.channels[0], class_count, 1))

    def cells(self, pixels: Tensor) -> Tensor:
        """
        Return the logit of each class in each cell.

        Args:
            pixels: (N, C, h, w) float32 in 0..255, channels as captured.

        Returns:
            (N, K, rows, columns) logits; a cell is 16 * reduce pixels wide.
        """
        x = self.reduce(pixels)  # (N, C, h / reduce, w / reduce)
        x = self.colours(x)  # (N, 3, h / reduce, w / reduce)
        x = self.backbone(x)[0]  # (N, features, rows, columns)
        logits: Tensor = self.head(x)  # (N, K, rows, columns)
        return logits

    def forward(self, pixels: Tensor) -> Tensor:
        """
        Return the logit of each class in each tile.

        Args:
            pixels: (N, C, h, w) float32 in 0..255, channels as captured.

        Returns:
            (N, K) logits; a sigmoid of each gives the scores.
        """
        return self.cells(pixels).amax(dim=(2, 3))  # (N, K, rows, columns) -> (N, K)

    def levels(self) -> list[list[nn.Module]]:
        """Return all that has weights, from input to output: a list for each halving, then the head."""
        return [*self.backbone.levels(), self.head_modules()]

    def backbone_modules(self) -> list[nn.Module]:
        """Return what pretrained weights fill."""
        return [self.backbone]

    def head_modules(self) -> list[nn.Module]:
        """Return what is new for each task."""
        return [self.head]
