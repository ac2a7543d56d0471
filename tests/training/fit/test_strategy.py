"""Which weights move under each strategy, and how far."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from training.fit.strategy import Phase, Strategy, hold_frozen, needs_weights, parameter_groups, phases, takes_head
from training.networks.checkpoint import Network
from training.networks.classifier import TileClassifier
from training.networks.resunet import ResUNet

State = dict[str, Tensor]


def classifier() -> Network:
    """Five levels: four halvings of the backbone, and the head."""
    return TileClassifier(backbone="test_resnet", class_count=2, channels=1)


def segmenter() -> Network:
    """Five levels: two sizes, the bottleneck, decoder, output."""
    return ResUNet(class_count=2, channels=1, width=2, depth=2)


NETWORKS = pytest.mark.parametrize("make", [classifier, segmenter])


def run(network: Network, phase: Phase, steps: int = 3) -> tuple[State, State]:
    """Train for a few steps as the phase says; return the state before and after."""
    torch.manual_seed(3)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.AdamW(parameter_groups(network, phase, weight_decay=0.01))
    network.train()
    hold_frozen(network, phase)
    for _ in range(steps):
        optimizer.zero_grad()
        logits = network(torch.rand(2, 1, 32, 32) * 255.0)
        logits.square().mean().backward()
        optimizer.step()
    return before, {name: tensor.clone() for name, tensor in network.state_dict().items()}


def furthest(before: State, after: State, prefix: str) -> float:
    """Return the largest step of any trained number whose name begins so."""
    return max(
        float((after[name] - before[name]).abs().max())
        for name in before
        if name.startswith(prefix) and before[name].is_floating_point() and "running" not in name
    )


def held(name: str) -> bool:
    """Say whether a tensor of the state is part of the backbone, pixel statistics included."""
    return not name.startswith(("head.", "decoder."))


@NETWORKS
def test_frozen_moves_the_head_and_not_one_bit_else(make: Callable[[], Network]) -> None:
    """The backbone stays bit-equal, running statistics of its batch norms included; every weight of the head moves."""
    network = make()
    (phase,) = phases("frozen")
    before, after = run(network, phase)
    for name in before:
        same = torch.equal(before[name], after[name])
        assert same == held(name), name


@NETWORKS
def test_frozen_batch_norms_use_what_they_learned_before(make: Callable[[], Network]) -> None:
    """Held parts are in evaluation mode while the head is in training mode."""
    network = make().train()
    hold_frozen(network, phases("frozen")[0])
    assert not any(m.training for part in network.backbone_modules() for m in part.modules())
    assert all(m.training for part in network.head_modules() for m in part.modules())
    network.train()
    hold_frozen(network, phases("scratch")[0])
    assert all(m.training for m in network.modules())


@NETWORKS
def test_finetune_moves_everything_the_less_the_nearer_to_the_input(make: Callable[[], Network]) -> None:
    """Each level moves, and further than the level before it; the random head moves furthest by far."""
    network = make()
    (phase,) = phases("finetune", learning_rate=1e-2, finetune_learning_rate=1e-4, layer_decay=0.5)
    before, after = run(network, phase)
    names = {id(p): name for name, p in network.named_parameters()}
    far = [
        max(furthest(before, after, names[id(p)]) for part in level for p in part.parameters())
        for level in network.levels()
    ]
    heads = 2 if isinstance(network, ResUNet) else 1
    backbone, head = far[:-heads], far[-heads:]
    assert all(lower < upper for lower, upper in pairwise(backbone)), far
    assert backbone[0] > 0.0
    assert min(head) > 10.0 * max(backbone)
    assert all(not torch.equal(before[name], after[name]) for name in names.values())


def test_staged_is_frozen_and_then_finetune() -> None:
    """The two phases share the length; the second lets the backbone move, at rates far below the first one's."""
    network = classifier()
    first, second = phases("staged")
    assert (first.name, second.name, first.share + second.share) == ("frozen", "finetune", 1.0)
    run(network, first)
    assert not any(p.requires_grad for p in network.backbone.parameters())
    before, after = run(network, second)
    assert all(p.requires_grad for p in network.parameters())
    assert 0.0 < furthest(before, after, "backbone.") < furthest(before, after, "head.") / 5.0


@NETWORKS
def test_scratch_moves_everything_at_one_rate(make: Callable[[], Network]) -> None:
    """There is one rate, and every weight learns at it."""
    network = make()
    (phase,) = phases("scratch", learning_rate=1e-2)
    before, after = run(network, phase)
    assert {group["lr"] for group in parameter_groups(network, phase, 0.01)} == {1e-2}
    assert all(not torch.equal(before[name], after[name]) for name, _ in network.named_parameters())


@NETWORKS
@pytest.mark.parametrize("strategy", ["frozen", "finetune", "scratch"])
def test_each_learning_weight_is_in_one_group(make: Callable[[], Network], strategy: Strategy) -> None:
    """Nothing is optimised twice or forgotten, norms and biases do not decay, and each group has its own name."""
    network = make()
    groups = parameter_groups(network, phases(strategy)[0], weight_decay=0.01)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters() if p.requires_grad)
    assert all((group["weight_decay"] == 0.0) == (p.ndim <= 1) for group in groups for p in group["params"])
    assert len({group["name"] for group in groups}) == len(groups)


def test_only_what_began_at_random_has_the_rate_of_a_head() -> None:
    """A decoder taken over from a checkpoint is pretrained like the encoder; a new output layer is not."""
    network = segmenter()
    (phase,) = phases("finetune", learning_rate=1e-2, finetune_learning_rate=1e-4, layer_decay=0.5)
    groups = parameter_groups(network, phase, 0.0, fresh={"head.weight", "head.bias"})
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert {rates[id(p)] for p in network.head.parameters()} == {1e-2}
    assert {rates[id(p)] for p in network.decoder.parameters()} == {1e-4}
    assert {rates[id(p)] for p in network.bottleneck.parameters()} == {0.5e-4}
    groups = parameter_groups(network, phase, 0.0, fresh=())
    assert max(group["lr"] for group in groups) == 1e-4


def test_scratch_alone_needs_no_weights() -> None:
    """A head's weights are taken over only where no frozen phase begins with a random head."""
    strategies: tuple[Strategy, ...] = ("staged", "frozen", "finetune", "scratch")
    assert [needs_weights(strategy) for strategy in strategies] == [True, True, True, False]
    assert [takes_head(strategy) for strategy in strategies] == [False, False, True, False]
