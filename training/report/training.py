"""The page of one training: what the network misses on split val, how it got there, what it was made with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge.errors import DataError
from engines.limits import GATE, MIN_AREA_PX, THRESHOLD
from training.data.datasets import Dataset
from training.data.findings import Check
from training.data.samples import Sample
from training.data.splits import Split
from training.figures.intervals import CONFIDENCE, FEWEST_GROUPS
from training.figures.parts import SOUND, Part, confusion
from training.figures.ranking import RankingFigures, ranking_figures
from training.fit.record import Row, read_rows
from training.fit.schedule import text_from_seconds
from training.networks.checkpoint import CheckpointSpec, Kind
from training.report import charts
from training.report.alone import LoneNetwork
from training.report.choice import Heading, picture_sections
from training.report.choice import Kind as PictureKind
from training.report.made import data_section, data_warnings, made_section
from training.report.page import Chart, Figure, Page, Section, estimate_figure
from training.report.pictures import LEGEND, TILE_LEGEND

MOST_JUDGED = 200
"""Pictures of split val that are looked at, evenly spread; a page is no evaluation."""
SCORES: dict[Kind, str] = {"classifier": "mean average precision of the tiles", "segmenter": "mean pooled Dice"}
RULES: dict[Kind, str] = {
    "classifier": f"The classifier alone: a picture is rejected if a tile's score reaches {GATE.default:g}. "
    f"{TILE_LEGEND}.",
    "segmenter": f"The segmenter alone: a pixel is marked from a probability of {THRESHOLD.default:g} on, a picture "
    f"rejected from {MIN_AREA_PX.default:g} marked pixels on. {LEGEND}.",
}
_IN_HEADLINE = ("epoch", "val_score")
HEADINGS: dict[PictureKind, Heading] = {
    "missed": Heading("Missed: bad pictures that would pass", "The lowest score first."),
    "rejected": Heading("False alarms: sound pictures that would be rejected", "The highest score first."),
    "worst": Heading("Worst masks of what is found", "The lowest Dice first."),
    "uncertain": Heading("Most uncertain", "The score nearest to the middle first."),
    "best": Heading("Best", "The highest Dice first; of a classifier the highest score."),
}


def training_page(dataset: Dataset, run: Path, kind: Kind, check: Check | None) -> Page:
    """
    Judge the best checkpoint by split val, and tell how the training went.

    Args:
        dataset: as the network was trained on.
        run: folder of the training: <kind>.safetensors, <kind>.json, <kind>/metrics.csv.
        kind: classifier or segmenter.
        check: what the data check found, None if nobody looked.

    Raises:
        BundleError: the checkpoint is unusable.
        DataError: a picture or metrics.csv is unusable, or split val is empty.
    """
    network = LoneNetwork(run / f"{kind}.safetensors")
    spec, rows = network.spec, read_rows(run / kind / "metrics.csv")
    if not rows:
        raise DataError(f"{run / kind / 'metrics.csv'}: holds no epoch; train again")
    seen = [network.look(sample) for sample in _judged(dataset, kind)]
    parts = [each.part for each in seen]
    ranks = ranking_figures(
        [part.score for part in parts],
        [part.class_id != SOUND for part in parts],
        [part.group for part in parts],
        CONFIDENCE,
    )
    pictures = picture_sections(
        parts,
        spec.class_names,
        [GATE.default],
        HEADINGS,
        lambda positions: [network.drawing(seen[position]) for position in positions],
    )
    return Page(
        title=f"{dataset.name}: training of the {kind}",
        subtitle=f"Pictures and figures are of split val, on which the epoch was chosen. {RULES[kind]}",
        headline=[*_headline(spec, rows), *_ranking_headline(ranks, len(parts)), *_sizes(dataset)],
        sections=[
            *pictures,
            _course(rows, kind),
            _judgement(parts, ranks, spec.class_names),
            data_section(dataset, check),
            made_section({k: v for k, v in spec.made_with.items() if k not in _IN_HEADLINE}, _details(spec)),
        ],
        warnings=[*data_warnings(dataset, check, spec.dataset_sha256), *_warnings(dataset, parts, kind)],
    )


def _judged(dataset: Dataset, kind: Kind) -> list[Sample]:
    """Return pictures of split val, evenly spread; for a segmenter those that say where the defects are."""
    usable = [sample for sample in dataset.split("val") if sample.drawn or kind == "classifier"]
    step = -(-len(usable) // MOST_JUDGED)
    return usable[:: max(step, 1)]


def _headline(spec: CheckpointSpec, rows: Sequence[Row]) -> list[Figure]:
    best, last = max(rows, key=lambda row: row.merit), rows[-1]
    steps_ms = sum(row.step_ms for row in rows)
    waiting = sum(row.waiting_share * row.step_ms for row in rows) / steps_ms if steps_ms else 0.0
    return [
        Figure("best score on val", f"{best.val_score:.4f}", SCORES[spec.kind]),
        Figure("kept epoch", f"{best.epoch + 1} of {len(rows)}", f"phase {best.phase}"),
        Figure("time", text_from_seconds(last.elapsed_s), f"{last.step_ms:.0f} ms a step at the end"),
        Figure("waiting for data", f"{waiting:.0%}", "of a step; more than a tenth: --loaders 4"),
    ]


def _ranking_headline(ranks: RankingFigures, judged: int) -> list[Figure]:
    return [
        estimate_figure("AUROC of pictures", ranks.auroc),
        estimate_figure("average precision", ranks.average_precision),
        Figure("judged here", f"{judged}", f"pictures of val: {ranks.bad} bad, {ranks.sound} sound"),
    ]


def _sizes(dataset: Dataset) -> list[Figure]:
    splits: tuple[Split, ...] = ("train", "val")
    figures = []
    for split in splits:
        groups = {sample.group for sample in dataset.split(split)}
        figures.append(
            Figure(f"pictures of {split}", str(len(dataset.split(split))), f"{len(groups)} independent groups")
        )
    return figures


def _course(rows: Sequence[Row], kind: Kind) -> Section:
    phases = [row.phase for row in rows]
    best = max(rows, key=lambda row: row.merit).epoch
    losses = {"train": [row.loss for row in rows], "val": [row.val_loss for row in rows]}
    notes = []
    if best == rows[-1].epoch and len(rows) > 1:
        notes.append("The last epoch is the best one: a longer training may be better.")
    return Section(
        "How it went",
        charts=(
            Chart(charts.epochs(losses, phases, "loss", best=best), "loss of the tiles"),
            Chart(charts.epochs({"val": [row.val_score for row in rows]}, phases, "score", best=best), SCORES[kind]),
            Chart(
                charts.epochs(
                    {"fastest weights": [row.learning_rate for row in rows]}, phases, "learning rate", log=True
                ),
                "learning rate at the end of each epoch",
            ),
        ),
        notes=tuple(notes),
    )


def _judgement(parts: Sequence[Part], ranks: RankingFigures, class_names: Sequence[str]) -> Section:
    drawn = [
        Chart(
            charts.confusion(confusion(parts, len(class_names)), ("sound", *class_names)),
            "pictures: a row is what they are, a column what the network alone says",
        )
    ]
    if ranks.curve:
        points = [(point.recall, point.precision) for point in ranks.curve]
        drawn.append(
            Chart(
                charts.precision_recall(points, _operating_point(parts)),
                "each point is a gate on the highest score of a picture",
            )
        )
    return Section("What it tells apart", charts=tuple(drawn))


def _operating_point(parts: Sequence[Part]) -> dict[str, charts.Point]:
    stopped = [part for part in parts if part.found_id]
    right = sum(part.class_id != SOUND for part in stopped)
    bad = sum(part.class_id != SOUND for part in parts)
    return {"as judged here": (right / bad, right / len(stopped))} if stopped and bad else {}


def _warnings(dataset: Dataset, parts: Sequence[Part], kind: Kind) -> list[str]:
    warnings = []
    bad = {part.group for part in parts if part.class_id != SOUND}
    sound = {part.group for part in parts if part.class_id == SOUND}
    for name, groups in (("bad", bad), ("sound", sound)):
        if len(groups) < FEWEST_GROUPS:
            warnings.append(
                f"Split val has {len(groups)} independent groups with {name} pictures: too few to tell much."
            )
    for class_id, name in enumerate(dataset.class_names, start=1):
        if not any(part.class_id == class_id for part in parts):
            warnings.append(f"No picture of {name} is judged here: nothing is known of it.")
    if len(parts) < len(dataset.split("val")):
        why = " and have a mask" if kind == "segmenter" else ""
        warnings.append(
            f"{len(parts)} of the {len(dataset.split('val'))} pictures of split val are judged here, which are evenly "
            f"spread{why}; edge-train evaluate judges all."
        )
    return warnings


def _details(spec: CheckpointSpec) -> dict[str, str]:
    tile = spec.tile
    network = {
        "classifier": f"{spec.backbone}, pixels pooled by {spec.reduce}",
        "segmenter": f"encoder {spec.encoder}, width {spec.width}, depth {spec.depth}",
    }
    return {
        "network": network[spec.kind],
        "pixel format": spec.format,
        "tile": f"core {tile.core_height} x {tile.core_width} px, halo {tile.halo} px",
        "data": f"{spec.dataset}, SHA-256 {spec.dataset_sha256}",
        "weights written": f"SHA-256 {spec.weights_sha256}",
    }
