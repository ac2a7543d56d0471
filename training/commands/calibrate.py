"""``edge-train calibrate``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator
from rich.console import Console
from rich.table import Table

from engines.contract import DefectClass, Limit
from training.calibration.calibrate import calibrate
from training.calibration.record import CALIBRATION_NAME, Calibration, write_calibration
from training.calibration.target import Target
from training.commands.evaluate import LimitFlags, NetworkFlags, TermFlags
from training.commands.flags import DataFlags
from training.commands.report import CheckFlags
from training.figures.engine import MAX_TILES, TrainedNetworks
from training.figures.tables import bound_text, rate_text, show
from training.report.calibration import calibration_page, refusal_of
from training.report.page import write_page


class CalibrateFlags(CheckFlags, NetworkFlags, LimitFlags, TermFlags, DataFlags):
    """
    Choose gates, thresholds and rules for a stated target on split val, and prove it on split test.

    Exit code 8 where the labelled parts cannot support the target; then nothing is written.
    """

    max_escape_rate: float | None = Field(
        None, gt=0.0, lt=1.0, description="share of the bad parts that may pass; then overkill is made small"
    )
    max_overkill: float | None = Field(
        None, gt=0.0, lt=1.0, description="share of the sound parts that may be rejected; then escapes are made few"
    )
    max_tiles: int = Field(MAX_TILES, ge=1, le=4096, description="most tiles of one call, as it will be exported")
    out: Path | None = Field(None, description=f"file to write; else {CALIBRATION_NAME} beside the segmenter")
    report: bool = Field(True, description="write a page with pictures beside it: the same name, .html")

    @model_validator(mode="after")
    def _one_target(self) -> CalibrateFlags:
        if (self.max_escape_rate is None) == (self.max_overkill is None):
            raise ValueError("expected one of --max-escape-rate and --max-overkill")
        return self

    def target(self) -> Target:
        if self.max_escape_rate is not None:
            return Target(aim="max-escape-rate", at_most=self.max_escape_rate, confidence=self.confidence)
        assert self.max_overkill is not None
        return Target(aim="max-overkill", at_most=self.max_overkill, confidence=self.confidence)


def run_calibrate(flags: CalibrateFlags) -> int:
    """Choose, prove, write; return the exit code."""
    classifier, segmenter = flags.checkpoints()
    networks = TrainedNetworks(classifier, segmenter, flags.max_tiles)
    console, progress = Console(), Console(stderr=True)
    check = flags.found()
    with progress.status("reading") as status:
        dataset = flags.dataset()
        calibrated = calibrate(
            dataset,
            networks,
            flags.target(),
            flags.classes(networks.class_names),
            flags.bad_share,
            flags.seed,
            status.update if progress.is_terminal else lambda stage: progress.print(stage, highlight=False),
        )
    show(calibrated.test, console)
    _show_choice(calibrated.calibration, console)
    path = flags.out or segmenter.parent / CALIBRATION_NAME
    refused = bool(refusal_of(calibrated))
    if not refused:
        write_calibration(path, calibrated.calibration)
    if flags.report:
        page = path.with_name(f"{path.stem}{'-not-proven' if refused else ''}.html")
        write_page(page, calibration_page(calibrated, dataset, networks, check))
        progress.print(f"report: {page}", soft_wrap=True, highlight=False)
    calibrated.require_proven()
    progress.print(f"{path}: proven on split test; edge-engine export --calibration takes it", soft_wrap=True)
    return 0


def _show_choice(calibration: Calibration, console: Console) -> None:
    table = Table(title="chosen on split val: value (low to high, where a recipe may move it)")
    for column in ("class", "gate", "threshold", "min area [px]", "min peak", "max count"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for of_class in calibration.classes:
        kept = " (not calibrated)" if of_class.name in calibration.not_calibrated else ""
        table.add_row(of_class.name + kept, *(_limit_text(limit) for limit in _limits(of_class)))
    console.print(table)
    for note in calibration.notes():
        console.print(note, highlight=False, soft_wrap=True)
    target = calibration.target
    console.print(
        f"split val, on which this was chosen: escapes {rate_text(calibration.val.escapes)}, "
        f"{bound_text(calibration.val.escapes)}; overkill {rate_text(calibration.val.overkill)}, "
        f"{bound_text(calibration.val.overkill)}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"asked: --{target.aim} {target.at_most:g} at {target.confidence:g} confidence", highlight=False)


def _limits(of_class: DefectClass) -> tuple[Limit, ...]:
    rule = of_class.rule
    return of_class.gate, of_class.threshold, rule.min_area_px, rule.min_peak, rule.max_count


def _limit_text(limit: Limit) -> str:
    return f"{limit.default:g} ({limit.low:g} to {limit.high:g})"
