"""Several processes, on one machine or on many, that train one network together: Lightning's DDP."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

T = TypeVar("T")


class Together(DDPStrategy):
    """
    DDP, but in validation each process works for itself.

    DDP makes all processes meet in each forward pass to exchange batch-norm statistics. In validation they may have
    different numbers of batches, and would wait for each other for ever; share_buffers() has done it before.

    Args:
        threads: of each process; None = Lightning divides the cores.
    """

    def __init__(self, threads: int | None) -> None:
        super().__init__()
        self._threads = threads

    def setup_environment(self) -> None:
        super().setup_environment()
        if self._threads is not None:
            torch.set_num_threads(self._threads)  # again: Lightning's launcher has set it, too

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        assert self.lightning_module is not None
        with self.precision_plugin.val_step_context():
            return self.lightning_module.validation_step(*args, **kwargs)


def gathered(value: T) -> list[T]:
    """Return the *value* of every process, in order of rank; of this one alone where there are no others."""
    if not _several():
        return [value]
    values: list[T | None] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]  # each is filled


def from_first(value: float) -> float:
    """Return the *value* of the first process, so that all decide alike."""
    if not _several():
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def is_first() -> bool:
    """Say whether this process is the one that writes and speaks; true before they have met, too."""
    return getattr(rank_zero_only, "rank", 0) == 0


def share_buffers(module: nn.Module) -> None:
    """Give all processes the first one's buffers (batch-norm statistics, which each has gathered for itself)."""
    if _several():
        with torch.no_grad():
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
