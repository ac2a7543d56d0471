"""timm's networks as sources of feature maps."""

from __future__ import annotations

import pytest
import torch

from edge.errors import ConfigurationError
from training.networks.backbone import Backbone, colours_of, published_file, published_name, strides_of


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_maps_have_the_strides_asked_for(name: str) -> None:
    """Whatever way timm wraps a family of models, the maps come in order, with the stated channels."""
    backbone = Backbone(name, strides_of(name)[:3])
    maps = backbone(torch.zeros(1, 3, 64, 96))
    assert [m.shape[2:] for m in maps] == [(64 // s, 96 // s) for s in backbone.strides]
    assert tuple(m.shape[1] for m in maps) == backbone.channels


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_levels_hold_every_weight_once(name: str) -> None:
    """The levels partition the weights, in the order of the maps."""
    backbone = Backbone(name, strides_of(name)[:3])
    sorted_out = [id(p) for level in backbone.levels() for part in level for p in part.parameters()]
    assert sorted_out == [id(p) for p in backbone.parameters()]
    assert len(backbone.levels()) == 3


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "mobilenetv3_small_100", "test_convnext"])
def test_what_is_not_needed_is_cut_off(name: str) -> None:
    """Behind the last map there is nothing: every weight has a share in it, so that all of them learn."""
    backbone = Backbone(name, [8])
    backbone(torch.rand(1, 3, 64, 64))[0].square().mean().backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_an_unknown_backbone_is_refused_with_near_names() -> None:
    """A mistyped name is answered by names that exist."""
    with pytest.raises(ConfigurationError, match=r"'resnet_18'.*near: .*resnet"):
        Backbone("resnet_18", [16])


def test_an_unknown_tag_is_refused_with_those_there_are() -> None:
    """A mistyped tag is answered by the tags of that model."""
    with pytest.raises(ConfigurationError, match=r"'resnet18\.a9'.*it has: .*resnet18\.a1_in1k"):
        colours_of("resnet18.a9", 1)


def test_a_stride_that_is_not_there_is_refused() -> None:
    """The error says which strides the backbone has."""
    with pytest.raises(ConfigurationError, match=r"'test_convnext'.* stride 2, only of \(4, 8, 16, 32\)"):
        Backbone("test_convnext", [2])


@pytest.mark.parametrize("name", ["test_vit", "swin_tiny_patch4_window7_224"])
def test_a_network_without_such_maps_is_refused(name: str) -> None:
    """Tokens, and maps with the channels last, are told and not misread."""
    with pytest.raises(ConfigurationError, match=f"'{name}'.*choose"):
        Backbone(name, [4])


def test_published_weights_are_named_with_their_tag() -> None:
    """The tag of timm's default is written out, one that was given is kept, and a model without weights has none."""
    assert published_name("resnet18") == "resnet18.a1_in1k"
    assert published_file("resnet18") == "timm/resnet18.a1_in1k: model.safetensors"
    assert published_file("resnet18.tv_in1k") == "timm/resnet18.tv_in1k: model.safetensors"
    assert published_file("cspresnet50d") is None


def test_colours_are_those_the_weights_were_trained_on() -> None:
    """White becomes (1 - mean) / deviation of each colour, as timm states them for the backbone."""
    white = colours_of("resnet18", 1)(torch.full((1, 1, 1, 1), 255.0)).flatten()
    torch.testing.assert_close(white, (1.0 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225]))
    black = colours_of("test_resnet", 3)(torch.zeros(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(black, -torch.ones(3))
