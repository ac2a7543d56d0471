"""The page of a calibration: what was asked, what it costs, and whether split test proves it."""

from __future__ import annotations

from edge.errors import TargetUnsupported
from training.calibration.calibrate import Calibrated
from training.calibration.record import Calibration
from training.data.datasets import Dataset
from training.data.findings import Check
from training.figures.engine import TrainedNetworks
from training.figures.parts import PartFigures
from training.report import charts
from training.report.evaluation import (
    decisions_section,
    details,
    figures_of_decisions,
    limits_section,
    masks_section,
    pictures,
    rates_table,
    warnings_of,
)
from training.report.made import data_section, data_warnings, made_section
from training.report.page import Chart, Figure, Page, Section
from training.report.pictures import LEGEND


def calibration_page(calibrated: Calibrated, dataset: Dataset, networks: TrainedNetworks, check: Check | None) -> Page:
    """
    Show a calibration, proven or not.

    Args:
        calibrated: of these networks on this data set.
        dataset: whose pictures of split test are shown.
        networks: run again over the pictures that are shown.
        check: what the data check found, None if nobody looked.

    Raises:
        DataError: a picture is unusable.
    """
    calibration, test = calibrated.calibration, calibrated.test
    target, refusal = calibration.target, refusal_of(calibrated)
    asked = Figure("asked", f"--{target.aim} {target.at_most:g}", f"at {target.confidence:.0%} confidence, by group")
    verdict = Figure("proven on split test", "no" if refusal else "yes", "" if refusal else "values may be exported")
    uncalibrated = [
        f"Split val has no bad part of {name}: its values are not calibrated." for name in calibration.not_calibrated
    ]
    return Page(
        title=f"{calibration.dataset}: calibration",
        subtitle="Values were chosen on split val and judged once on split test, which they never saw. Pictures and "
        "figures are of split test. "
        f"{LEGEND}.",
        headline=[asked, verdict, *figures_of_decisions(test)],
        sections=[
            *pictures(test, dataset, networks),
            _choice(calibration),
            limits_section(calibration.classes, calibration.not_calibrated),
            decisions_section(test),
            masks_section(test),
            data_section(dataset, check),
            made_section(calibration.made_with, details(networks)),
        ],
        warnings=[
            *([f"Not proven, and no calibration was written: {refusal}"] if refusal else []),
            *data_warnings(dataset, check, networks.spec.dataset_sha256),
            *uncalibrated,
            *calibration.notes(),
            *warnings_of(test),
        ],
    )


def refusal_of(calibrated: Calibrated) -> str:
    """Return why the target is not proven; nothing if it is."""
    try:
        calibrated.require_proven()
    except TargetUnsupported as error:
        return str(error)
    return ""


def _choice(calibration: Calibration) -> Section:
    tried = [(100.0 * setting.overkill_rate, 100.0 * setting.escape_rate) for setting in calibration.tried]
    chosen = {
        f"{what} split {split}": point
        for what, split, decisions in (("chosen on", "val", calibration.val), ("judged on", "test", calibration.test))
        if (point := _rates(decisions)) is not None
    }
    return Section(
        "What was chosen, and what it costs",
        charts=(Chart(charts.trade_off(tried, chosen), "settings tried on split val, by picture"),),
        tables=(
            rates_table({"val": calibration.val, "test": calibration.test, "test, upper bounds": calibration.corner}),
        ),
        notes=(
            "The dots have one gate and one threshold for all classes; what was chosen may have its own for each "
            "class, and rules. Split val flatters: the values were chosen on it.",
        ),
    )


def _rates(decisions: PartFigures) -> charts.Point | None:
    escapes, overkill = decisions.escapes.value, decisions.overkill.value
    return None if escapes is None or overkill is None else (100.0 * overkill, 100.0 * escapes)
