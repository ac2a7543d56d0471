"""Checkpoints: safetensors and JSON, whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors import torch as safetensors

from edge.errors import BundleError, ConfigurationError, DataError
from engines.contract import TileShape
from training.networks.checkpoint import CheckpointSpec, Network, load, network_from_spec, save

SHARED: dict[str, Any] = {
    "format": "mono8",
    "tile": TileShape(core_height=32, core_width=32, halo=0),
    "pad_value": 0,
    "class_names": ("pits", "crack"),
    "dataset": "squares",
    "dataset_sha256": "0" * 64,
    "made_with": {"seed": "7"},
}
SEGMENTER = CheckpointSpec(kind="segmenter", width=2, depth=2, **SHARED)
CLASSIFIER = CheckpointSpec(kind="classifier", backbone="test_resnet", reduce=1, **SHARED)


@pytest.mark.parametrize("spec", [SEGMENTER, CLASSIFIER], ids=["segmenter", "classifier"])
def test_a_loaded_network_answers_as_the_saved_one(tmp_path: Path, spec: CheckpointSpec) -> None:
    """Save and load keep every number, and the loaded network is in evaluation mode."""
    network = network_from_spec(spec)
    path = save(tmp_path / "new" / "folder", network, spec)
    loaded_spec, loaded = load(path)
    assert msgspec.structs.replace(loaded_spec, weights_sha256=None) == spec
    assert not loaded.training
    pixels = torch.rand(1, 1, 32, 32) * 255.0
    with torch.no_grad():
        assert torch.equal(loaded(pixels), network.eval()(pixels))


def test_only_two_files_are_left(tmp_path: Path) -> None:
    """Nothing temporary stays behind."""
    save(tmp_path, network_from_spec(SEGMENTER), SEGMENTER)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["segmenter.json", "segmenter.safetensors"]


def test_a_failed_save_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses the second file, both old files stay as they were."""
    path = save(tmp_path, network_from_spec(SEGMENTER), SEGMENTER)
    before = path.read_bytes()
    calls = []

    def full_disk(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.networks.checkpoint.os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, network_from_spec(SEGMENTER), SEGMENTER)
    assert path.read_bytes() == before
    load(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["segmenter.json", "segmenter.safetensors"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Both files are needed, and the error says which is absent."""
    with pytest.raises(BundleError, match=r"segmenter\.json: No such file"):
        load(tmp_path / "segmenter.safetensors")
    path = save(tmp_path, network_from_spec(SEGMENTER), SEGMENTER)
    path.unlink()
    with pytest.raises(BundleError, match=r"segmenter\.safetensors: No such file"):
        load(path)


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    """One changed byte no longer fits the SHA-256 of the description."""
    path = save(tmp_path, network_from_spec(SEGMENTER), SEGMENTER)
    weights = bytearray(path.read_bytes())
    weights[-1] ^= 1
    path.write_bytes(weights)
    with pytest.raises(BundleError, match="do not belong together"):
        load(path)


def test_a_mistyped_key_is_named(tmp_path: Path) -> None:
    """The description is checked key by key."""
    path = save(tmp_path, network_from_spec(SEGMENTER), SEGMENTER).with_suffix(".json")
    path.write_text(path.read_text().replace('"width"', '"widht"'))
    with pytest.raises(BundleError, match=r"segmenter\.json.*widht"):
        load(path)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """Loading is strict: every tensor must be there and fit."""
    wider = msgspec.structs.replace(SEGMENTER, width=3)
    path = save(tmp_path, network_from_spec(wider), SEGMENTER)
    with pytest.raises(BundleError, match="does not hold the weights of the segmenter"):
        load(path)


def test_poisoned_weights_are_refused(tmp_path: Path) -> None:
    """A single NaN among the weights is found before anything is inferred."""
    path = save(tmp_path, network_from_spec(SEGMENTER), SEGMENTER)
    spec, network = load(path)
    poison(network)
    path.write_bytes(safetensors.save(network.state_dict()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_bytes(msgspec.json.encode(msgspec.structs.replace(spec, weights_sha256=digest)))
    with pytest.raises(DataError, match="holds NaN or infinity"):
        load(path)


def test_poisoned_weights_are_not_saved(tmp_path: Path) -> None:
    """The checkpoint of before stays, and nothing lies beside it."""
    network = network_from_spec(SEGMENTER)
    path = save(tmp_path, network, SEGMENTER)
    before = path.read_bytes()
    poison(network)
    with pytest.raises(DataError, match="holds NaN or infinity"):
        save(tmp_path, network, SEGMENTER)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["segmenter.json", "segmenter.safetensors"]


def poison(network: Network) -> None:
    """Make a single weight NaN."""
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] = float("nan")


def test_a_spec_needs_the_sizes_of_its_kind() -> None:
    """A segmenter without width and depth cannot be described."""
    with pytest.raises(ValueError, match="a segmenter needs width and depth"):
        CheckpointSpec(kind="segmenter", **SHARED)


def test_a_tile_that_cannot_be_halved_is_refused() -> None:
    """Core and halo must fit the depth; the error says what would."""
    tile = TileShape(core_height=32, core_width=32, halo=1)
    with pytest.raises(ConfigurationError, match=r"34x34 px .* 36x36"):
        network_from_spec(msgspec.structs.replace(SEGMENTER, tile=tile))
