"""The tile classifier: which defect classes a tile's core holds. A timm backbone and a dense head."""

from __future__ import annotations

import timm
from torch import Tensor, nn

from edge.errors import ConfigurationError
from training.pixels import BackboneColours

DROPOUT = 0.2
# For backbones without published weights.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class TileClassifier(nn.Module):
    """
    Logits of each defect class in each tile; one independent sigmoid a class, since a tile may hold several.

    Args:
        backbone: a timm model name, for instance ``mobilenetv3_small_100``.
        class_count: K.
        channels: 1 (mono8) or 3 (bgr8).
        pretrained: fetch timm's weights; never falls back to random ones.
        reduce: average-pool factor applied to the pixels first. The classifier sees every tile of every frame;
            2 makes it about three times cheaper.

    Raises:
        ConfigurationError: timm has no such backbone, or cannot get its weights.
    """

    def __init__(
        self, *, backbone: str, class_count: int, channels: int, pretrained: bool = False, reduce: int = 1
    ) -> None:
        super().__init__()
        if reduce < 1:
            raise ConfigurationError(f"reduce = {reduce}: expected 1 (full size), 2, 3, ...")
        self.reduce = nn.AvgPool2d(reduce) if reduce > 1 else nn.Identity()
        self.backbone = _backbone(backbone, pretrained)
        self.colours = BackboneColours(channels, *_statistics(backbone))
        self.head = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(_feature_count(self.backbone), class_count))

    def forward(self, pixels: Tensor) -> Tensor:
        """
        Return the logit of each class.

        Args:
            pixels: (N, C, h, w) float32 in 0..255, channels as captured.

        Returns:
            (N, K) logits; a sigmoid of each gives the scores.
        """
        x = self.reduce(pixels)  # (N, C, h / reduce, w / reduce)
        x = self.colours(x)  # (N, 3, h / reduce, w / reduce)
        x = self.backbone(x)  # (N, features)
        logits: Tensor = self.head(x)  # (N, K)
        return logits


def _feature_count(backbone: nn.Module) -> int:
    """Length of the backbone's feature vector; some families widen it after pooling and say so elsewhere."""
    count = getattr(backbone, "head_hidden_size", None) or backbone.num_features
    assert isinstance(count, int)
    return count


def _statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of red, green, blue that the backbone's weights were trained with."""
    configuration = timm.get_pretrained_cfg(name)
    return (configuration.mean, configuration.std) if configuration else (IMAGENET_MEAN, IMAGENET_DEVIATION)


def _backbone(name: str, pretrained: bool) -> nn.Module:
    """Make the feature extractor, without timm's own classifier."""
    if name not in timm.list_models():
        near = ", ".join(timm.list_models(f"*{name.split('_')[0]}*")[:5]) or "see timm.list_models()"
        raise ConfigurationError(f"backbone '{name}': timm {timm.__version__} has no such model; near: {near}")
    try:
        model: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0)
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigurationError(
            f"backbone '{name}': its pretrained weights cannot be had ({reason}); "
            "give this machine access to timm's model hub, or train from scratch without --pretrained"
        ) from error
    return model
