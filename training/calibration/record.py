"""calibration.json: which values were chosen, for which target, what they do, and on what this stands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge.errors import BundleError, ConfigurationError, DataError
from engines.contract import DefectClass, Name, Record, Sha256
from training.calibration.corners import End
from training.calibration.search import TriedSetting
from training.calibration.target import Target
from training.figures.parts import PartFigures
from training.networks.checkpoint import CheckpointSpec, replace_together

CALIBRATION_NAME = "calibration.json"


_NOTES: dict[End, str] = {
    "high": "Split test does not bear the upper bounds: no value may be made less sensitive than it is.",
    "low": "Split test does not bear the lower bounds: no value may be made more sensitive than it is.",
    "threshold": "A lower threshold of one class takes pixels from another, and split test does not bear that: no "
    "threshold may be lowered.",
}


class Calibration(Record, frozen=True):
    """What ``edge-train calibrate`` writes and ``edge-engine export`` takes; field by field in docs/calibration.md."""

    schema: Literal[1]
    dataset: str
    dataset_sha256: Sha256
    classifier_sha256: Sha256
    segmenter_sha256: Sha256
    max_tiles: Annotated[int, Meta(ge=1, le=4096)]
    """As the bundle must be exported: into more tiles under the gate no defect is followed."""
    target: Target
    classes: tuple[DefectClass, ...]
    """The values, each within bounds that split val supports and split test bears."""
    not_calibrated: tuple[Name, ...]
    """Classes of which split val has no bad part: they keep the values they came with."""
    val: PartFigures
    """On the parts the values were chosen on: flattering."""
    test: PartFigures
    """On the parts that prove them."""
    corner: PartFigures
    """On the same parts, at the worst of the settings within the bounds that split val supports."""
    low_corner: PartFigures | None
    """The same at the lower bounds, where the target is about overkill; else they are the hard ones."""
    taken_back: tuple[End, ...]
    """Bounds that these figures do not bear: all values' bounds at this end are the values themselves."""
    tried: tuple[TriedSetting, ...]
    """The trade-off on split val: one gate and threshold for all classes."""
    made_with: dict[str, str]
    """Versions, seed and the exact command."""

    def notes(self) -> list[str]:
        """Return which bounds were taken back, a sentence each."""
        return [_NOTES[end] for end in self.taken_back]


def write_calibration(path: Path, calibration: Calibration) -> None:
    """
    Write the record, whole or not at all.

    Raises:
        DataError: the folder cannot be written; an older record is as it was.
    """
    try:
        replace_together({path: msgspec.json.format(msgspec.json.encode(calibration, order="deterministic"), indent=2)})
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; nothing was written") from error


def read_calibration(path: Path) -> Calibration:
    """
    Read the record.

    Raises:
        ConfigurationError: there is none, or it is none; names the key.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Calibration)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror}; edge-train calibrate writes it; to export without a proof name --classifier "
            "FILE and --segmenter FILE instead of --run"
        ) from error
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{path}: not a calibration: {error}; run edge-train calibrate again") from error


def require_fitting(
    calibration: Calibration, classifier: CheckpointSpec, segmenter: CheckpointSpec, max_tiles: int
) -> None:
    """
    Refuse a calibration of other networks: its gates mean nothing to these.

    Raises:
        BundleError: a checkpoint is another one than was calibrated, or the classes are others.
        ConfigurationError: defects would be followed into more or fewer tiles.
    """
    for spec, sha256 in ((classifier, calibration.classifier_sha256), (segmenter, calibration.segmenter_sha256)):
        if spec.weights_sha256 != sha256:
            raise BundleError(
                f"the calibration is of a {spec.kind} with SHA-256 {sha256[:12]}..., this one has "
                f"{str(spec.weights_sha256)[:12]}...: run edge-train calibrate with these checkpoints"
            )
    names = tuple(of_class.name for of_class in calibration.classes)
    if names != segmenter.class_names:
        raise BundleError(
            f"the calibration has the classes {', '.join(names)}, the networks {', '.join(segmenter.class_names)}: "
            "run edge-train calibrate again"
        )
    if calibration.max_tiles != max_tiles:
        raise ConfigurationError(
            f"--max-tiles = {max_tiles}: the calibration was made with {calibration.max_tiles}; "
            "use that, or calibrate again"
        )
