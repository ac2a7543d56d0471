"""``edge-train evaluate`` and ``edge-train score``."""

from __future__ import annotations

from pathlib import Path

import msgspec
from pydantic import Field
from rich.console import Console

from edge.errors import ConfigurationError
from engines.contract import DefectClass, PixelFormat
from engines.limits import GATE, MAX_COUNT, MIN_AREA_PX, MIN_PEAK, THRESHOLD, defect_classes
from training.calibration.calibrate import made_with
from training.calibration.record import CALIBRATION_NAME, read_calibration, require_fitting
from training.commands.flags import DataFlags, Flags
from training.commands.report import CheckFlags
from training.data.splits import Split
from training.figures.engine import MAX_TILES, TrainedNetworks, checkpoints_of
from training.figures.evaluate import evaluate
from training.figures.intervals import CONFIDENCE
from training.figures.received import score
from training.figures.report import BAD_SHARE, Report, Terms
from training.figures.tables import show
from training.figures.unseen import require_unseen
from training.report.evaluation import evaluation_page
from training.report.page import write_page


class NetworkFlags(Flags):
    """Which two checkpoints."""

    run: Path | None = Field(None, description="folder with both checkpoints, as edge-train leaves them")
    classifier: Path | None = Field(None, description="the classifier's .safetensors file, if not of --run")
    segmenter: Path | None = Field(None, description="the segmenter's .safetensors file, if not of --run")

    def checkpoints(self) -> tuple[Path, Path]:
        return checkpoints_of(self.run, self.classifier, self.segmenter)


class LimitFlags(Flags):
    """Gates, thresholds and rules: a value for all classes (0.4) and exceptions (pits=0.2), as edge-engine export."""

    gate: list[str] = Field([], description=f"score at or above which a tile is segmented; else {GATE.default:g}")
    threshold: list[str] = Field([], description=f"probability at which a pixel is marked; else {THRESHOLD.default:g}")
    min_area_px: list[str] = Field([], description=f"smaller regions do not count; else {MIN_AREA_PX.default:g}")
    min_peak: list[str] = Field([], description=f"less certain regions do not count; else {MIN_PEAK.default:g}")
    max_count: list[str] = Field([], description=f"so many regions are still a PASS; else {MAX_COUNT.default:g}")

    def given(self) -> dict[str, list[str]]:
        """Return what was said, by flag."""
        return {name: texts for name in LimitFlags.model_fields if (texts := getattr(self, name))}

    def classes(self, names: tuple[str, ...]) -> tuple[DefectClass, ...]:
        return defect_classes(names, **self.given())


class TermFlags(Flags):
    """What the figures are stated for."""

    confidence: float = Field(CONFIDENCE, gt=0.5, lt=1.0, description="of every interval and bound")
    bad_share: float = Field(BAD_SHARE, gt=0.0, lt=1.0, description="share of bad parts coming in, for what is shipped")

    def terms(self) -> Terms:
        return Terms(self.confidence, self.bad_share)


class _ReportFlags(TermFlags, DataFlags):
    split: Split = Field("test", description="which split to judge; choose nothing by the test split")
    as_json: bool = Field(False, alias="json", description="print JSON instead of tables")


class EvaluateFlags(CheckFlags, NetworkFlags, LimitFlags, _ReportFlags):
    """Judge two checkpoints by what the line would do with them: escapes, overkill, masks, ranking, tiles."""

    calibration: Path | None = Field(
        None, description=f"take gates, thresholds and rules from this {CALIBRATION_NAME}, not from flags"
    )
    max_tiles: int = Field(MAX_TILES, ge=1, le=4096, description="most tiles of one call, as it will be exported")
    report: Path | None = Field(None, description="write a page with pictures: an .html file")
    whole: bool = Field(False, description="segment whole pictures, too, for the overlap over all thresholds")


class ScoreFlags(_ReportFlags):
    """Judge what a subscriber of the daemon received: verdicts and masks of replayed images."""

    verdicts: Path = Field(description="a JSON object a line: the verdicts")
    masks: Path = Field(description="folder with <image stem>.png, pixel value = class id")
    format: PixelFormat = Field("mono8", description="how the line read the images")


def run_evaluate(flags: EvaluateFlags) -> int:
    """Judge two checkpoints; return the exit code."""
    networks = TrainedNetworks(*flags.checkpoints(), flags.max_tiles)
    check = flags.found()
    dataset = flags.dataset()
    if flags.split == "test":
        require_unseen(dataset, networks)
    report = evaluate(dataset, flags.split, networks, _classes(flags, networks), flags.terms(), whole=flags.whole)
    if flags.report is not None:
        write_page(flags.report, evaluation_page(report, dataset, networks, made_with(flags.seed), check))
    return _report(flags, report)


def run_score(flags: ScoreFlags) -> int:
    """Judge what a subscriber received; return the exit code."""
    return _report(flags, score(flags.dataset(), flags.split, flags.verdicts, flags.masks, flags.format, flags.terms()))


def _classes(flags: EvaluateFlags, networks: TrainedNetworks) -> tuple[DefectClass, ...]:
    if flags.calibration is None:
        return flags.classes(networks.class_names)
    if flags.given():
        name = next(iter(flags.given())).replace("_", "-")
        raise ConfigurationError(f"--{name} beside --calibration: the values are calibrated together; leave one out")
    calibration = read_calibration(flags.calibration)
    require_fitting(calibration, networks.classifier_spec, networks.segmenter_spec, flags.max_tiles)
    return calibration.classes


def _report(flags: _ReportFlags, report: Report) -> int:
    if flags.as_json:
        Console(soft_wrap=True).out(msgspec.json.format(msgspec.json.encode(report)).decode(), highlight=False)
    else:
        show(report, Console())
    return 0
