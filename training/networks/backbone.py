"""
A timm network as the source of feature maps: the classifier's backbone, and a pretrained encoder of the segmenter.

The one file that knows timm: which names it has, what they were trained on, and where their weights lie.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import timm
import torch
from timm.models import FeatureInfo, PretrainedCfg
from torch import Tensor, nn

from edge.errors import ConfigurationError
from training.networks.pixels import BackboneColours

# For backbones without published weights.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
_FILE = "model.safetensors"


class Backbone(nn.Module):
    """
    Feature maps of some strides, with random weights; training.networks.weights fills in pretrained ones.

    What lies behind the last map that is asked for is cut off.

    Args:
        name: a timm model name, with or without the tag of its weights, for instance ``resnet18.a1_in1k``.
        strides: of the maps, ascending.

    Raises:
        ConfigurationError: timm has no such model, or it has no such maps; says which it has.
    """

    def __init__(self, name: str, strides: Sequence[int]) -> None:
        super().__init__()
        self.name = name
        self.strides = tuple(strides)
        available = strides_of(name)
        missing = [stride for stride in strides if stride not in available]
        if missing:
            raise ConfigurationError(
                f"backbone '{name}': has no feature map of stride {missing[0]}, only of {available}; choose another"
            )
        indices = tuple(available.index(stride) for stride in strides)
        self.features = timm.create_model(name, pretrained=False, features_only=True, out_indices=indices)
        self.channels: tuple[int, ...] = tuple(_information(self.features).channels())
        self._cut()

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, h, w) normalised RGB -> for each stride s (N, channels, h / s, w / s)."""
        maps: list[Tensor] = self.features(x)
        return maps

    def levels(self) -> list[list[nn.Module]]:
        """Return all that has weights, from input to output: for each feature map what makes it of the one before."""
        maps = self._maps()
        levels: list[list[nn.Module]] = [[]]
        for path, parent, name in _parts(self.features, "", maps):
            levels[-1].append(parent.get_submodule(name))
            if path in maps:
                levels.append([])
        return [level for level in levels if any(True for part in level for _ in part.parameters())]

    def _maps(self) -> list[str]:
        """Return which part makes each feature map the model ever had."""
        return [_flat(entry["module"]) for entry in _information(self.features).info]

    def _cut(self) -> None:
        """Drop the stages behind the last map, which some families of timm keep: they would never learn."""
        last = _flat(_information(self.features).module_name()[-1])
        behind = False
        for path, parent, name in list(_parts(self.features, "", self._maps())):
            if behind and isinstance(parent, nn.Sequential):
                delattr(parent, name)
            behind = behind or path == last


@cache
def strides_of(name: str) -> tuple[int, ...]:
    """
    Return the strides of all feature maps a backbone has, ascending.

    Raises:
        ConfigurationError: timm has no such model, or it gives no maps of (N, channels, rows, columns).
    """
    _published(name)
    try:
        # Only looked at, and only once: it must not take the random numbers of the network that is built after it.
        with torch.random.fork_rng(devices=[]):
            model = timm.create_model(name, pretrained=False, features_only=True)
    except (RuntimeError, AttributeError) as error:
        raise ConfigurationError(f"backbone '{name}': gives no feature maps ({error}); choose another") from error
    if getattr(model, "output_fmt", "NCHW") != "NCHW":
        raise ConfigurationError(f"backbone '{name}': its maps have the channels last; choose a convolutional one")
    return tuple(int(stride) for stride in _information(model).reduction())


def colours_of(name: str, channels: int) -> BackboneColours:
    """Return what turns raw pixels of 1 or 3 *channels* into the colours a backbone's weights were trained on."""
    published = _published(name)
    if published is None:
        return BackboneColours(channels, IMAGENET_MEAN, IMAGENET_DEVIATION)
    return BackboneColours(channels, published.mean, published.std)


def published_file(name: str) -> str | None:
    """Say which file of timm's hub holds a backbone's weights, as ``repository: file``; None if none are published."""
    published = _published(name)
    if published is None or not published.hf_hub_id:
        return None
    return f"{published.hf_hub_id}: {published.hf_hub_filename or _FILE}"


def published_name(name: str) -> str:
    """Return a backbone's name with the tag of its weights, as timm understands it."""
    published = _published(name)
    tag = published.tag if published is not None else ""
    return f"{name.split('.')[0]}.{tag}" if tag else name


def published_weights(name: str) -> dict[str, Tensor]:
    """
    Fetch a backbone's published weights, or take them from the cache of timm's hub.

    Raises:
        OSError, RuntimeError: they cannot be had, or do not fill the whole model.
    """
    with _quiet_hub():
        # The whole model with its own head: only then does timm insist that every weight is found.
        state: dict[str, Tensor] = timm.create_model(name, pretrained=True).state_dict()
    return state


def _published(name: str) -> PretrainedCfg | None:
    """
    Return what timm says about a backbone's weights.

    Raises:
        ConfigurationError: timm has no such model, or not with this tag.
    """
    architecture, _, tag = name.partition(".")
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{architecture.split('_')[0]}*")[:5]) or "see timm.list_models()"
        raise ConfigurationError(f"backbone '{name}': timm {timm.__version__} has no such model; near: {near}")
    try:
        return timm.get_pretrained_cfg(name, allow_unregistered=True)
    except RuntimeError as error:
        tags = ", ".join(timm.list_pretrained(f"{architecture}.*")) or f"{architecture} without one"
        raise ConfigurationError(f"backbone '{name}': timm has no weights '{tag}'; it has: {tags}") from error


def _parts(model: nn.Module, prefix: str, maps: Sequence[str]) -> Iterator[tuple[str, nn.Module, str]]:
    """Give path, parent and name of each part in order, opening those within which a feature map is made."""
    for name, part in model.named_children():
        path = _flat(f"{prefix}{name}")
        if any(target.startswith(f"{path}_") for target in maps):
            yield from _parts(part, f"{path}_", maps)
        else:
            yield path, model, name


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
