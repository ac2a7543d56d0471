"""The page of an evaluation: what passes that should not, what does not pass that should, and by which values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edge.records import Outcome
from edge.rules import default_recipe
from engines.contract import DefectClass, Limit
from training.data.datasets import Dataset
from training.data.findings import Check
from training.figures.engine import TrainedNetworks
from training.figures.evaluate import inspected
from training.figures.intervals import FEWEST_GROUPS, PPM, Estimate, Rate
from training.figures.parts import PartFigures
from training.figures.report import Report
from training.figures.tables import bound_text, percent, rate_text
from training.report import charts
from training.report.choice import Heading, Kind, picture_sections
from training.report.made import data_section, data_warnings, made_section
from training.report.page import Chart, Figure, Page, Section, Table, estimate_figure, rate_figure
from training.report.pictures import LEGEND, outlined

HEADINGS: dict[Kind, Heading] = {
    "missed": Heading("Escapes: bad parts that pass", "The lowest score first: those are the surest mistakes."),
    "rejected": Heading("Overkill: sound parts that are rejected", "The highest score first."),
    "unanswered": Heading(
        "No answer", "UNKNOWN: a defect runs into more tiles than a part may have. It does not pass."
    ),
    "worst": Heading("Worst masks of what is caught", "The lowest Dice first."),
    "uncertain": Heading("Most uncertain", "The score nearest to a gate first: a small change would turn these."),
    "best": Heading("Best", "The highest Dice first."),
}


def evaluation_page(
    report: Report, dataset: Dataset, networks: TrainedNetworks, made_with: Mapping[str, str], check: Check | None
) -> Page:
    """
    Show a report.

    Args:
        report: of these networks on this data set, by figures.evaluate.
        dataset: whose pictures are shown.
        networks: run again over the pictures that are shown.
        made_with: command, seed, versions.
        check: what the data check found, None if nobody looked.

    Raises:
        DataError: a picture is unusable.
    """
    return Page(
        title=f"{report.dataset}: what the line would do",
        subtitle=f"Both networks, gates, masks and rules as on the line, over {report.images} pictures of "
        f"{report.groups} independent groups of split {report.split}. Bounds and intervals are by group, at "
        f"{report.decisions.escapes.confidence:.0%} confidence. {LEGEND}.",
        headline=figures_of_decisions(report),
        sections=[
            *pictures(report, dataset, networks),
            decisions_section(report),
            masks_section(report),
            limits_section(report.classes, ()),
            data_section(dataset, check),
            made_section(made_with, details(networks)),
        ],
        warnings=[*data_warnings(dataset, check, networks.spec.dataset_sha256), *warnings_of(report)],
    )


def pictures(report: Report, dataset: Dataset, networks: TrainedNetworks) -> list[Section]:
    """Return the sections with pictures of a report's parts, inspected again."""
    samples, recipe = dataset.split(report.split), default_recipe(report.classes)

    def draw(positions: Sequence[int]) -> list[bytes]:
        shown = inspected([samples[position] for position in positions], networks, recipe)
        return [outlined(picture.image, picture.labels, answer.labels) for _, picture, answer in shown]

    return picture_sections(report.parts, dataset.class_names, recipe.gates.tolist(), HEADINGS, draw)


def figures_of_decisions(report: Report) -> list[Figure]:
    """Return the headline of a report."""
    decisions, ranking = report.decisions, report.ranking
    figures = [
        rate_figure("escapes", decisions.escapes, "bad pictures"),
        rate_figure("overkill", decisions.overkill, "sound pictures"),
        estimate_figure("mean Dice", report.masks.mean_dice),
        estimate_figure("kappa", decisions.kappa),
        estimate_figure("AUROC of pictures", ranking.auroc),
        estimate_figure("average precision", ranking.average_precision),
    ]
    if decisions.shipped is not None:
        shipped = decisions.shipped
        detail = f"at most {shipped.shipped_ppm_at_most:,.0f}; if {percent(shipped.bad_share)} of the parts come in bad"
        figures.append(Figure("bad among what is shipped", f"{shipped.shipped_ppm:,.0f} ppm", detail))
    return figures


def decisions_section(report: Report) -> Section:
    """Show who is taken for what, and the operating point among all gates."""
    decisions = report.decisions
    shown = [
        Chart(
            charts.confusion(decisions.confusion, ("sound", *decisions.escapes_by_class)),
            "pictures that got an answer: a row is what they are, a column what the line says",
        )
    ]
    if report.ranking.curve:
        curve = [(point.recall, point.precision) for point in report.ranking.curve]
        shown.append(
            Chart(
                charts.precision_recall(curve, operating_points(report)),
                "each point of the line is a gate on the classifier's highest score; masks and rules decide besides",
            )
        )
    if report.regions.by_size:
        sizes = {
            _size(size.from_px, size.below_px): size.missed_parts
            for size in report.regions.by_size
            if size.missed_parts.images
        }
        shown.append(_rate_bars(sizes, "share that passes", "escapes by the size of the part's largest defect"))
    shown.append(_rate_bars(decisions.escapes_by_class, "share that passes", "escapes by class"))
    return Section("Decisions", charts=tuple(shown), tables=(rates_table({report.split: decisions}),))


def operating_points(report: Report) -> dict[str, charts.Point]:
    """Return (recall, precision) of what the line decides, and of its gate alone if all classes have the same."""
    stopped = [part.outcome is not Outcome.PASS for part in report.parts]
    points = _point("gate, masks and rules", report, stopped)
    gates = {of_class.gate.default for of_class in report.classes}
    if len(gates) == 1:
        over = [part.score >= next(iter(gates)) or part.outcome is Outcome.UNKNOWN for part in report.parts]
        points |= _point("gate alone", report, over)
    return points


def masks_section(report: Report) -> Section:
    """Show Dice and IoU of each class on the pictures that have it."""
    of_classes = report.masks.classes
    dice = {of_class.name: of_class.dice for of_class in of_classes}
    iou = {of_class.name: of_class.iou for of_class in of_classes}
    few = " Hatched: too few groups for an interval." if any(e.interval is None for e in dice.values()) else ""
    area = report.masks.false_area.value
    marked = "nothing is known" if area is None else percent(area)
    return Section(
        "Masks",
        charts=(
            _estimate_bars(dice, "Dice", f"Dice on the pictures that have the class.{few}"),
            _estimate_bars(iou, "IoU", f"IoU on the same pictures.{few}"),
        ),
        notes=(
            f"Share of the area that is marked on sound pictures: {marked}. Sound pictures with any mark: "
            f"{rate_text(report.masks.sound_images_marked)}.",
        ),
    )


def limits_section(classes: Sequence[DefectClass], not_calibrated: Iterable[str]) -> Section:
    """Show the values that decide, and how far a recipe may move them."""
    rows = []
    for of_class in classes:
        rule, kept = of_class.rule, " (not calibrated)" if of_class.name in not_calibrated else ""
        limits = (of_class.gate, of_class.threshold, rule.min_area_px, rule.min_peak, rule.max_count)
        rows.append((of_class.name + kept, *map(_limit_text, limits)))
    columns = ("class", "gate", "threshold", "min area [px]", "min peak", "max count")
    caption = "value (lowest to highest that a recipe may set)"
    return Section("Gates, thresholds and rules", tables=(Table(columns, tuple(rows), caption),))


def rates_table(by_split: Mapping[str, PartFigures]) -> Table:
    """Return every rate with its denominators, ppm and bound, a row a rate and split."""
    rows = []
    for split, decisions in by_split.items():
        rates = {"escapes": decisions.escapes, "overkill": decisions.overkill}
        rates |= {f"escapes of {name}": rate for name, rate in decisions.escapes_by_class.items()}
        for name, rate in rates.items():
            ppm = "-" if rate.value is None else f"{PPM * rate.value:,.0f}"
            rows.append((name, split, rate_text(rate), ppm, bound_text(rate)))
    return Table(("", "split", "pictures", "ppm", "by group"), tuple(rows))


def warnings_of(report: Report) -> list[str]:
    """Return what makes the figures worth less than they look."""
    warnings = []
    if report.split == "train":
        warnings.append("Judged on the pictures the networks learned from: these figures say nothing of new parts.")
    if report.split == "val":
        warnings.append(
            "Judged on split val, on which the epochs were chosen, and whatever else was chosen: the figures flatter. "
            "Split test tells."
        )
    for name, rate in (("bad", report.decisions.escapes), ("sound", report.decisions.overkill)):
        if rate.groups < FEWEST_GROUPS:
            warnings.append(f"Only {rate.groups} independent groups have {name} pictures: the bounds are wide.")
    without = [name for name, rate in report.decisions.escapes_by_class.items() if not rate.images]
    if without:
        warnings.append(f"No picture of {', '.join(without)} in split {report.split}: nothing is known of it.")
    if report.unknown:
        decisions = report.decisions
        warnings.append(
            f"{report.unknown} pictures got no answer ({decisions.unknown_bad} bad, {decisions.unknown_sound} sound): "
            "they do not pass, and stand in no figure of masks and scores."
        )
    return warnings


def details(networks: TrainedNetworks) -> dict[str, str]:
    """Say which networks were judged."""
    of_kinds = {spec.kind: spec for spec in (networks.classifier_spec, networks.segmenter_spec)}
    return {kind: f"SHA-256 {spec.weights_sha256}" for kind, spec in of_kinds.items()} | {
        f"{kind} made by": spec.made_with.get("command", "-") for kind, spec in of_kinds.items()
    }


def _point(name: str, report: Report, stopped: Sequence[bool]) -> dict[str, charts.Point]:
    bad = sum(part.class_id != 0 for part in report.parts)
    right = sum(part.class_id != 0 and stops for part, stops in zip(report.parts, stopped, strict=True))
    return {name: (right / bad, right / sum(stopped))} if bad and any(stopped) else {}


def _rate_bars(rates: Mapping[str, Rate], x: str, caption: str) -> Chart:
    shown: dict[str, charts.Bar] = {
        f"{name} ({rate.hits} of {rate.images})": (rate.value, rate.interval)
        for name, rate in rates.items()
        if rate.value is not None
    }
    return Chart(charts.bars(shown, x), caption)


def _estimate_bars(estimates: Mapping[str, Estimate], x: str, caption: str) -> Chart:
    shown: dict[str, charts.Bar] = {
        f"{name} ({estimate.images} in {estimate.groups} groups)": (estimate.value, estimate.interval)
        for name, estimate in estimates.items()
        if estimate.value is not None
    }
    return Chart(charts.bars(shown, x), caption)


def _size(from_px: int, below_px: int | None) -> str:
    return f"{from_px} px and more" if below_px is None else f"{from_px} to {below_px - 1} px"


def _limit_text(limit: Limit) -> str:
    return f"{limit.default:g} ({limit.low:g} to {limit.high:g})"
