"""
How pretrained weights are used: which part of a network learns, when, and how fast.

    frozen     the backbone keeps its weights and its batch-norm statistics; only the new, random head learns
    finetune   everything learns, what was pretrained at a very small rate, the slower the nearer to the input
    staged     frozen, then finetune from the best head
    scratch    everything is random and learns at one rate

Source: frozen then finetune with a warm-up, and a head that learns faster than its backbone: fastai, ``fine_tune`` and
discriminative rates (Howard, Ruder, "Universal Language Model Fine-tuning", ACL 2018, section 3.2). Decay by layer:
Bao, Dong, Piao, Wei, "BEiT", ICLR 2022, appendix (0.65 for its base model); as timm's ``param_groups_layer_decay``,
which also leaves norms and biases without weight decay. Here the layers are the levels of a network, a handful.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from training.networks.checkpoint import Network

Strategy = Literal["staged", "frozen", "finetune", "scratch"]
PhaseName = Literal["frozen", "finetune", "scratch"]

LEARNING_RATE = 2e-3
"""Of whatever starts at random."""
FINETUNE_LEARNING_RATE = 1e-4
"""Of pretrained weights, at their last level: a twentieth; fastai's span is a hundredth to one, over all levels."""
LAYER_DECAY = 0.65
FROZEN_SHARE = 0.3
"""Of a staged training. fastai freezes for one epoch; a decoder of convolutions needs longer than a linear head."""
HEAD_AFTER_FROZEN = 0.5
"""A head that has learned over a frozen backbone goes on at half its rate (fastai halves it, too)."""
WARM_UP = 0.15
WARM_UP_PRETRAINED = 0.3
"""fastai's ``pct_start`` of ``fine_tune``: what is already good is disturbed late and little."""


@dataclass(frozen=True)
class Phase:
    """
    One stretch of training with fixed rules about what learns.

    Attributes:
        name: what it does, see above.
        share: of the whole training's length, 0..1.
        learning_rate: peak; in phase finetune that of pretrained weights at their last level, else of all that learns.
        layer_decay: factor on it for each level nearer to the input; 1 = one rate for all.
        warm_up: share of the phase in which the rate rises, 0..1.
        head_learning_rate: peak of the weights that were random when training began.
    """

    name: PhaseName
    share: float
    learning_rate: float
    layer_decay: float
    warm_up: float
    head_learning_rate: float


def phases(
    strategy: Strategy,
    *,
    learning_rate: float = LEARNING_RATE,
    finetune_learning_rate: float = FINETUNE_LEARNING_RATE,
    layer_decay: float = LAYER_DECAY,
) -> tuple[Phase, ...]:
    """
    Return what a strategy does, in order; the shares sum up to 1.

    Args:
        strategy: see the module.
        learning_rate: peak, of weights that start at random.
        finetune_learning_rate: peak, of pretrained weights at the level next to the head.
        layer_decay: factor on it for each further level towards the input, over 0 to 1.
    """
    if strategy == "scratch":
        return (Phase("scratch", 1.0, learning_rate, 1.0, WARM_UP, learning_rate),)
    if strategy == "frozen":
        return (_frozen(1.0, learning_rate),)
    if strategy == "finetune":
        return (Phase("finetune", 1.0, finetune_learning_rate, layer_decay, WARM_UP_PRETRAINED, learning_rate),)
    after = Phase(
        "finetune",
        1.0 - FROZEN_SHARE,
        finetune_learning_rate,
        layer_decay,
        WARM_UP_PRETRAINED,
        HEAD_AFTER_FROZEN * learning_rate,
    )
    return (_frozen(FROZEN_SHARE, learning_rate), after)


def needs_weights(strategy: Strategy) -> bool:
    """Say whether a strategy begins with pretrained weights."""
    return strategy != "scratch"


def takes_head(strategy: Strategy) -> bool:
    """Say whether the weights of a head are taken over, too; where a frozen phase comes first it starts at random."""
    return strategy == "finetune"


def parameter_groups(
    network: Network, phase: Phase, weight_decay: float, fresh: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """
    Let learn what the phase lets learn, hold the rest, and return the groups of an optimiser.

    Args:
        network: its ``requires_grad`` are set.
        phase: see there.
        weight_decay: of all weights but norms and biases (anything of one dimension), which have none.
        fresh: names of the parameters that began at random; None = those of the network's head.

    Returns:
        Groups with ``params``, ``lr`` (the peak), ``weight_decay`` and a ``name`` of their own, from input to output.
    """
    learning = _parameters(network.head_modules() if phase.name == "frozen" else [network])
    for parameter in network.parameters():
        parameter.requires_grad = id(parameter) in learning
    rates = _rates(network, phase, fresh)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for parameter in (p for p in _ordered(network) if id(p) in learning):
        rate, decays = rates[id(parameter)], parameter.ndim > 1
        name = f"{names[id(parameter)].split('.')[0]} {rate:.3g}{'' if decays else ' without decay'}"
        blank = {"params": [], "lr": rate, "weight_decay": weight_decay if decays else 0.0, "name": name}
        groups.setdefault((rate, decays), blank)["params"].append(parameter)
    return list(groups.values())


def hold_frozen(network: Network, phase: Phase) -> None:
    """
    Keep what the phase holds from changing by itself: batch-norm statistics are not updated, nothing is dropped out.

    To be called after each ``train()``, which undoes it.
    """
    if phase.name == "frozen":
        for module in network.backbone_modules():
            module.eval()


def _frozen(share: float, learning_rate: float) -> Phase:
    return Phase("frozen", share, learning_rate, 1.0, WARM_UP, learning_rate)


def _rates(network: Network, phase: Phase, fresh: Collection[str] | None) -> dict[int, float]:
    """Return the peak learning rate of each parameter, by its identity."""
    if phase.name != "finetune":
        return dict.fromkeys((id(p) for p in network.parameters()), phase.learning_rate)
    if fresh is None:
        new = _parameters(network.head_modules())
    else:
        new = {id(parameter) for name, parameter in network.named_parameters() if name in fresh}
    levels = [_parameters(level) for level in network.levels()]
    pretrained = [number for number, level in enumerate(levels) if level - new]
    rates = dict.fromkeys(new, phase.head_learning_rate)
    for number in pretrained:
        below = pretrained[-1] - number
        rates |= dict.fromkeys(levels[number] - new, phase.learning_rate * phase.layer_decay**below)
    return rates


def _ordered(network: Network) -> list[nn.Parameter]:
    return [p for level in network.levels() for module in level for p in module.parameters()]


def _parameters(modules: Collection[nn.Module]) -> set[int]:
    return {id(parameter) for module in modules for parameter in module.parameters()}
