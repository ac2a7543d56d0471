"""The tile classifier: which defect classes a tile's core holds. A timm backbone and a dense head."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import timm
from timm.models import FeatureInfo
from torch import Tensor, nn

from edge.errors import ConfigurationError
from training.networks.pixels import BackboneColours

DROPOUT = 0.1
CELL_STRIDE = 16
"""The feature map that is scored: deeper ones blur small defects, and cost more than all before them."""
# For backbones without published weights.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


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
        pretrained: fetch timm's weights; never falls back to random ones.
        reduce: average-pool factor applied to the pixels first. The classifier sees every tile of every frame;
            2 makes it about three times cheaper.

    Raises:
        ConfigurationError: timm has no such backbone with feature maps, or cannot get its weights.
    """

    def __init__(
        self, *, backbone: str, class_count: int, channels: int, pretrained: bool = False, reduce: int = 1
    ) -> None:
        super().__init__()
        if reduce < 1:
            raise ConfigurationError(f"reduce = {reduce}: expected 1 (full size), 2, 3, ...")
        self.reduce = nn.AvgPool2d(reduce) if reduce > 1 else nn.Identity()
        self.colours = BackboneColours(channels, *_statistics(backbone))
        self.backbone, features = _backbone(backbone, pretrained)
        self.head = nn.Sequential(nn.Dropout2d(DROPOUT), nn.Conv2d(features, class_count, 1))

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
        return [*backbone_levels(self.backbone), self.head_modules()]

    def backbone_modules(self) -> list[nn.Module]:
        """Return what pretrained weights fill."""
        return [self.backbone]

    def head_modules(self) -> list[nn.Module]:
        """Return what is new for each task."""
        return [self.head]


def _statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of red, green, blue that the backbone's weights were trained with."""
    configuration = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return (configuration.mean, configuration.std) if configuration else (IMAGENET_MEAN, IMAGENET_DEVIATION)


def _backbone(name: str, pretrained: bool) -> tuple[nn.Module, int]:
    """Make the feature extractor; return it and the channels of its last feature map."""
    if name not in timm.list_models():
        near = ", ".join(timm.list_models(f"*{name.split('_')[0]}*")[:5]) or "see timm.list_models()"
        raise ConfigurationError(f"backbone '{name}': timm {timm.__version__} has no such model; near: {near}")
    try:
        level = _information(timm.create_model(name, features_only=True)).reduction().index(CELL_STRIDE)
        with _quiet_hub():
            model = timm.create_model(name, pretrained=pretrained, features_only=True, out_indices=(level,))
    except ValueError as error:
        raise ConfigurationError(
            f"backbone '{name}': has no feature map of stride {CELL_STRIDE}; choose another"
        ) from error
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise ConfigurationError(f"backbone '{name}': gives no feature maps ({error}); choose another") from error
        reason = str(error).strip().splitlines()[0]
        raise ConfigurationError(
            f"backbone '{name}': its pretrained weights cannot be had ({reason}); "
            "give this machine access to timm's model hub, or train from scratch without --pretrained"
        ) from error
    return model, int(_information(model).channels()[-1])


def backbone_levels(model: nn.Module) -> list[list[nn.Module]]:
    """
    Sort the parts of a feature extractor by its feature maps, from input to output.

    Returns:
        For each feature map the modules that make it of the one before.
    """
    maps = {_flat(entry["module"]) for entry in _information(model).info}
    levels: list[list[nn.Module]] = [[]]
    for name, part in _parts(model, "", maps):
        levels[-1].append(part)
        if name in maps:
            levels.append([])
    return [level for level in levels if any(True for part in level for _ in part.parameters())]


def _parts(model: nn.Module, prefix: str, maps: set[str]) -> Iterator[tuple[str, nn.Module]]:
    """Give the parts in order, opening those within which a feature map is made."""
    for name, part in model.named_children():
        path = _flat(f"{prefix}{name}")
        if any(target.startswith(f"{path}_") for target in maps):
            yield from _parts(part, f"{path}_", maps)
        else:
            yield path, part


def _flat(name: str) -> str:
    """timm joins the names of opened containers by an underscore."""
    return name.replace(".", "_")


def _information(model: nn.Module) -> FeatureInfo:
    """Return what timm says about a model's feature maps."""
    information = model.feature_info
    assert isinstance(information, FeatureInfo)
    return information


@contextmanager
def _quiet_hub() -> Iterator[None]:
    """Keep the hub's client from announcing each retry; the error that follows says it once."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
