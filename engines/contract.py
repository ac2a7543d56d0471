"""
The manifest: what a release bundle says about itself, and every number that training and the line share.

Lowest layer: imports nothing of this project. A bundle is a folder:

    manifest.json       this file's Manifest; SHA-256 of every other file
    manifest.sig        Ed25519 signature of manifest.json, 64 raw bytes; not in a bundle that was never signed
    classifier.onnx     tiles uint8 [N, h, w, C]                          -> scores float32 [N, K]
    segmenter.onnx      tiles uint8 [N, h, w, C], thresholds float32 [K]  -> labels uint8 [N, ch, cw],
                                                                             confidence uint8 [N, ch, cw],
                                                                             health float32 [N]
    reference/          frames with PyTorch's answers (see ReferenceFrame)

h, w = core + 2 halo; ch, cw = core; K = number of defect classes; label k = class k-1 of ``classes``, 0 = sound.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SCHEMA = 1
OPSET = 19
"""Of the ONNX files. ONNX Runtime's CUDA provider knows some reductions for older opsets only; TensorRT 10.3: 9-20."""
MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.sig"
CLASSIFIER_NAME = "classifier.onnx"
SEGMENTER_NAME = "segmenter.onnx"

PLANES_FROM = 0.04
"""Smaller probabilities stand as 0 in reference answers: no threshold is set as low, and noise does not compress."""

# Names of the networks' inputs and outputs, as they stand in the ONNX files.
TILES = "tiles"
THRESHOLDS = "thresholds"
SCORES = "scores"
LABELS = "labels"
CONFIDENCE = "confidence"
HEALTH = "health"

PixelFormat = Literal["mono8", "bgr8"]
CHANNELS: dict[PixelFormat, int] = {"mono8": 1, "bgr8": 3}

Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the manifest's parts: immutable, and a mistyped key is an error."""


class Limit(Record, frozen=True):
    """A default that a recipe may move within its bounds (both included)."""

    default: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.default <= self.high:
            raise ValueError(f"default {self.default} is not within its bounds {self.low} to {self.high}")

    def require_within(self, key: str, least: float, most: float = math.inf) -> None:
        """
        Refuse bounds that no recipe could mean.

        Raises:
            ValueError: names the key and what was expected.
        """
        if not least <= self.low <= self.high <= most:
            expected = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
            raise ValueError(f"{key}: bounds {self.low:g} to {self.high:g}, expected {expected}")


class TileShape(Record, frozen=True):
    """Cores partition the frame; each tile adds *halo* pixels of context on every side. All in px."""

    core_height: Annotated[int, Meta(ge=16, le=4096)]
    core_width: Annotated[int, Meta(ge=16, le=4096)]
    halo: Annotated[int, Meta(ge=0, le=256)]

    @property
    def height(self) -> int:
        return self.core_height + 2 * self.halo

    @property
    def width(self) -> int:
        return self.core_width + 2 * self.halo


class Rule(Record, frozen=True):
    """When connected regions of one class make a part a REJECT: more than *max_count* of them count."""

    min_area_px: Limit
    """A region below this area does not count [px]."""
    min_peak: Limit
    """A region whose highest confidence is below this does not count (0..1)."""
    max_count: Limit
    """So many regions that count are still a PASS (whole numbers)."""

    def __post_init__(self) -> None:
        self.min_area_px.require_within("min_area_px", 1.0)
        self.min_peak.require_within("min_peak", 0.0, 1.0)
        self.max_count.require_within("max_count", 0.0)
        for value in (self.max_count.default, self.max_count.low, self.max_count.high):
            if value != math.floor(value):
                raise ValueError(f"max_count: {value:g}, expected whole numbers")


class DefectClass(Record, frozen=True):
    """One defect class: its gate (classifier), its threshold (segmenter) and its rule."""

    name: Name
    gate: Limit
    threshold: Limit
    rule: Rule

    def __post_init__(self) -> None:
        self.gate.require_within("gate", 0.0, 1.0)
        self.threshold.require_within("threshold", PLANES_FROM, 1.0)
        if self.threshold.low <= PLANES_FROM:
            raise ValueError(f"threshold: low {self.threshold.low:g}, expected more than {PLANES_FROM:g}")


class Scale(Record, frozen=True):
    """The scale the networks were trained at; a station outside the tolerance must not use the bundle."""

    mm_per_px: Annotated[float, Meta(gt=0.0)]
    tolerance: Annotated[float, Meta(gt=0.0, lt=1.0)]


class MaxGuard(Record, frozen=True):
    """The widest guard band of edge.inspector.guard that an engine may need; one that needs more is refused."""

    score: Probability = 0.25
    area_share: Probability = 0.5
    peak: Probability = 0.25


class Provenance(Record, frozen=True):
    """Where the weights come from: enough to find the run again."""

    dataset: str
    dataset_sha256: Sha256
    classifier_checkpoint_sha256: Sha256
    segmenter_checkpoint_sha256: Sha256
    made_with: dict[str, str]


class ReferenceFrame(Record, frozen=True):
    """
    A frame with PyTorch's answers. Files, relative to the bundle:

    image:   PNG, mono8 or bgr8 as the manifest's format
    answers: .npz with ``scores`` float32 [T, K] for all T tiles of the frame's grid, and
             ``planes`` float16 [K, height, width] = class probabilities over the whole frame, 0 below PLANES_FROM
    """

    name: Name
    image: str
    answers: str


class Manifest(Record, frozen=True):
    """The whole manifest. Field by field in docs/training.md."""

    schema: Literal[1]
    name: Name
    version: str
    release: Annotated[int, Meta(ge=1)]
    format: PixelFormat
    tile: TileShape
    pad_value: Annotated[int, Meta(ge=0, le=255)]
    classes: Annotated[tuple[DefectClass, ...], Meta(min_length=1, max_length=255)]
    max_tiles: Annotated[int, Meta(ge=1, le=4096)]
    """Largest number of tiles one call of a network takes."""
    opset: int
    precision: Literal["fp32", "fp16"]
    provenance: Provenance
    reference: tuple[ReferenceFrame, ...]
    files: dict[str, Sha256]
    """SHA-256 of every file of the bundle but the manifest, by path relative to it."""
    scale: Scale | None = None
    max_guard: MaxGuard = MaxGuard()

    def __post_init__(self) -> None:
        names = [c.name for c in self.classes]
        if len(set(names)) != len(names):
            raise ValueError(f"class names repeat: {', '.join(names)}")

    @property
    def channels(self) -> int:
        return CHANNELS[self.format]

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.classes)


def manifest_from_json(text: bytes) -> Manifest:
    """
    Decode and check a manifest.

    Raises:
        msgspec.ValidationError: a key is missing, unknown, of the wrong type or out of bounds; names it as ``$.path``.
    """
    return msgspec.json.decode(text, type=Manifest)


def json_from_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as indented JSON with a stable order, so that equal manifests are equal bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=2) + b"\n"
