"""
A checkpoint: the trained weights of one network and all that is needed to build it again.

    <kind>.json          CheckpointSpec, with the SHA-256 of the weights
    <kind>.safetensors   the weights and the pixel statistics

Nothing is ever unpickled. Both files are written beside their targets first and then renamed, so that a failure or a
full disk leaves the last good checkpoint as it was; the JSON names its weights, so that a mixed pair is noticed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import torch
from msgspec import Meta
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import nn

from edge.errors import BundleError, ConfigurationError, DataError
from engines.contract import CHANNELS, Name, PixelFormat, Record, Sha256, TileShape
from training.networks.blocks import require_divisible
from training.networks.classifier import TileClassifier
from training.networks.resunet import PLAIN, ResUNet

Kind = Literal["classifier", "segmenter"]
Network = TileClassifier | ResUNet
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
"""Of a picture file: the first digits of its SHA-256."""


class CheckpointSpec(Record, frozen=True):
    """What a network is and where it comes from; field by field in docs/training.md."""

    kind: Kind
    format: PixelFormat
    tile: TileShape
    pad_value: int
    class_names: tuple[Name, ...]
    dataset: str
    dataset_sha256: Sha256
    made_with: dict[str, str]
    """Versions, seed and the exact command."""
    backbone: str | None = None
    reduce: int | None = None
    width: int | None = None
    depth: int | None = None
    encoder: str = PLAIN
    """Of a segmenter: PLAIN, or a timm name."""
    seen: tuple[Digest, ...] = ()
    """Pictures of the splits train and val that it, or the network it began from, has seen; ascending."""
    weights_sha256: Sha256 | None = None
    """Filled by save()."""

    def __post_init__(self) -> None:
        needed = ("backbone", "reduce") if self.kind == "classifier" else ("width", "depth")
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"a {self.kind} needs {' and '.join(missing)}")


def network_from_spec(spec: CheckpointSpec) -> Network:
    """
    Build the network a spec describes, with fresh weights.

    Raises:
        ConfigurationError: unknown backbone or encoder, or a tile the segmenter cannot halve.
    """
    class_count, channels = len(spec.class_names), CHANNELS[spec.format]
    if spec.kind == "classifier":
        assert spec.backbone is not None
        assert spec.reduce is not None
        return TileClassifier(backbone=spec.backbone, class_count=class_count, channels=channels, reduce=spec.reduce)
    assert spec.width is not None
    assert spec.depth is not None
    try:
        require_divisible(spec.tile.height, spec.tile.width, 1 << spec.depth)
        return ResUNet(
            class_count=class_count, channels=channels, width=spec.width, depth=spec.depth, encoder=spec.encoder
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def save(folder: Path, module: nn.Module, spec: CheckpointSpec) -> Path:
    """
    Write a checkpoint; what was there before stays intact until the new one is whole.

    Args:
        folder: made if it does not exist.
        module: the network, as network_from_spec() builds it.
        spec: its description; weights_sha256 is filled here.

    Returns:
        The path of the .safetensors file.

    Raises:
        DataError: a weight is not finite; the old checkpoint is untouched.
        OSError: the folder cannot be written; the old checkpoint is untouched.
    """
    require_finite(module.state_dict(), f"checkpoint {folder / spec.kind}")
    folder.mkdir(parents=True, exist_ok=True)
    weights = safetensors.save({name: t.detach().cpu().contiguous() for name, t in module.state_dict().items()})
    spec = msgspec.structs.replace(spec, weights_sha256=hashlib.sha256(weights).hexdigest())
    path = folder / f"{spec.kind}.safetensors"
    description = msgspec.json.format(msgspec.json.encode(spec, order="deterministic"), indent=2) + b"\n"
    replace_together({path: weights, path.with_suffix(".json"): description})
    return path


def load(path: Path) -> tuple[CheckpointSpec, Network]:
    """
    Read a checkpoint.

    Args:
        path: its .safetensors or .json file; the other one lies beside it.

    Returns:
        The spec, and the network in evaluation mode on the CPU.

    Raises:
        BundleError: a file is missing, altered, or does not fit the other.
        DataError: the weights hold a number that is not finite.
    """
    spec = load_spec(path)
    weights_path = path.with_suffix(".safetensors")
    weights = _read(weights_path)
    digest = hashlib.sha256(weights).hexdigest()
    if digest != spec.weights_sha256:
        raise BundleError(
            f"{weights_path}: SHA-256 is {digest[:12]}..., its description says {str(spec.weights_sha256)[:12]}...; "
            "the two files do not belong together. If the training was killed while it wrote them, its command with "
            "--resume writes both again; else train again or restore both"
        )
    module = network_from_spec(spec)
    try:
        tensors = safetensors.load(weights)
        module.load_state_dict(tensors, strict=True)
    except (SafetensorError, RuntimeError) as error:
        raise BundleError(
            f"{weights_path}: does not hold the weights of the {spec.kind} in its json: {error}"
        ) from error
    require_finite(tensors, weights_path)
    return spec, module.eval()


def load_spec(path: Path) -> CheckpointSpec:
    """
    Read only the description of a checkpoint.

    Raises:
        BundleError: the .json file is missing, or a key of it is wrong; names the key.
    """
    description_path = path.with_suffix(".json")
    try:
        return msgspec.json.decode(_read(description_path), type=CheckpointSpec)
    except msgspec.DecodeError as error:
        raise BundleError(f"{description_path}: not a checkpoint's description: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"checkpoint {path}: {error.strerror}; a checkpoint is a .safetensors and a .json file, "
            "made by edge-train classifier or edge-train segmenter"
        ) from error


def require_finite(tensors: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """
    Refuse weights that are no numbers.

    Raises:
        DataError: names the first tensor with NaN or infinity.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise DataError(
                f"{path}: weight '{name}' holds NaN or infinity; the training it comes from broke, use another one"
            )


def replace_together(contents: dict[Path, bytes]) -> None:
    """
    Write all contents beside their paths and push them to the disk; only then rename them, in order.

    Raises:
        OSError: a disk is full or a folder cannot be written; no file has changed.
    """
    written: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            written[path] = _write_beside(path, content)
        for path, temporary in written.items():
            temporary.replace(path)
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)


def _write_beside(path: Path, content: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary
