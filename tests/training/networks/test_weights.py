"""Pretrained weights: each source, and each reason to refuse one."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from edge.errors import BundleError, ConfigurationError, DataError
from engines.contract import TileShape
from training.networks.checkpoint import CheckpointSpec, Network, network_from_spec, save
from training.networks.weight_files import published, read_weight_file
from training.networks.weights import TIMM, Loaded, load_weights

SHARED: dict[str, Any] = {
    "format": "mono8",
    "tile": TileShape(core_height=32, core_width=32, halo=0),
    "pad_value": 0,
    "class_names": ("pits", "crack"),
    "dataset": "squares",
    "dataset_sha256": "0" * 64,
    "made_with": {},
}
NAME = "test_resnet"
FIRST = "conv1.0.weight"
"""Of that model, as timm names it."""
CLASSIFIER = CheckpointSpec(kind="classifier", backbone=NAME, reduce=2, **SHARED)
PLAIN = CheckpointSpec(kind="segmenter", width=2, depth=2, **SHARED)
PRETRAINED = CheckpointSpec(kind="segmenter", width=2, depth=4, encoder=NAME, **SHARED)

State = dict[str, Tensor]


def published_state(seed: int = 11) -> State:
    """Return what a file of timm's would hold: the whole model, its own head included."""
    import timm  # after training, which lets it be imported beside a CPU build of PyTorch

    torch.manual_seed(seed)
    model = timm.create_model(NAME)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.1, 1.0)
    return dict(model.state_dict())


def fresh(spec: CheckpointSpec, seed: int = 1) -> Network:
    torch.manual_seed(seed)
    return network_from_spec(spec)


def copied(network: Network) -> State:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def take(spec: CheckpointSpec, source: str | Path, *, with_head: bool = False) -> tuple[Loaded, State, State]:
    """Fill a new network; return what was loaded, and the state before and after."""
    network = fresh(spec)
    before = copied(network)
    loaded = load_weights(network, spec, source, with_head=with_head)
    return loaded, before, copied(network)


def refused(spec: CheckpointSpec, source: str | Path, kind: type[Exception] = ConfigurationError) -> str:
    """Expect one line, and a network that was not touched."""
    network = fresh(spec)
    before = copied(network)
    with pytest.raises(kind) as error:
        load_weights(network, spec, source, with_head=False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert "\n" not in str(error.value)
    return str(error.value)


def safetensors_file(folder: Path, state: State) -> Path:
    path = folder / "brought.safetensors"
    save_file(state, path)
    return path


def pytorch_file(folder: Path, held: object) -> Path:
    path = folder / "brought.pth"
    torch.save(held, path)
    return path


def wrapped(folder: Path, state: State) -> Path:
    """As a training script would save it, for several devices."""
    return pytorch_file(folder, {"epoch": 3, "state_dict": {f"module.backbone.{n}": t for n, t in state.items()}})


@pytest.mark.parametrize("write", [safetensors_file, pytorch_file, wrapped])
@pytest.mark.parametrize(
    ("spec", "prefix"), [(CLASSIFIER, "backbone.features."), (PRETRAINED, "encoder.backbone.features.")]
)
def test_a_file_fills_the_whole_backbone(
    tmp_path: Path, write: Callable[[Path, State], Path], spec: CheckpointSpec, prefix: str
) -> None:
    """Every number of the backbone is the file's, the head is as it was, and what was not used is told."""
    state = published_state()
    loaded, before, after = take(spec, write(tmp_path, state))
    filled = {name for name in after if name.startswith(prefix)}
    assert all(torch.equal(after[name], state[name.removeprefix(prefix)]) for name in filled)
    assert all(torch.equal(after[name], before[name]) for name in after.keys() - filled)
    assert loaded.tensors == len(filled)
    assert any(name.endswith("fc.weight") for name in loaded.unused)
    assert set(loaded.fresh) == {name for name, _ in fresh(spec).named_parameters()} - filled
    assert re.fullmatch("[0-9a-f]{64}", loaded.sha256)
    assert loaded.source in ("brought.safetensors", "brought.pth")


def test_the_cache_folder_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the backbone's name in the home folder serves timm's name without any network."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".cache" / "edge-inspect" / "weights"
    folder.mkdir(parents=True)
    state = published_state()
    save_file(state, folder / f"{NAME}.safetensors")
    for source in (TIMM, NAME, f"{NAME}.r160_in1k"):
        loaded, _, after = take(CLASSIFIER, source)
        assert torch.equal(after[f"backbone.features.{FIRST}"], state[FIRST])
        assert loaded.source == f"{NAME}.safetensors"


def test_out_of_reach_says_which_file_to_bring_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network and no file: timm's own failure becomes the file's name, two places for it, and the other way."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    told = refused(CLASSIFIER, TIMM)
    for part in (
        "timm/test_resnet.r160_in1k: model.safetensors",
        "--weights FILE",
        "~/.cache/edge-inspect/weights/test_resnet.safetensors",
        "--strategy scratch",
    ):
        assert part in told


def test_what_timm_fetches_fills_the_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """timm's own loading is used and its name and tag are recorded; the file is one the test wrote."""
    monkeypatch.setenv("HOME", str(tmp_path))
    state = published_state()
    path = safetensors_file(tmp_path, state)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", lambda *_, **__: str(path))
    loaded, _, after = take(CLASSIFIER, TIMM)
    assert torch.equal(after[f"backbone.features.{FIRST}"], state[FIRST])
    assert loaded.source == "timm test_resnet.r160_in1k"
    save_file({name: tensor for name, tensor in state.items() if name != FIRST}, path)
    assert "timm cannot fetch them" in refused(CLASSIFIER, TIMM)


def test_a_backbone_without_published_weights_is_told() -> None:
    """timm lists models it has no weights for."""
    with pytest.raises(ConfigurationError, match="publishes no weights for it; give a file by --weights FILE"):
        published("cspresnet50d")


def test_the_plain_encoder_has_nothing_to_fetch(tmp_path: Path) -> None:
    """Neither timm nor a backbone's file fits our own encoder; the error names what does."""
    for source in (TIMM, safetensors_file(tmp_path, published_state())):
        told = refused(PLAIN, source)
        assert "edge-train made" in told
        assert "--encoder resnet18" in told


def test_another_backbone_of_timm_is_refused() -> None:
    """Weights of a name the network is not made of are not even looked for."""
    assert "own backbone 'test_resnet'" in refused(CLASSIFIER, "resnet34")


def _without(state: State, name: str) -> State:
    return {key: tensor for key, tensor in state.items() if key != name}


def _altered(state: State, name: str, tensor: Tensor) -> State:
    return state | {name: tensor}


@pytest.mark.parametrize(
    ("change", "kind", "told"),
    [
        (lambda s: _without(s, "layer1.0.conv1.weight"), ConfigurationError, "missing: layer1.0.conv1.weight;"),
        (
            lambda s: _altered(s, FIRST, torch.zeros(16, 1, 3, 3)),
            ConfigurationError,
            r"of another shape: conv1\.0\.weight \(16, 1, 3, 3\) for \(",
        ),
        (lambda s: {"something.else": torch.zeros(3)}, ConfigurationError, r"0 of the \d+ weights of .* fit"),
        (
            lambda s: _altered(s, "bn1.running_var", torch.full_like(s["bn1.running_var"], torch.nan)),
            DataError,
            "'bn1.running_var' holds NaN",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, change: Callable[[State], State], kind: type[Exception], told: str
) -> None:
    """Missing, misshapen and poisoned weights are named, with how many fit; the network stays as it was."""
    assert re.search(told, refused(CLASSIFIER, safetensors_file(tmp_path, change(published_state())), kind))


def test_old_files_without_counters_are_taken(tmp_path: Path) -> None:
    """A batch norm's count of batches is no weight."""
    state = {name: t for name, t in published_state().items() if not name.endswith("num_batches_tracked")}
    loaded, _, after = take(CLASSIFIER, safetensors_file(tmp_path, state))
    assert torch.equal(after["backbone.features.bn1.weight"], state["bn1.weight"])
    assert f"backbone.features.{FIRST}" not in loaded.fresh


def test_half_precision_is_taken_as_what_the_network_computes_in(tmp_path: Path) -> None:
    """A float16 file becomes float32 weights of the same values."""
    state = {name: t.half() if t.is_floating_point() else t for name, t in published_state().items()}
    _, _, after = take(CLASSIFIER, safetensors_file(tmp_path, state))
    assert torch.equal(after[f"backbone.features.{FIRST}"], state[FIRST].float())


class Code:
    """What a .pth file may hide."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("never",)


def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    """Only tensors are unpickled; the error names what else there was."""
    told = refused(CLASSIFIER, pytorch_file(tmp_path, {"state_dict": published_state(), "extra": Code()}), DataError)
    assert "refused, since it holds the object print" in told


@pytest.mark.parametrize("held", [[1, 2], {"epoch": 3}])
def test_a_pickle_without_named_tensors_is_refused(tmp_path: Path, held: object) -> None:
    """A list or a few numbers are no weights."""
    assert "holds no tensors by name" in refused(CLASSIFIER, pytorch_file(tmp_path, held), DataError)


@pytest.mark.parametrize("write", [safetensors_file, pytorch_file])
def test_a_truncated_file_is_refused(tmp_path: Path, write: Callable[[Path, State], Path]) -> None:
    """Half a download is no file."""
    path = write(tmp_path, published_state())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "not a whole" in refused(CLASSIFIER, path, BundleError)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello world\n", b"<!DOCTYPE html><html>404</html>", b'{"message": "Not Found"}', b"PK\3\4", b"\x80\2"],
)
def test_what_is_no_pytorch_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """A page or a text that was fetched in its stead is told in one line, without advice to unpickle it."""
    path = tmp_path / "brought.pth"
    path.write_bytes(content)
    told = refused(CLASSIFIER, path, BundleError)
    assert "not a whole PyTorch file" in told
    assert "weights_only" not in told


@pytest.mark.parametrize("zipped", [True, False])
def test_wrong_bytes_are_refused(tmp_path: Path, zipped: bool) -> None:
    """Whatever a few bytes are changed to, a file is read, or refused as damaged or as holding code."""
    path = tmp_path / "brought.pth"
    torch.save({"weight": torch.ones(3)}, path, _use_new_zipfile_serialization=zipped)
    whole, rng = path.read_bytes(), random.Random(0)
    refusals = 0
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(3):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content[: rng.choice((len(content), rng.randrange(len(content))))])
        try:
            read_weight_file(path)
        except (BundleError, DataError):
            refusals += 1
    assert refusals > 50


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere is not taken for a name."""
    assert "No such file" in refused(CLASSIFIER, tmp_path / "resnet18.safetensors")


@pytest.mark.parametrize("spec", [CLASSIFIER, PLAIN, PRETRAINED], ids=["classifier", "plain", "pretrained"])
def test_a_checkpoint_of_the_same_kind_gives_all_it_has(tmp_path: Path, spec: CheckpointSpec) -> None:
    """With its head the network becomes the other one; without it only the head stays random."""
    other = fresh(spec, seed=2)
    path = save(tmp_path, other, spec)
    loaded, _, after = take(spec, path, with_head=True)
    assert all(torch.equal(after[name], tensor) for name, tensor in other.state_dict().items())
    assert loaded.fresh == ()
    assert loaded.unused == ()
    loaded, before, after = take(spec, path)
    heads = ("head.", "decoder.", "bottleneck.narrow.")
    assert loaded.fresh
    assert all(name.startswith(heads) for name in loaded.fresh)
    assert all(torch.equal(after[n], (before if n.startswith(heads) else other.state_dict())[n]) for n in after)


def test_other_classes_get_a_new_output_layer(tmp_path: Path) -> None:
    """The decoder is taken over, the planes of other classes are not."""
    path = save(tmp_path, fresh(PLAIN, seed=2), PLAIN)
    spec = msgspec.structs.replace(PLAIN, class_names=("scratch", "rust"))
    loaded, before, after = take(spec, path, with_head=True)
    assert loaded.fresh == ("head.weight", "head.bias")
    assert torch.equal(before["head.weight"], after["head.weight"])
    assert not torch.equal(before["decoder.blocks.0.body.0.weight"], after["decoder.blocks.0.body.0.weight"])


@pytest.mark.parametrize(("ours", "theirs"), [(PRETRAINED, CLASSIFIER), (CLASSIFIER, PRETRAINED)])
def test_a_backbone_serves_the_other_kind(tmp_path: Path, ours: CheckpointSpec, theirs: CheckpointSpec) -> None:
    """A classifier's backbone becomes the encoder of a segmenter of the same timm name, and the other way round."""
    other = fresh(theirs, seed=2)
    loaded, _, after = take(ours, save(tmp_path, other, theirs), with_head=True)
    names = {"classifier": "backbone.", "segmenter": "encoder.backbone."}
    for name in (n for n in after if n.startswith(names[ours.kind])):
        key = names[theirs.kind] + name.removeprefix(names[ours.kind])
        assert torch.equal(after[name], other.state_dict()[key])
    assert set(loaded.fresh) == {n for n, _ in fresh(ours).named_parameters() if not n.startswith(names[ours.kind])}
    assert all("head" in name or "decoder" in name or "bottleneck" in name for name in loaded.unused)


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (PLAIN, CLASSIFIER, "a classifier with 'test_resnet' does not fit a segmenter with 'plain'"),
        (PLAIN, msgspec.structs.replace(PLAIN, width=4), "has width 4, this segmenter 2; give --width 4"),
        (PLAIN, msgspec.structs.replace(PLAIN, depth=1), "has depth 1, this segmenter 2"),
        (msgspec.structs.replace(PRETRAINED, depth=5), CLASSIFIER, "missing: encoder.backbone.features.layer4"),
        (msgspec.structs.replace(CLASSIFIER, backbone="test_efficientnet"), CLASSIFIER, "choose that backbone"),
    ],
)
def test_a_checkpoint_of_other_sizes_is_refused(
    tmp_path: Path, ours: CheckpointSpec, theirs: CheckpointSpec, told: str
) -> None:
    """Another backbone, width or depth is named with both values."""
    assert told in refused(ours, save(tmp_path, fresh(theirs), theirs))


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    """Its SHA-256 is looked at, as wherever a checkpoint is read."""
    path = save(tmp_path, fresh(PLAIN), PLAIN)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert "do not belong together" in refused(PLAIN, path, BundleError)


def test_what_was_loaded_reads_as_one_line(tmp_path: Path) -> None:
    """For the log: how many tensors of what, what was not used, what is random."""
    loaded, _, _ = take(CLASSIFIER, safetensors_file(tmp_path, published_state()))
    assert re.match(
        r"\d+ tensors of brought\.safetensors \(SHA-256 .*not used: .*fc\.weight.*random: head\.1", str(loaded)
    )
