"""
What training and inference cost, ours and the peer's: time of a step, peak memory, operations, time of a tile.

Every network in turn, several rounds, one at a time and on one thread: compare within a round.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from engines.contract import TileShape
from tests.qualify.fits import Fit, figures_of
from tests.qualify.report import table, with_spread
from tests.qualify.segmenting import DATA, EPOCH_STEPS, MODELS
from training.data.datasets import read_dataset

TITLE = "cost of a training step and of a tile, ours and segmentation_models_pytorch"

PEERS = [name for name, model in MODELS.items() if model.peer]
MOST_OF_PEER = 0.5
"""Of a peer's operations: what ours aim at."""
_ROUNDS = 3
_STEPS, _TILES = 8, 12
_BATCH, _CROP_PX, _TILE_PX = 8, 128, 256


def run(out: Path, scale: float) -> dict[str, Any]:
    """Measure every network in every round."""
    rounds = max(1, round(_ROUNDS * scale))
    fits = [
        Fit(f"{model}, round {number}", __name__, {"model": model}) for number, model in product(range(rounds), MODELS)
    ]
    figures = figures_of(fits, out / "cost", at_once=1)
    gflop = {model: figures[f"{model}, round 0"]["gflop"] for model in MODELS}
    of = {model: [figures[f"{model}, round {number}"] for number in range(rounds)] for model in MODELS}
    rounds_said = f"one thread; median of {rounds} rounds (lowest to highest)"
    table(
        f"Training, bf16, {rounds_said}",
        ("network", f"ms a step ({_BATCH} x {_CROP_PX} px)", f"s an epoch of {EPOCH_STEPS} steps", "peak MB"),
        [
            (
                model,
                with_spread([one["step_ms"] for one in found], 0),
                with_spread([EPOCH_STEPS * one["step_ms"] / 1e3 for one in found], 1),
                f"{statistics.median(one['peak_mb'] for one in found):.0f}",
            )
            for model, found in of.items()
        ],
    )
    table(
        f"One tile of {_TILE_PX} px, float32, {rounds_said}",
        ("network", "GFLOP", *(f"of {peer}" for peer in PEERS), "at most half", "ms", "million weights"),
        [
            (
                model,
                gflop[model],
                *ratios(model, gflop),
                with_spread([one["tile_ms"] for one in found], 0),
                found[0]["weights"] / 1e6,
            )
            for model, found in of.items()
        ],
    )
    return of


def ratios(model: str, gflop: Mapping[str, float]) -> tuple[float | str, ...]:
    """Return a network's operations as a part of each peer's, and whether they are at most half of each peer's."""
    parts = [gflop[model] / gflop[peer] for peer in PEERS]
    return (*parts, "-" if model in PEERS else "yes" if max(parts) <= MOST_OF_PEER else "no")


def fit(model: str) -> dict[str, Any]:
    """Take some steps and some tiles of one network."""
    torch.set_num_threads(1)
    dataset = read_dataset(DATA / "magnetic_tile")
    network = MODELS[model].build(MODELS[model].spec(dataset, TileShape(core_height=224, core_width=224, halo=16)))
    flop, tile_ms = _inference(network)
    step_ms = _training(network)
    return {
        "gflop": flop / 1e9,
        "tile_ms": tile_ms,
        "step_ms": step_ms,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "weights": sum(parameter.numel() for parameter in network.parameters()),
    }


@torch.inference_mode()
def _inference(network: torch.nn.Module) -> tuple[int, float]:
    """Return the operations of one tile, 2 a multiply-add, and its median time [ms]."""
    network.eval()
    pixels = 255.0 * torch.rand(1, 1, _TILE_PX, _TILE_PX)
    with FlopCounterMode(display=False) as counter:
        network(pixels)
    return counter.get_total_flops(), statistics.median(_ms(lambda: network(pixels)) for _ in range(_TILES))


def _training(network: torch.nn.Module) -> float:
    """Return the median time of a step, forward and backward and optimiser [ms]."""
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    pixels = 255.0 * torch.rand(_BATCH, 1, _CROP_PX, _CROP_PX)
    labels = torch.randint(0, 6, (_BATCH, _CROP_PX, _CROP_PX))

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(pixels)
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimiser.step()

    step()
    return statistics.median(_ms(step) for _ in range(_STEPS))


def _ms(work: Any) -> float:
    began = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - began)
