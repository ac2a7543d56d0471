"""
Pretrained weights for a network: from timm, from a file, or from another network that edge-train made.

Every weight of the backbone must be found, in its shape: no network goes on with a backbone that is random in part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from edge.errors import ConfigurationError
from training.networks.backbone import Backbone, published_name
from training.networks.checkpoint import CheckpointSpec, Network, load
from training.networks.classifier import TileClassifier
from training.networks.encoders import PretrainedEncoder
from training.networks.resunet import PLAIN
from training.networks.weight_files import SUFFIXES, WeightFile, published, read_weight_file

TIMM = "timm"
"""As source: what timm publishes for the network's own backbone."""
_PREFIXES = ("module.", "model.", "backbone.", "encoder.")
"""What training scripts put before the names of a backbone's weights."""
_COUNTER = "num_batches_tracked"
"""Of a batch norm; not a weight, and missing in older files."""
_OF_CHECKPOINTS = (".json", ".safetensors")
_SHOWN = 3
_BACKBONE_PARTS = ("backbone.", "colours.")
_ENCODER = "encoder."


@dataclass(frozen=True)
class Loaded:
    """
    What a network was given.

    Attributes:
        source: name of the file, or of timm's model; no path.
        sha256: of the file; of timm's tensors as safetensors where timm fetched them.
        tensors: how many were taken.
        unused: names in the source that the network has no place for.
        fresh: names of the network's parameters that are still random.
        seen: pictures that a checkpoint of edge-train has seen; None of other sources.
    """

    source: str
    sha256: str
    tensors: int
    unused: tuple[str, ...]
    fresh: tuple[str, ...]
    seen: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return (
            f"{self.tensors} tensors of {self.source} (SHA-256 {self.sha256[:12]}...); "
            f"not used: {_listed(self.unused)}; random: {_listed(self.fresh)}"
        )


def load_weights(network: Network, spec: CheckpointSpec, source: str | Path, *, with_head: bool) -> Loaded:
    """
    Fill a network's backbone, and on demand what else fits.

    Args:
        network: changed in place, and not at all if anything is raised.
        spec: its description.
        source: TIMM, or the backbone's own timm name; a .safetensors, .pth or .pt file with the backbone's weights as
            timm names them; or a checkpoint of edge-train (its .json lies beside): a network of the same kind and
            sizes, or one of the other kind with the same timm backbone.
        with_head: take the head of a checkpoint of the same kind, too; its output layer only if the classes agree.

    Raises:
        ConfigurationError: the source is not there, not within reach, or does not fit; says what is missing.
        BundleError: a checkpoint or a file is damaged.
        DataError: a file holds more than tensors, or a weight that is not finite.
    """
    path = Path(source)
    if path.suffix in (".json", *SUFFIXES):
        if path.suffix in _OF_CHECKPOINTS and path.with_suffix(".json").is_file():
            return _from_checkpoint(network, spec, path, with_head)
        return _from_timm_names(network, spec, read_weight_file(path))
    name = _backbone_name(spec)
    if str(source) not in (TIMM, name, published_name(name)):
        raise ConfigurationError(
            f"--weights {source}: neither a file ({', '.join(SUFFIXES)}) nor the network's own backbone '{name}'; "
            f"for other weights of timm choose that backbone"
        )
    return _from_timm_names(network, spec, published(name))


def _from_timm_names(network: Network, spec: CheckpointSpec, file: WeightFile) -> Loaded:
    """Fill the backbone from tensors named as in timm's model."""
    _backbone_name(spec)
    features = _backbone(network).features
    wanted = features.state_dict()
    names = _matched(file.tensors, wanted)
    given = {name: file.tensors[theirs] for name, theirs in names.items()}
    _require_all(given, wanted, f"--weights {file.source}", f"backbone '{_backbone_name(spec)}'")
    features.load_state_dict(given, strict=False)
    prefix = next(name for name, module in network.named_modules() if module is features)
    taken = {f"{prefix}.{name}" for name in given}
    return _loaded(network, file, taken, unused=file.tensors.keys() - set(names.values()))


def _from_checkpoint(network: Network, spec: CheckpointSpec, path: Path, with_head: bool) -> Loaded:
    """Fill a network from another one that edge-train made."""
    other, module = load(path)
    same_kind = other.kind == spec.kind
    _require_alike(spec, other, path, with_head and same_kind)
    theirs = module.state_dict()
    tensors = theirs if same_kind else _renamed(theirs, other)
    wanted = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if not _is_head(network, name)
        or (with_head and same_kind and (not name.startswith("head.") or other.class_names == spec.class_names))
    }
    given = {name: tensors[name] for name in wanted if name in tensors}
    _require_all(given, wanted, f"--weights {path}", f"{spec.kind}")
    network.load_state_dict(given, strict=False)
    file = WeightFile(tensors, path.with_suffix(".safetensors").name, str(other.weights_sha256))
    return replace(_loaded(network, file, set(given), unused=tensors.keys() - given.keys()), seen=other.seen)


def _require_alike(spec: CheckpointSpec, other: CheckpointSpec, path: Path, with_head: bool) -> None:
    """Refuse a checkpoint whose backbone (and head, if wanted) has not the sizes of ours."""
    ours, theirs = _architecture(spec), _architecture(other)
    if ours != theirs or (ours == PLAIN and spec.kind != other.kind):
        raise ConfigurationError(
            f"--weights {path}: a {other.kind} with '{theirs}' does not fit a {spec.kind} with '{ours}'; "
            f"choose that backbone, or another checkpoint"
        )
    if spec.kind == "segmenter" == other.kind and (ours == PLAIN or with_head):
        for key in ("width", "depth"):
            if getattr(spec, key) != getattr(other, key):
                raise ConfigurationError(
                    f"--weights {path}: has {key} {getattr(other, key)}, this segmenter {getattr(spec, key)}; "
                    f"give --{key} {getattr(other, key)}"
                )


def _architecture(spec: CheckpointSpec) -> str:
    """Return a backbone's timm name without the tag of its weights, or PLAIN."""
    return str(spec.backbone if spec.kind == "classifier" else spec.encoder).split(".")[0]


def _backbone_name(spec: CheckpointSpec) -> str:
    name = str(spec.backbone if spec.kind == "classifier" else spec.encoder)
    if name == PLAIN:
        raise ConfigurationError(
            "the plain encoder has no published weights: give a segmenter that edge-train made by "
            "--weights FILE (its .json beside it), choose a timm encoder, for instance --encoder resnet18, or train "
            "from random weights: --strategy scratch"
        )
    return name


def _backbone(network: Network) -> Backbone:
    if isinstance(network, TileClassifier):
        return network.backbone
    assert isinstance(network.encoder, PretrainedEncoder)
    return network.encoder.backbone


def _renamed(tensors: Mapping[str, Tensor], other: CheckpointSpec) -> dict[str, Tensor]:
    """Call the classifier's backbone by the segmenter's names, or the other way round."""
    if other.kind == "classifier":
        return {f"{_ENCODER}{name}" if name.startswith(_BACKBONE_PARTS) else name: t for name, t in tensors.items()}
    return {name.removeprefix(_ENCODER): tensor for name, tensor in tensors.items()}


def _matched(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, str]:
    """Return the name in the file for each name of the network that the file has; prefixes are forgiven."""
    flat = {_flat(name): name for name in wanted}
    matched: dict[str, str] = {}
    for theirs in found:
        ours = next((flat[_flat(name)] for name in _spellings(theirs) if _flat(name) in flat), None)
        if ours is not None and (ours not in matched or theirs == ours):
            matched[ours] = theirs
    return matched


def _spellings(name: str) -> Iterator[str]:
    """Give a name as it is, then without each known prefix it begins with."""
    yield name
    while prefix := next((p for p in _PREFIXES if name.startswith(p)), None):
        name = name.removeprefix(prefix)
        yield name


def _flat(name: str) -> str:
    """timm calls ``stages.0`` of a whole model ``stages_0`` where only its feature maps are wanted."""
    return name.replace(".", "_")


def _require_all(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str, target: str) -> None:
    needed = [name for name in wanted if not name.endswith(_COUNTER)]
    missing = [name for name in needed if name not in given]
    other = [
        f"{name} {tuple(given[name].shape)} for {tuple(wanted[name].shape)}"
        for name in needed
        if name in given and given[name].shape != wanted[name].shape
    ]
    if missing or other:
        raise ConfigurationError(
            f"{source}: {len(needed) - len(missing) - len(other)} of the {len(needed)} weights of {target} fit; "
            f"missing: {_listed(missing)}; of another shape: {_listed(other)}; bring the file of that very model"
        )


def _is_head(network: Network, name: str) -> bool:
    heads = [f"{path}." for path, module in network.named_modules() if module in network.head_modules()]
    return name.startswith(tuple(heads))


def _loaded(network: Network, file: WeightFile, taken: set[str], unused: set[str]) -> Loaded:
    fresh = tuple(name for name, _ in network.named_parameters() if name not in taken)
    return Loaded(file.source, file.sha256, len(taken), tuple(sorted(unused)), fresh)


def _listed(names: list[str] | tuple[str, ...]) -> str:
    more = f", ... ({len(names)})" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "none") + more
