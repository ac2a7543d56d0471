"""What ``edge-engine`` can be asked to do. No torch here: verify and inspect run on the line, too."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field
from pydantic_settings import CliPositionalArg, CliSubCommand

from edge.inspector.backend import BackendName, BackendSettings, Precision
from engines.limits import GATE, MAX_COUNT, MIN_AREA_PX, MIN_PEAK, THRESHOLD

_CACHE = "folder of the engine cache, as the station's engine_cache; none = ~/.local/state/edge-inspect/engines"


class Export(BaseModel, frozen=True):
    """
    Export two checkpoints as a release bundle: --run FOLDER, or --classifier FILE and --segmenter FILE.

    The bundle holds both networks as ONNX, the manifest, and reference frames with PyTorch's answers, against which
    every machine is checked before it inspects. Limits take one value for all classes, and exceptions by class:
    --gate 0.4 --gate pits=0.2
    """

    run: Path | None = Field(
        None, description="folder with both checkpoints and calibration.json: a short form of these"
    )
    classifier: Path | None = Field(None, description="the classifier's .safetensors, as edge-train writes it")
    segmenter: Path | None = Field(None, description="the segmenter's .safetensors")
    calibration: Path | None = Field(
        None, description="take gates, thresholds and rules with their bounds from this file of edge-train calibrate"
    )
    reference: Path = Field(description="a data set (its val and test splits are used) or a folder of pictures")
    out: Path = Field(description="folder to write; must not exist")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="the bundle's name")
    label: str = Field("1", description="the bundle's version, for people")
    release: int = Field(1, ge=1, description="release number; a station does not go back to a smaller one")
    gate: list[str] = Field(
        [], description=f"classifier probability above which a tile is segmented; else {GATE.default:g}"
    )
    threshold: list[str] = Field(
        [], description=f"segmenter probability a pixel of the class must reach; else {THRESHOLD.default:g}"
    )
    min_area_px: list[str] = Field([], description=f"smaller regions do not count [px]; else {MIN_AREA_PX.default:g}")
    min_peak: list[str] = Field(
        [], description=f"regions of lower highest confidence do not count; else {MIN_PEAK.default:g}"
    )
    max_count: list[str] = Field(
        [], description=f"so many regions that count are still a PASS; else {MAX_COUNT.default:g}"
    )
    max_tiles: int = Field(16, ge=1, le=4096, description="most tiles of one call")
    frames: int = Field(12, ge=1, le=64, description="reference frames to choose")
    mm_per_px: float | None = Field(None, gt=0, description="scale of the training pictures; none: rules in px only")
    scale_tolerance: float = Field(0.1, gt=0, lt=1, description="relative deviation of the scale a station may have")


class _OnMachine(BaseModel, frozen=True):
    """What runs a bundle's networks on this machine."""

    bundle: CliPositionalArg[Path] = Field(description="the bundle's folder")
    backend: BackendName = Field("openvino", description="what runs the networks")
    precision: Precision = Field("fp32", description="arithmetic inside the networks")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where onnxruntime computes")
    gpu: int = Field(0, ge=0, le=63, description="number of the GPU")
    threads: int = Field(2, ge=1, le=256, description="CPU threads of one call")
    cache: Path | None = Field(None, description=_CACHE)

    @property
    def settings(self) -> BackendSettings:
        return BackendSettings(
            name=self.backend, precision=self.precision, threads=self.threads, device=self.device, gpu=self.gpu
        )


class Verify(_OnMachine, frozen=True):
    """
    Check that this machine gives PyTorch's answers on a bundle's reference frames; exit code 3 if not.

    With engines that edge-engine build has made, where the backend or the precision needs any.
    """


class Inspect(BaseModel, frozen=True):
    """Print what a bundle holds: classes and limits, networks and operators, provenance, hashes."""

    bundle: CliPositionalArg[Path] = Field(description="the bundle's folder")


class Keygen(BaseModel, frozen=True):
    """Make a pair of Ed25519 keys: NAME.key signs bundles and stays off the line, NAME.pub is what line PCs trust."""

    name: CliPositionalArg[Path] = Field(description="path of both files, without the ending; neither may exist")


class Sign(BaseModel, frozen=True):
    """Sign a bundle whose files are as its manifest says: writes manifest.sig, 64 bytes, beside the manifest."""

    bundle: CliPositionalArg[Path] = Field(description="the bundle's folder")
    key: Path = Field(description="private key, NAME.key of keygen; only its owner may be able to read it")


class Build(_OnMachine, frozen=True):
    """
    Make the engines of a bundle for this machine, prove that they give PyTorch's verdicts, and keep them in the cache.

    A precision lower than fp32 needs pictures as the line takes them: a folder, a data set, or a station's archive. A
    third of them calibrates; on the others it is measured how far the precision strays, and by so much every station's
    limits are tightened. Exit code 3 when the verdicts are not PyTorch's.
    """

    calibration: Path | None = Field(None, description="pictures for a lower precision: folder, data set or archive")
    size: list[str] = Field(
        [], description="HEIGHTxWIDTH of these pictures [px], as the station's cameras; none = the reference frames'"
    )
    keep: list[str] = Field(
        [], description="int8: leave this layer alone, as the report names it: segmenter:LAYER; once for each layer"
    )


class List(BaseModel, frozen=True):
    """Print the engines that were made or proven on this machine, and which of them it can use."""

    cache: Path | None = Field(None, description=_CACHE)


class Prune(BaseModel, frozen=True):
    """Delete engines that were altered; with --bundles those of other bundles, with --unusable all of no use here."""

    bundles: list[Path] = Field([], description="folders of the bundles whose engines are to stay; none = all")
    unusable: bool = Field(
        False, description="also those for another device, driver or version than this machine has at present"
    )
    dry_run: bool = Field(False, description="say what would be deleted, delete nothing")
    cache: Path | None = Field(None, description=_CACHE)


class Command(BaseModel, frozen=True):
    """Make release bundles from checkpoints, and check them on a machine."""

    export: CliSubCommand[Export]
    verify: CliSubCommand[Verify]
    inspect: CliSubCommand[Inspect]
    keygen: CliSubCommand[Keygen]
    sign: CliSubCommand[Sign]
    build: CliSubCommand[Build]
    list: CliSubCommand[List]
    prune: CliSubCommand[Prune]
