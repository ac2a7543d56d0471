"""A report as tables, every rate with its denominators: pictures, and the groups that the bounds stand on."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from training.figures.intervals import FEWEST_GROUPS, PPM, Estimate, Interval, Rate
from training.figures.parts import PartFigures, Shipped
from training.figures.ranking import RankingFigures
from training.figures.regions import RegionFigures
from training.figures.report import Report


def show(report: Report, console: Console) -> None:
    """Print a report."""
    console.print(_heading(report), highlight=False)
    for table in (_decisions(report), _classes(report), _sizes(report.regions)):
        console.print(table)
    for line in [*_lines_of_decisions(report.decisions), *_lines_of_ranking(report.ranking), *_lines_of_tiles(report)]:
        console.print(line, highlight=False, soft_wrap=True)


def rate_text(rate: Rate) -> str:
    """Return ``2.00 % (2 of 100)``; ``-`` of none."""
    return "-" if rate.value is None else f"{percent(rate.value)} ({rate.hits} of {rate.images})"


def bound_text(rate: Rate) -> str:
    """Return ``at most 9.50 % (0 of 30 groups)``."""
    if rate.at_most is None:
        return "-"
    return f"at most {percent(rate.at_most)} ({rate.groups_hit} of {rate.groups} groups)"


def estimate_text(estimate: Estimate) -> str:
    """Return ``0.81 (0.74 to 0.88)``; the interval is ``too few groups`` where there is none."""
    if estimate.value is None:
        return "-"
    return f"{estimate.value:.3f} ({_interval(estimate)})"


def percent(value: float) -> str:
    """Return ``0.25 %``."""
    return f"{100.0 * value:.2f} %"


def _heading(report: Report) -> str:
    return (
        f"{report.dataset}, split {report.split}: {report.made_by}; {report.images} pictures of {report.groups} "
        f"independent groups, {report.unknown} without an answer; bounds and intervals by group at "
        f"{percent(report.decisions.escapes.confidence)}"
    )


def _decisions(report: Report) -> Table:
    table = Table(title="decisions, as the gate at the line sees them")
    for column in ("", "pictures", "ppm", "by group"):
        table.add_column(column, justify="left" if not column else "right")
    decisions = report.decisions
    rows = {"escapes: bad parts that pass": decisions.escapes, "overkill: sound parts that do not": decisions.overkill}
    rows |= {f"escapes of {name}": rate for name, rate in decisions.escapes_by_class.items()}
    for name, rate in rows.items():
        ppm = "-" if rate.value is None else f"{PPM * rate.value:,.0f}"
        table.add_row(name, rate_text(rate), ppm, bound_text(rate))
    return table


def _classes(report: Report) -> Table:
    table = Table(title="masks, on the pictures that have the class")
    columns = ["class", "pictures", "groups", "Dice", "IoU", "pooled Dice", *(["tile recall"] if report.tiles else [])]
    for column in columns:
        table.add_column(column, justify="left" if column == "class" else "right")
    for of_class in report.masks.classes:
        cells = [of_class.name, str(of_class.dice.images), str(of_class.dice.groups)]
        cells += [estimate_text(figure) for figure in (of_class.dice, of_class.iou, of_class.pooled_dice)]
        table.add_row(*cells, *([estimate_text(report.tiles.recall[of_class.name])] if report.tiles else []))
    return table


def _sizes(regions: RegionFigures) -> Table:
    table = Table(title="missed by the defect's size")
    for column in ("area [px]", "regions without a mark", "by group", "parts that pass", "by group"):
        table.add_column(column, justify="right")
    for size in regions.by_size:
        name = f"{size.from_px} and more" if size.below_px is None else f"{size.from_px} to {size.below_px - 1}"
        figures = (size.missed_regions, size.missed_parts)
        table.add_row(name, *(text for rate in figures for text in (rate_text(rate), bound_text(rate))))
    return table


def _lines_of_decisions(decisions: PartFigures) -> list[str]:
    lines = [
        f"kappa {estimate_text(decisions.kappa)}, effectiveness {percent(decisions.effectiveness)}, macro-F1 of the "
        f"classes {estimate_text(decisions.f1_macro)}",
    ]
    if decisions.unknown_bad or decisions.unknown_sound:
        lines.append(
            f"UNKNOWN, and so not passed: {decisions.unknown_bad} bad parts, {decisions.unknown_sound} sound ones"
        )
    return [*lines, _shipped(decisions.shipped)] if decisions.shipped else lines


def _shipped(shipped: Shipped) -> str:
    sound = "-" if shipped.sound_share_of_rejects is None else percent(shipped.sound_share_of_rejects)
    return (
        f"if {percent(shipped.bad_share)} of the parts come in bad: {shipped.shipped_ppm:,.0f} ppm of what is shipped "
        f"is bad (at most {shipped.shipped_ppm_at_most:,.0f}), {shipped.overkill_ppm:,.0f} ppm of all parts are sound "
        f"and thrown away, {sound} of the rejects are sound"
    )


def _lines_of_ranking(ranking: RankingFigures) -> list[str]:
    recalls = ", ".join(
        f"{estimate_text(recall)} at {percent(float(allowed))}"
        for allowed, recall in ranking.recall_at_false_rejects.items()
    )
    return [
        f"pictures ranked by the classifier ({ranking.bad} bad, {ranking.sound} sound): AUROC "
        f"{estimate_text(ranking.auroc)}, average precision {estimate_text(ranking.average_precision)}",
        f"recall at fixed false rejects: {recalls}",
    ]


def _lines_of_tiles(report: Report) -> list[str]:
    masks, lines = report.masks, [f"mean Dice {estimate_text(report.masks.mean_dice)}"]
    lines[0] += f", per-region overlap {estimate_text(report.regions.overlap)}"
    if report.overlap_area is not None:
        lines[0] += f", integrated to 30 % false positives {estimate_text(report.overlap_area)}"
    area = masks.false_area.value
    lines.append(
        f"on sound pictures: {'-' if area is None else percent(area)} of the area marked, "
        f"{rate_text(masks.sound_images_marked)} of the pictures marked at all"
    )
    if report.tiles is not None and report.segmented_share is not None:
        lines.append(
            f"tiles: {estimate_text(report.tiles.any_recall)} of the defective ones go on, "
            f"{estimate_text(report.tiles.false_share)} of the sound ones, {percent(report.segmented_share)} of all"
        )
    return lines


def _interval(estimate: Estimate) -> str:
    if estimate.interval is None:
        return f"too few groups for an interval: {estimate.groups} of {FEWEST_GROUPS}"
    interval: Interval = estimate.interval
    return f"{interval.low:.3f} to {interval.high:.3f}"
