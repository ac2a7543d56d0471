"""
Where pretrained weights lie: a file that somebody brought, or what timm publishes. Nothing is unpickled but tensors.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from edge.errors import BundleError, ConfigurationError, DataError
from training.networks.backbone import published_file, published_name, published_weights
from training.networks.checkpoint import require_finite

SUFFIXES = (".safetensors", ".pth", ".pt")
CACHE = Path(".cache/edge-inspect/weights")
"""In the home folder: a file <name of the backbone>.safetensors in it is taken before anything is fetched."""
_WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which a training script may put the weights, beside its optimiser."""
_DAMAGED = (
    pickle.UnpicklingError,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What torch.load() raises for text, cut files and wrong bytes: it interprets what it reads and checks little of it."""


@dataclass(frozen=True)
class WeightFile:
    """
    Tensors by name, all of them finite.

    Attributes:
        source: a file's name, or ``timm`` and the name and tag of the model.
        sha256: of the file; of what timm loaded, written as safetensors.
    """

    tensors: Mapping[str, Tensor]
    source: str
    sha256: str


def read_weight_file(path: Path) -> WeightFile:
    """
    Read a .safetensors, .pth or .pt file.

    Raises:
        ConfigurationError: there is no such file, or it has another suffix.
        BundleError: it is damaged.
        DataError: it holds anything but tensors, or a weight that is not finite.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(f"--weights {path}: expected a file that ends in {', '.join(SUFFIXES)}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"--weights {path}: {error.strerror}; expected a file of weights, or the name {path.stem} without a suffix "
            "to let timm fetch its own"
        ) from error
    tensors = _from_safetensors(content, path) if path.suffix == ".safetensors" else _from_pickle(content, path)
    require_finite(tensors, path)
    return WeightFile(tensors, path.name, hashlib.sha256(content).hexdigest())


def published(name: str) -> WeightFile:
    """
    Return the weights timm publishes for a backbone: from the cache folder, else by timm.

    Raises:
        ConfigurationError: there are none, or they are neither here nor within reach; says which file to bring where.
        BundleError: the file in the cache folder is damaged.
    """
    cached = Path.home() / CACHE / f"{name}.safetensors"
    if cached.is_file():
        return read_weight_file(cached)
    wanted = published_file(name)
    otherwise = "or train from random weights: --strategy scratch"
    if wanted is None:
        raise ConfigurationError(
            f"backbone '{name}': timm publishes no weights for it; give a file by --weights FILE (of both: "
            f"--classifier-weights, --segmenter-weights), {otherwise}"
        )
    try:
        state = published_weights(name)
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(
            f"backbone '{name}': its weights are not here and timm cannot fetch them ({_first_line(error)}); on a "
            f"machine with access to timm's hub get '{wanted}', then give it by --weights FILE (of both: "
            f"--classifier-weights, --segmenter-weights) or put it at ~/{CACHE / cached.name}; {otherwise}"
        ) from error
    require_finite(state, f"timm {published_name(name)}")
    digest = hashlib.sha256(safetensors.save(state)).hexdigest()
    return WeightFile(state, f"timm {published_name(name)}", digest)


def _from_safetensors(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.load(content)
    except SafetensorError as error:
        raise BundleError(f"--weights {path}: not a whole safetensors file ({error}); fetch it again") from error


def _from_pickle(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            # In a damaged file the protocol's number is any number.
            warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)
            held = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise _refusal(error, path) from error
    return _unwrapped(held, path)


def _refusal(error: Exception, path: Path) -> DataError | BundleError:
    """Tell a file that holds code from one that is damaged; torch's own text would advise to run the code."""
    code = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
    if code:
        return DataError(
            f"--weights {path}: refused, since it holds the object {code.group(1)}, and unpickling that may run any "
            "code; save the model's state_dict() alone, best as .safetensors"
        )
    return BundleError(
        f"--weights {path}: not a whole PyTorch file of tensors alone (torch.load ends in {type(error).__name__}); "
        "fetch it again, or save the model's state_dict() anew, best as .safetensors"
    )


def _unwrapped(held: Any, path: Path) -> dict[str, Tensor]:
    """Take the weights out of what a training script saved around them."""
    for key in _WRAPPERS:
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    tensors = {str(name): t for name, t in held.items() if isinstance(t, Tensor)} if isinstance(held, Mapping) else {}
    if not tensors:
        found = ", ".join(map(str, list(held)[:5])) if isinstance(held, Mapping) else type(held).__name__
        raise DataError(f"--weights {path}: holds no tensors by name, but {found}; save the model's state_dict()")
    return tensors


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
