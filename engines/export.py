"""``edge-engine export``: two checkpoints and some pictures become a release bundle, whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp

from edge.bundle import read_bundle
from edge.errors import BundleError, ConfigurationError
from engines.contract import (
    CHANNELS,
    CLASSIFIER_NAME,
    MANIFEST_NAME,
    OPSET,
    SEGMENTER_NAME,
    DefectClass,
    Manifest,
    Provenance,
    ReferenceFrame,
    Scale,
    json_from_manifest,
)
from engines.graphs import ClassifierGraph, SegmenterGraph, onnx_from_classifier, onnx_from_segmenter
from engines.limits import defect_classes
from engines.lint import Signature, classifier_signature, lint, segmenter_signature
from engines.options import Export
from engines.reference import Oracle, Picture, chosen, npz_from_answers, pictures_in, png_from_image, read_planar
from training.calibration.record import CALIBRATION_NAME, read_calibration, require_fitting
from training.figures.engine import checkpoints_of
from training.networks.checkpoint import CheckpointSpec, load
from training.networks.classifier import TileClassifier

_LIMIT_FLAGS = ("gate", "threshold", "min_area_px", "min_peak", "max_count")
_SHARED_KEYS = ("format", "tile", "pad_value", "class_names")


@dataclass(frozen=True)
class _Trained:
    """Both networks, wrapped for export, and what they agree on."""

    spec: CheckpointSpec
    classifier_spec: CheckpointSpec
    classifier: ClassifierGraph
    segmenter: SegmenterGraph
    provenance: Provenance


def export_bundle(command: Export) -> Manifest:
    """
    Write the bundle; the folder appears complete or not at all.

    Raises:
        ConfigurationError: a value is out of bounds or names no class, or the folder exists or cannot be written.
        BundleError: a checkpoint is not usable, the two do not fit each other, or a network fails the lint.
        DataError: there are no usable reference pictures.
    """
    trained = _trained(command)
    classes = _classes(command, trained)
    with _new_folder(command.out) as folder:
        files = _references(trained, classes, command) | _networks(trained, command.max_tiles)
        manifest = _manifest(command, trained, classes, files)
        for path, data in (files | {MANIFEST_NAME: json_from_manifest(manifest)}).items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(data)
        read_bundle(folder)
    return manifest


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Give a hidden folder beside *target*, which takes its name if nothing is raised and goes away if something is."""
    target = target.absolute()
    if target.exists():
        raise ConfigurationError(f"--out = {target}: exists already; choose another folder or remove it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        half_written = Path(mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise ConfigurationError(f"--out = {target}: {error.strerror}; choose a folder that can be written") from error
    try:
        half_written.chmod(0o755)
        yield half_written
        half_written.rename(target)
    except OSError as error:
        raise ConfigurationError(f"--out = {target}: {error.strerror}; nothing was written") from error
    finally:
        shutil.rmtree(half_written, ignore_errors=True)


def _trained(command: Export) -> _Trained:
    """Load both checkpoints and make sure that they belong together."""
    classifier_path, segmenter_path = checkpoints_of(command.run, command.classifier, command.segmenter)
    first, classifier = load(classifier_path)
    second, segmenter = load(segmenter_path)
    for path, spec, kind in ((classifier_path, first, "classifier"), (segmenter_path, second, "segmenter")):
        if spec.kind != kind:
            raise BundleError(f"--{kind} = {path}: holds a {spec.kind}; give the {kind}'s checkpoint")
    assert isinstance(classifier, TileClassifier)
    for key in _SHARED_KEYS:
        one, other = getattr(first, key), getattr(second, key)
        if one != other:
            raise BundleError(
                f"{classifier_path} has {key} {one}, {segmenter_path} has {other}: "
                "both networks see the same tiles; train one of them again"
            )
    return _Trained(
        second, first, ClassifierGraph(classifier), SegmenterGraph(segmenter, second.tile), _provenance(first, second)
    )


def _classes(command: Export, trained: _Trained) -> tuple[DefectClass, ...]:
    """Return gates, thresholds and rules: of the calibration, else as the flags say."""
    given: dict[str, list[str]] = {name: texts for name in _LIMIT_FLAGS if (texts := getattr(command, name))}
    path = _calibration_path(command)
    if path is None:
        return defect_classes(trained.spec.class_names, **given)
    if given:
        flag = next(iter(given)).replace("_", "-")
        raise ConfigurationError(
            f"--{flag} beside {path}: the values of a calibration are proven together; calibrate with --{flag}, or "
            "export with --classifier and --segmenter alone"
        )
    calibration = read_calibration(path)
    require_fitting(calibration, trained.classifier_spec, trained.spec, command.max_tiles)
    return calibration.classes


def _calibration_path(command: Export) -> Path | None:
    if command.calibration is None and command.run is not None:
        return command.run / CALIBRATION_NAME
    return command.calibration


def _provenance(classifier: CheckpointSpec, segmenter: CheckpointSpec) -> Provenance:
    # Without the command lines: paths of the training machine have no place in a release.
    made_with = {
        f"{spec.kind} {key}": value
        for spec in (classifier, segmenter)
        for key, value in spec.made_with.items()
        if key != "command"
    }
    made_with |= {f"export {name}": version(name) for name in ("edge-inspect", "torch", "onnx", "onnxscript")}
    return Provenance(
        dataset=" and ".join(dict.fromkeys([classifier.dataset, segmenter.dataset])),
        dataset_sha256=segmenter.dataset_sha256,
        classifier_checkpoint_sha256=str(classifier.weights_sha256),
        segmenter_checkpoint_sha256=str(segmenter.weights_sha256),
        made_with=made_with,
    )


def _networks(trained: _Trained, max_tiles: int) -> dict[str, bytes]:
    """Export and lint both networks."""
    tile, channels, count = trained.spec.tile, CHANNELS[trained.spec.format], len(trained.spec.class_names)
    networks = {
        CLASSIFIER_NAME: onnx_from_classifier(trained.classifier, tile, channels, max_tiles),
        SEGMENTER_NAME: onnx_from_segmenter(trained.segmenter, count, channels, max_tiles),
    }
    signatures: Mapping[str, Signature] = {
        CLASSIFIER_NAME: classifier_signature(tile, channels, count),
        SEGMENTER_NAME: segmenter_signature(tile, channels, count),
    }
    for name, network in networks.items():
        findings = lint(network, signatures[name])
        if findings:
            raise BundleError(f"{name}: {findings[0]} ({len(findings)} findings); change the model")
    return networks


def _references(trained: _Trained, classes: Sequence[DefectClass], command: Export) -> dict[str, bytes]:
    """Return picture and answers of each chosen frame, by path in the bundle."""
    pixel_format = trained.spec.format
    gates = [c.gate.default for c in classes]
    oracle = Oracle(trained.classifier, trained.segmenter, trained.spec.pad_value, gates)
    pictures: list[Picture] = chosen(oracle, pictures_in(command.reference, pixel_format), command.frames, pixel_format)
    files: dict[str, bytes] = {}
    for number, picture in enumerate(pictures):
        image = read_planar(picture.path, pixel_format)
        files[f"reference/{number:02d}.png"] = png_from_image(image)
        files[f"reference/{number:02d}.npz"] = npz_from_answers(oracle.scores(image), oracle.planes(image))
    return files


def _manifest(
    command: Export, trained: _Trained, classes: tuple[DefectClass, ...], files: Mapping[str, bytes]
) -> Manifest:
    spec, mm_per_px = trained.spec, command.mm_per_px
    names = [Path(path).stem for path in files if path.endswith(".npz")]
    return Manifest(
        schema=1,
        name=command.name,
        version=command.label,
        release=command.release,
        format=spec.format,
        tile=spec.tile,
        pad_value=spec.pad_value,
        classes=classes,
        max_tiles=command.max_tiles,
        opset=OPSET,
        precision="fp32",
        provenance=trained.provenance,
        reference=tuple(
            ReferenceFrame(name=name, image=f"reference/{name}.png", answers=f"reference/{name}.npz") for name in names
        ),
        files={path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())},
        scale=None if mm_per_px is None else Scale(mm_per_px=mm_per_px, tolerance=command.scale_tolerance),
    )
