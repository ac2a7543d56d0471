"""
The state of a training between two epochs, so that one that was killed goes on as if nothing had been.

One file in safetensors' format, whole or not at all. Every tensor stands under its path in the tree ("optimizer_states.
0.state.3.exp_avg"); the rest is JSON in the file's header. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors
from torch import Tensor

from edge.errors import BundleError
from training.networks.checkpoint import replace_together

_KIND = "?"
"""Key that marks what JSON has no word for: a tensor, a tuple, a dict whose keys are not all strings."""
_HEADER = "tree"


def write_state(path: Path, tree: dict[str, Any]) -> None:
    """
    Write a tree of dicts, lists, tuples, tensors, strings, numbers and None; till it is whole the old file stays.

    Raises:
        TypeError: the tree holds something else; names its place.
        OSError: the disk is full, or the folder cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    header = json.dumps(_packed(tree, "", tensors))
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_together({path: safetensors.save(tensors, {_HEADER: header})})


def read_state(path: Path) -> dict[str, Any]:
    """
    Read what write_state() wrote, tensors on the CPU.

    Raises:
        BundleError: the file is missing, cut or altered.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # it cannot be iterated
            tree: dict[str, Any] = _unpacked(json.loads((file.metadata() or {})[_HEADER]), tensors)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise BundleError(f"{path}: no state of a training ({error}); begin again without --resume") from error
    return tree


class SafetensorsIO(CheckpointIO):
    """Makes Lightning keep its checkpoints as such files."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: object = None
    ) -> None:
        write_state(Path(path), checkpoint)

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: object = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_state(Path(path))

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        Path(path).unlink(missing_ok=True)


def _packed(value: Any, where: str, tensors: dict[str, Tensor]) -> Any:
    """Return what JSON can hold of *value*, and put its tensors into *tensors*."""
    if isinstance(value, Tensor):
        if where in tensors:
            raise TypeError(f"state at {where}: two tensors of this name")
        # A copy: safetensors refuses two names for one memory.
        tensors[where] = value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        return {_KIND: "tensor", "key": where}
    if isinstance(value, dict):
        values = [_packed(inner, f"{where}.{key}".lstrip("."), tensors) for key, inner in value.items()]
        if all(isinstance(key, str) for key in value) and _KIND not in value:
            return dict(zip(value, values, strict=True))
        return {_KIND: "dict", "items": [list(pair) for pair in zip(value, values, strict=True)]}
    if isinstance(value, (list, tuple)):
        values = [_packed(inner, f"{where}.{index}", tensors) for index, inner in enumerate(value)]
        return {_KIND: "tuple", "items": values} if isinstance(value, tuple) else values
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"state at {where}: {type(value).__name__}: expected a tensor, number, string, list or dict")


def _unpacked(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpacked(inner, tensors) for inner in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_KIND)
    if kind == "tensor":
        return tensors[value["key"]]
    if kind == "tuple":
        return tuple(_unpacked(inner, tensors) for inner in value["items"])
    if kind == "dict":
        return {key: _unpacked(inner, tensors) for key, inner in value["items"]}
    return {key: _unpacked(inner, tensors) for key, inner in value.items()}
